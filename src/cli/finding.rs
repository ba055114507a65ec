use serde::Serialize;

/// What one look at the surroundings found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub check: String,
    pub outcome: Verdict,
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warn,
    Fail,
    Skipped,
}

impl Finding {
    pub fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), outcome: Verdict::Ok, found: found.into(), advice: None }
    }

    pub fn warn(check: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Verdict::Warn, advice: Some(advice.into()), ..Self::ok(check, found) }
    }

    pub fn fail(check: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Verdict::Fail, ..Self::warn(check, found, advice) }
    }

    /// Not looked at, and why.
    pub fn skipped(check: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Verdict::Skipped, ..Self::warn(check, found, advice) }
    }

    /// One line of what was found, and one of what to do.
    pub fn lines(&self) -> String {
        let word = match self.outcome {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
            Verdict::Skipped => "skipped",
        };
        let advice = self.advice.as_ref().map(|advice| format!("\n{:25}→ {advice}", "")).unwrap_or_default();
        format!("{word:<8} {:<15} {}{advice}", self.check, self.found)
    }
}
