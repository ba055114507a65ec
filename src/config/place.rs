use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de};

/// Where a file lies that a configuration names: a path, or the name of a credential that the service manager hands to
/// the daemon (`credential:NAME`, systemd's `LoadCredential=`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Path(PathBuf),
    Credential(String),
}

impl Place {
    /// The file's path, if the folder of credentials is this one.
    ///
    /// # Errors
    /// There is no such folder and the file lies in it.
    pub fn path(&self, credentials: Option<&Path>) -> Result<PathBuf, String> {
        match (self, credentials) {
            (Self::Path(path), _) => Ok(path.clone()),
            (Self::Credential(name), Some(folder)) => Ok(folder.join(name)),
            (Self::Credential(name), None) => Err(format!(
                "is a credential, and $CREDENTIALS_DIRECTORY is not set; start from a systemd unit with \
                 LoadCredential={name}:/path/to/file, or give a path"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(de::Error::custom("found an empty path, expected a file or \"credential:NAME\""));
        }
        let Some(name) = text.strip_prefix("credential:") else { return Ok(Self::Path(text.into())) };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
            return Err(de::Error::custom(format_args!(
                "{text:?} is no credential; expected a name of letters, digits, `-`, `_` and `.`, e.g. \
                 \"credential:mqtt-password\""
            )));
        }
        Ok(Self::Credential(name.to_owned()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Place, String> {
        let value = de::value::StrDeserializer::<de::value::Error>::new(text);
        Place::deserialize(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_credential_lies_in_the_folder_of_the_service_manager_and_nowhere_else() {
        let place = parse("credential:mqtt-password").unwrap();
        let folder = Path::new("/run/credentials/wheeltapper.service");
        assert_eq!(place.path(Some(folder)).unwrap(), folder.join("mqtt-password"));
        assert!(place.path(None).unwrap_err().contains("LoadCredential=mqtt-password:"));
        for outside in ["credential:", "credential:../shadow", "credential:a/b", "credential:.."] {
            assert!(parse(outside).unwrap_err().contains("is no credential"), "{outside}");
        }
    }

    #[test]
    fn anything_else_is_a_path_as_it_stands() {
        assert_eq!(parse("secrets/password").unwrap().path(None).unwrap(), Path::new("secrets/password"));
        assert!(parse("").is_err());
    }
}
