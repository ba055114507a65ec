use serde::{Deserialize, Serialize};

/// What to do about a deviation, assembled from one playbook. Every sentence that states a fact names its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The playbook's name, e.g. `hydraulic/internal_pump_leakage`.
    pub playbook: String,
    pub version: String,
    pub text: String,
    pub steps: Vec<Step>,
    pub parts: Vec<Part>,
    /// The playbook's time to respond, e.g. `8h`.
    pub urgency: String,
    pub sources: Vec<Source>,
}

impl Recommendation {
    /// What to check first, without the marks of its sources.
    pub fn first_check(&self) -> Option<&str> {
        let (_, check) = self.text.split_once(FIRST_CHECK)?;
        Some(check.split(" [").next().unwrap_or(check))
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// From 1.
    pub n: u32,
    pub text: String,
    /// Ids that occur in [`Recommendation::sources`].
    pub sources: Vec<String>,
}

/// A spare part that the steps may call for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// From the machine's own list; `None` where it was never recorded.
    pub number: Option<String>,
    pub quantity: f64,
}

/// Where a sentence comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub id: String,
    pub title: String,
    pub section: String,
    /// Of the quoted excerpt; `None` where the source is cited, not quoted.
    pub excerpt_sha256: Option<String>,
}

/// Begins the sentence that names it.
pub(super) const FIRST_CHECK: &str = "First check: ";
