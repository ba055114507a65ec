use std::fmt;

/// A pattern of topics with captures, e.g. `plant/{line}/{machine}/telemetry`.
///
/// `{machine}` names the machine, `{channel}` the channel of a one-value topic; other captures match any one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPattern {
    text: String,
    levels: Vec<Level>,
}

impl TopicPattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > 512 {
            return Err(PatternError::Length);
        }
        let mut levels = Vec::new();
        let parts: Vec<&str> = text.split('/').collect();
        for (index, &part) in parts.iter().enumerate() {
            let level = match part {
                "+" => Level::Any,
                "#" if index + 1 == parts.len() => Level::Rest,
                "{machine}" => Level::Machine,
                "{channel}" => Level::Channel,
                _ => match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                    Some(name) if !name.is_empty() && !name.contains(['{', '}', '+', '#']) => Level::Any,
                    _ if part.contains(['{', '}', '+', '#']) => return Err(PatternError::Level(part.to_owned())),
                    _ => Level::Literal(part.to_owned()),
                },
            };
            if matches!(level, Level::Machine | Level::Channel) && levels.contains(&level) {
                return Err(PatternError::Twice(part.to_owned()));
            }
            levels.push(level);
        }
        if !levels.contains(&Level::Machine) {
            return Err(PatternError::NoMachine);
        }
        Ok(Self { text: text.to_owned(), levels })
    }

    /// Whether the topic names the channel.
    pub fn names_channel(&self) -> bool {
        self.levels.contains(&Level::Channel)
    }

    /// The MQTT filter that brings every topic of this pattern.
    pub fn filter(&self) -> String {
        let levels: Vec<&str> = self
            .levels
            .iter()
            .map(|level| match level {
                Level::Literal(text) => text.as_str(),
                Level::Any | Level::Machine | Level::Channel => "+",
                Level::Rest => "#",
            })
            .collect();
        levels.join("/")
    }

    /// What the topic's captures hold, if it is one of this pattern's.
    pub fn captures<'t>(&self, topic: &'t str) -> Option<Captures<'t>> {
        let mut captures = Captures { machine: "", channel: None };
        let mut parts = topic.split('/');
        for level in &self.levels {
            if *level == Level::Rest {
                return Some(captures);
            }
            let part = parts.next()?;
            match level {
                Level::Literal(text) if text != part => return None,
                Level::Machine => captures.machine = part,
                Level::Channel => captures.channel = Some(part),
                Level::Literal(_) | Level::Any | Level::Rest => {}
            }
        }
        parts.next().is_none().then_some(captures)
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a topic says about its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captures<'t> {
    pub machine: &'t str,
    pub channel: Option<&'t str>,
}

/// Why a text is not a topic pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a topic pattern has 1 to 512 bytes")]
    Length,
    #[error("the level {0:?} mixes text with a capture or wildcard; a level is a text, `{{name}}`, `+` or a last `#`")]
    Level(String),
    #[error("{0} stands twice in the pattern")]
    Twice(String),
    #[error(
        "the pattern captures no machine; put `{{machine}}` at the level that names it, e.g. plant/{{machine}}/telemetry"
    )]
    NoMachine,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(String),
    Any,
    Machine,
    Channel,
    Rest,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_finds_machine_and_channel_in_a_topic() {
        let pattern = TopicPattern::parse("plant/{line}/{machine}/{channel}").unwrap();
        assert_eq!(pattern.filter(), "plant/+/+/+");
        assert!(pattern.names_channel());
        let captures = pattern.captures("plant/l1/press-01/flow").unwrap();
        assert_eq!(captures, Captures { machine: "press-01", channel: Some("flow") });
        for other in ["plant/l1/press-01", "plant/l1/press-01/flow/x", "yard/l1/press-01/flow", ""] {
            assert_eq!(pattern.captures(other), None, "{other}");
        }
    }

    #[test]
    fn wildcards_stand_for_levels_that_nobody_asks_about() {
        let pattern = TopicPattern::parse("+/{machine}/data/#").unwrap();
        assert_eq!(pattern.filter(), "+/+/data/#");
        assert_eq!(pattern.captures("a/m/data/x/y").unwrap().machine, "m");
    }

    #[test]
    fn each_broken_pattern_has_its_own_error() {
        for (text, error) in [
            ("", PatternError::Length),
            ("plant/telemetry", PatternError::NoMachine),
            ("plant/m-{machine}", PatternError::Level("m-{machine}".into())),
            ("plant/#/{machine}", PatternError::Level("#".into())),
            ("{machine}/{machine}", PatternError::Twice("{machine}".into())),
            ("plant/{}/{machine}", PatternError::Level("{}".into())),
        ] {
            assert_eq!(TopicPattern::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_topic_make_it_panic(pattern in "[a-z{}+#/]{0,40}", topic in ".{0,60}") {
            if let Ok(pattern) = TopicPattern::parse(&pattern) {
                let _ = pattern.captures(&topic);
            }
        }
    }
}
