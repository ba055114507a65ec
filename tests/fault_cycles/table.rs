//! The one table that comes out.

use std::time::Duration;

/// One line of it.
pub struct Row {
    pub what: String,
    pub target: &'static str,
    pub measured: String,
    pub verdict: Verdict,
}

pub enum Verdict {
    Kept,
    /// A figure that another machine, or a quieter one, may reach.
    Missed,
    /// Something was lost, doubled, ended or not finished: the run has failed.
    Broken(String),
    /// It could not be tried here.
    Skipped,
}

impl Row {
    /// A figure: missed or kept.
    pub fn figure(what: impl Into<String>, target: &'static str, measured: String, kept: bool) -> Self {
        let verdict = if kept { Verdict::Kept } else { Verdict::Missed };
        Self { what: what.into(), target, measured, verdict }
    }

    /// A promise, with everything found that breaks it.
    pub fn promise(what: impl Into<String>, target: &'static str, measured: String, broken: &[String]) -> Self {
        let verdict = match broken {
            [] => Verdict::Kept,
            _ => {
                let first: Vec<&str> = broken.iter().take(FINDINGS).map(String::as_str).collect();
                Verdict::Broken(format!("{} findings, the first:\n  {}", broken.len(), first.join("\n  ")))
            }
        };
        Self { what: what.into(), target, measured, verdict }
    }

    pub fn skipped(what: impl Into<String>, target: &'static str, why: impl Into<String>) -> Self {
        Self { what: what.into(), target, measured: format!("not tried: {}", why.into()), verdict: Verdict::Skipped }
    }

    pub fn is_broken(&self) -> bool {
        matches!(self.verdict, Verdict::Broken(_))
    }
}

pub fn print(rows: &[Row]) {
    println!("\n| what | target | measured | |\n|---|---|---|---|");
    for row in rows {
        let verdict = match &row.verdict {
            Verdict::Kept => "kept",
            Verdict::Missed => "MISSED",
            Verdict::Broken(_) => "BROKEN",
            Verdict::Skipped => "skipped",
        };
        println!("| {} | {} | {} | {verdict} |", row.what, row.target, row.measured);
    }
    for row in rows {
        if let Verdict::Broken(why) = &row.verdict {
            println!("\nBROKEN: {}\n  expected: {}\n  found: {}\n  {why}", row.what, row.target, row.measured);
        }
    }
}

/// The value below which this part of them lies.
pub fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let index = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or_default()
}

/// As `12.3 ms`.
pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Told of each broken promise.
const FINDINGS: usize = 8;
