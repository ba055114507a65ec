use serde::{Deserialize, Serialize};

/// Whether a machine is not to alarm at all, and on whose word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// A person said so, e.g. because the machine is being changed over.
    pub by_operator: bool,
    /// The machine's own state says so.
    pub excuse: Option<Excuse>,
}

/// What excuses a machine from alarming, without anybody having to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excuse {
    Stopped,
    /// It runs, but not for long enough to be itself.
    Starting,
    Maintenance,
}

impl Suppression {
    pub fn is_on(self) -> bool {
        self.by_operator || self.excuse.is_some()
    }

    /// What a transition to `suppressed` with this operator and reason tells.
    pub fn of(operator: Option<&str>, reason: Option<&str>) -> Self {
        match (operator, reason.and_then(Excuse::parse)) {
            (None, Some(excuse)) => Self { by_operator: false, excuse: Some(excuse) },
            _ => Self { by_operator: true, excuse: None },
        }
    }

    /// On whose word, in one word.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self { by_operator: true, .. } => Some("operator"),
            Self { excuse, .. } => excuse.map(Excuse::as_str),
        }
    }
}

impl Excuse {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Maintenance => "maintenance",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Stopped, Self::Starting, Self::Maintenance].into_iter().find(|excuse| excuse.as_str() == text)
    }
}
