use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use super::doctor_broker::Visit;
use super::doctor_host;
use super::finding::{Finding, Verdict};
use super::outcome::{Failure, Outcome, print};
use super::surroundings;

/// Tries the live surroundings of a gateway and says what to do about each finding
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper doctor --config /etc/wheeltapper/wheeltapper.toml")]
pub(super) struct Doctor {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Prints the findings as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub fn run(self) -> Outcome {
        let config = surroundings::config(&self.config)?;
        let access = surroundings::access(&config)?;
        let mut findings: Vec<Finding> = surroundings::exposed(&config).iter().map(|what| exposed(what)).collect();
        findings.push(doctor_host::clock());
        findings.extend(doctor_host::disk(&config.state_dir));
        let tls = access.tls.clone();
        let visit = Visit::new(&config, access);
        findings.extend(surroundings::runtime()?.block_on(visit.examine()));
        if let Some(tls) = tls {
            let broker = tls.broker_ends();
            findings.extend(doctor_host::certificates(tls.ends(), broker, Timestamp::now()));
        }
        self.report(&findings)
    }

    fn report(&self, findings: &[Finding]) -> Outcome {
        let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
        let (failed, warned) = (count(Verdict::Fail), count(Verdict::Warn));
        print(&match self.json {
            true => json!({ "ok": failed == 0, "findings": findings }).to_string(),
            false => findings.iter().map(Finding::lines).collect::<Vec<_>>().join("\n"),
        })?;
        match failed {
            0 => Ok(()),
            _ => Err(Failure::failed(format_args!("{failed} of {} checks failed, {warned} warn", findings.len()))),
        }
    }
}

fn exposed(what: &str) -> Finding {
    let (found, advice) = what.split_once("; ").unwrap_or((what, ""));
    Finding::warn("secrets", found, advice)
}
