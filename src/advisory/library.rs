use super::citation::Payload;
use super::error::{Defect, PlaybookError};
use super::facts::MachineFacts;
use super::lockout::Lockout;
use super::number::write_percent;
use super::playbook::Playbook;
use super::recommendation::Recommendation;
use super::render::render;
use crate::assessment::{Diagnosis, FaultProbability, FaultSymptoms, SymptomTable};
use crate::detection::Contribution;

/// All playbooks of a gateway and the lockout procedure that they share.
#[derive(Clone, Debug)]
pub struct Library {
    playbooks: Vec<Playbook>,
    lockout: Lockout,
}

/// A file of the playbook folder, read by someone else: this room opens none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaybookFile<'a> {
    /// Its path, for errors; a playbook's ends with its name and `.toml`.
    pub origin: &'a str,
    pub text: &'a str,
}

impl Library {
    /// Builds a library from the files of a playbook folder: `lockout.toml` and one file a fault, among them
    /// `generic/unknown`. Every defective file is answered with its first defect.
    pub fn from_files<'a>(files: impl IntoIterator<Item = PlaybookFile<'a>>) -> Result<Self, Vec<PlaybookError>> {
        let mut playbooks: Vec<Playbook> = Vec::new();
        let mut lockout = None;
        let mut errors = Vec::new();
        for PlaybookFile { origin, text } in files {
            if origin.rsplit(['/', '\\']).next() == Some(LOCKOUT) {
                match Lockout::parse(text, origin) {
                    Ok(_) if lockout.is_some() => errors.push(of_library(origin, "a second lockout file", "one")),
                    Ok(parsed) => lockout = Some(parsed),
                    Err(error) => errors.push(error),
                }
                continue;
            }
            match Playbook::parse(text, origin) {
                Ok(playbook) => match playbooks.iter().find(|known| known.name == playbook.name) {
                    Some(known) => {
                        errors.push(of_library(origin, &format!("a second `{}`", known.name), "each name once"));
                    }
                    None => playbooks.push(playbook),
                },
                Err(error) => errors.push(error),
            }
        }
        // A defective file may be the very one that is missed: only a library of sound files is asked to be complete.
        if errors.is_empty() {
            errors.extend(what_is_missing(&playbooks, lockout.as_ref()));
        }
        match lockout {
            Some(lockout) if errors.is_empty() => {
                playbooks.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(Self { playbooks, lockout })
            }
            _ => Err(errors),
        }
    }

    /// The playbooks that come with the program.
    pub fn shipped() -> Self {
        match Self::from_files(SHIPPED) {
            Ok(library) => library,
            Err(errors) => panic!("a test proves that the shipped playbooks are sound: {errors:?}"),
        }
    }

    pub fn playbooks(&self) -> &[Playbook] {
        &self.playbooks
    }

    /// The sign table for a machine: the faults of its family, and those that any machine can have.
    pub fn symptoms(&self, family: Option<&str>) -> SymptomTable {
        let of_machine = |playbook: &&Playbook| playbook.family() == GENERIC || Some(playbook.family()) == family;
        let faults = self.playbooks.iter().filter(of_machine).filter_map(|playbook| {
            Some(FaultSymptoms { fault: playbook.name.clone(), signature: playbook.signature.clone()? })
        });
        SymptomTable { faults: faults.collect() }
    }

    /// What to do: the playbook of the most probable fault, or the generic one where no fault is named. `None` where no
    /// channel is blamed: then there is nothing that a sentence could rest on.
    pub fn recommend(
        &self,
        diagnosis: &Diagnosis,
        machine: &MachineFacts,
        contributions: &[Contribution],
        score: f64,
    ) -> Option<Recommendation> {
        if contributions.is_empty() {
            return None;
        }
        let named = diagnosis.faults.first().and_then(|first| self.playbook(&first.fault));
        let playbook = named.or_else(|| self.playbook(UNKNOWN))?;
        let payload = Payload { diagnosis, facts: machine, contributions, score };
        let rendered = render(playbook, &self.lockout, &payload, self.probable(diagnosis));
        for failure in rendered.failures {
            tracing::error!(playbook = playbook.name, machine = %machine.name, failure, "a sentence could not be rendered");
        }
        Some(rendered.recommendation)
    }

    fn playbook(&self, name: &str) -> Option<&Playbook> {
        self.playbooks.iter().find(|playbook| playbook.name == name)
    }

    /// The faults worth naming in words: the first, and each that is at least half as probable.
    fn probable(&self, diagnosis: &Diagnosis) -> String {
        let Some(first) = diagnosis.faults.first() else { return NOT_NAMED.to_owned() };
        let near = diagnosis.faults.iter().filter(|fault| fault.probability >= first.probability * NEAR);
        let in_words = |fault: &FaultProbability| {
            let title = self.playbook(&fault.fault).map_or(fault.fault.as_str(), |playbook| &playbook.title);
            format!("{title} ({})", write_percent(fault.probability))
        };
        near.take(MOST_NAMED).map(in_words).collect::<Vec<_>>().join(" or ")
    }
}

fn what_is_missing(playbooks: &[Playbook], lockout: Option<&Lockout>) -> Vec<PlaybookError> {
    let mut errors = Vec::new();
    if lockout.is_none() {
        errors.push(of_library("playbooks", "no lockout file", &format!("`{LOCKOUT}`")));
    }
    let known = |name: &str| playbooks.iter().any(|playbook| playbook.name == name);
    if !known(UNKNOWN) {
        errors.push(of_library("playbooks", "no playbook for faults that have none", &format!("`{UNKNOWN}.toml`")));
    }
    for playbook in playbooks {
        for other in playbook.looks_like.iter().filter(|other| !known(other)) {
            let origin = format!("{}.toml", playbook.name);
            errors.push(of_library(&origin, &format!("`looks_like` {other:?}"), "a playbook's name"));
        }
    }
    errors
}

fn of_library(origin: &str, found: &str, expected: &str) -> PlaybookError {
    PlaybookError {
        origin: origin.to_owned(),
        line: None,
        kind: Defect::Library,
        found: found.to_owned(),
        expected: expected.to_owned(),
        remedy: "add, rename or remove a file of the folder".to_owned(),
    }
}

const GENERIC: &str = "generic";
const UNKNOWN: &str = "generic/unknown";
const LOCKOUT: &str = "lockout.toml";
const NOT_NAMED: &str = "not known";
/// A fault at least this many times as probable as the first is named beside it.
const NEAR: f64 = 0.5;
const MOST_NAMED: usize = 2;

macro_rules! shipped {
    ($($file:literal),+ $(,)?) => {
        [$(PlaybookFile {
            origin: concat!("firmware-config/playbooks/", $file),
            text: include_str!(concat!("../../firmware-config/playbooks/", $file)),
        }),+]
    };
}

const SHIPPED: [PlaybookFile<'static>; 7] = shipped![
    "lockout.toml",
    "generic/sensor_fault.toml",
    "generic/unknown.toml",
    "hydraulic/accumulator_gas_leakage.toml",
    "hydraulic/cooler_degradation.toml",
    "hydraulic/internal_pump_leakage.toml",
    "hydraulic/valve_switching_lag.toml",
];
