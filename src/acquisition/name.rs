use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of a gateway, a machine or a channel: a text that can stand as one level of an MQTT topic.
///
/// 1 to 128 characters, none of `+`, `#`, `/` and no control character. A name that breaks this is refused, never
/// rewritten.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(found) = text.chars().find(|c| matches!(c, '+' | '#' | '/') || c.is_control()) {
            return Err(NameError::Forbidden(found));
        }
        if text.chars().count() > LONGEST {
            return Err(NameError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// A channel's name from a recording. It goes into a file at most, never into a topic, so that any text will do.
    pub fn from_recording(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name must not be empty")]
    Empty,
    #[error("a name has at most {LONGEST} characters")]
    TooLong,
    #[error("a name must not contain {0:?} (never `+`, `#`, `/` or a control character)")]
    Forbidden(char),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Name::parse(&text).map_err(|error| de::Error::custom(format_args!("{text:?} is not a name: {error}")))
    }
}

const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_a_topic_level_is_refused() {
        assert_eq!(Name::parse(""), Err(NameError::Empty));
        assert_eq!(Name::parse("a/b"), Err(NameError::Forbidden('/')));
        assert_eq!(Name::parse("a\u{7f}"), Err(NameError::Forbidden('\u{7f}')));
        assert_eq!(Name::parse(&"x".repeat(129)), Err(NameError::TooLong));
    }

    #[test]
    fn the_length_of_a_name_is_counted_in_characters() {
        assert!(Name::parse(&"ü".repeat(128)).is_ok());
        assert!(Name::parse("Druck Öl 1 <b>").is_ok());
    }
}
