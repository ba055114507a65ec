use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What somebody found at the machine after an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The fault that was named first.
    Confirmed,
    /// This one instead.
    OtherFault(String),
    /// The machine was sound.
    NoFaultFound,
    /// The machine was sound, a sensor was not.
    Sensor,
    /// Nobody has looked.
    NotChecked,
}

/// A text that is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "found {0:?}, expected confirmed, other_fault:ID (letters, digits, `_`, `-`, `.`, `/`), no_fault_found, sensor or \
     not_checked, e.g. \"other_fault:suction_restriction\""
)]
pub struct VerdictError(String);

impl Verdict {
    pub fn parse(text: &str) -> Result<Self, VerdictError> {
        let is_fault = |id: &&str| {
            (1..=LONGEST_FAULT).contains(&id.len())
                && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        };
        Ok(match text {
            "confirmed" => Self::Confirmed,
            "no_fault_found" => Self::NoFaultFound,
            "sensor" => Self::Sensor,
            "not_checked" => Self::NotChecked,
            other => {
                let fault = other.strip_prefix(OTHER_FAULT).filter(is_fault);
                Self::OtherFault(fault.ok_or_else(|| VerdictError(text.chars().take(80).collect()))?.to_owned())
            }
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirmed => f.write_str("confirmed"),
            Self::OtherFault(fault) => write!(f, "{OTHER_FAULT}{fault}"),
            Self::NoFaultFound => f.write_str("no_fault_found"),
            Self::Sensor => f.write_str("sensor"),
            Self::NotChecked => f.write_str("not_checked"),
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

const OTHER_FAULT: &str = "other_fault:";
const LONGEST_FAULT: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_of_the_contract_is_read_and_written_alike() {
        for text in [
            "confirmed",
            "other_fault:suction_restriction",
            "other_fault:hydraulic/cooler_degradation",
            "no_fault_found",
            "sensor",
            "not_checked",
        ] {
            assert_eq!(Verdict::parse(text).map(|verdict| verdict.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_verdict_is_answered_with_what_is_one() {
        for text in ["", "Confirmed", "other_fault", "other_fault:", "other_fault:a b", "other_fault:é", "sensor "] {
            assert!(Verdict::parse(text).unwrap_err().to_string().contains("no_fault_found"), "{text}");
        }
        assert!(Verdict::parse(&format!("other_fault:{}", "a".repeat(129))).is_err());
    }
}
