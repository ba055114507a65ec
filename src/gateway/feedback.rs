use jiff::Timestamp;

use crate::acquisition::Name;
use crate::alarm::State;
use crate::command::Finding;
use crate::history::{Journal, JournalError, PlaybookIdentity, Record};
use crate::machine::Machine;
use crate::outbox::Outbox;
use crate::publication::{AlarmPayload, show_stamp};

/// Takes what people found at their machines and keeps it beside what the gateway had said.
pub(super) struct FeedbackDesk {
    journal: Journal,
    gateway: Name,
}

/// Why a finding was not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedbackError {
    #[error("the machine has no open episode; name the closed one that is meant with `episode`")]
    NoEpisode,
    #[error(
        "the episode {0} is not known here; verdicts are taken for the open episode, and for a closed one as long as its \
         alarm is kept"
    )]
    UnknownEpisode(String),
    #[error("the verdict cannot be kept: {0}")]
    NotKept(#[from] JournalError),
}

impl FeedbackDesk {
    pub fn new(journal: Journal, gateway: Name) -> Self {
        Self { journal, gateway }
    }

    /// Keeps a finding; on disk when it returns. One that was kept before, by this run or an earlier one, is not kept again.
    pub fn take(
        &self,
        finding: Finding,
        machine: &Machine,
        outbox: &Outbox,
        now: Timestamp,
    ) -> Result<(), FeedbackError> {
        let Finding { id, operator, episode, verdict, comment } = finding;
        let name = machine.name();
        if self.journal.holds(name, &id)? {
            return Ok(());
        }
        let open = machine.standing().filter(|standing| standing.state != State::Normal);
        let episode = episode.or_else(|| open.map(|open| open.episode.clone())).ok_or(FeedbackError::NoEpisode)?;
        let Some(said) = said_of(&episode, name, outbox) else { return Err(FeedbackError::UnknownEpisode(episode)) };
        let model = said.model().clone();
        let (_, told) = said.standing();
        let playbook =
            told.recommendation.map(|advice| PlaybookIdentity { name: advice.playbook, version: advice.version });
        self.journal.append(&Record {
            v: 1,
            time: show_stamp(now),
            id,
            machine: name.clone(),
            gateway: self.gateway.clone(),
            episode,
            verdict,
            operator,
            comment,
            diagnosis: told.diagnosis,
            playbook,
            model,
        })?;
        Ok(())
    }
}

/// What was said last of an episode while its alarm stood: behind its return the readings are those of a sound machine.
fn said_of(episode: &str, machine: &Name, outbox: &Outbox) -> Option<AlarmPayload> {
    let (mut standing, mut any) = (None, None);
    for entry in outbox.replay(machine.as_str(), 1).filter(|entry| entry.publication.retain) {
        let payload = AlarmPayload::from_json(&entry.publication.payload);
        let Some(payload) = payload.filter(|payload| payload.episode() == episode) else { continue };
        match payload.state() {
            State::Unacknowledged | State::Acknowledged => standing = Some(payload),
            _ => any = Some(payload),
        }
    }
    standing.or(any)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::advisory::{Library, MachineFacts};
    use crate::alarm::{Class, Severity, Standing};
    use crate::assessment::{Diagnosis, FaultProbability, Verdict};
    use crate::machine::{Announcement, CalibrationLength, Profile, Told};
    use crate::outbox::{Limits, Publication};
    use crate::publication::Gateway;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn machine() -> Machine {
        let facts = MachineFacts::new(name("m"));
        let profile = Profile::universal(Arc::new(Library::shipped()), facts, CalibrationLength::Samples(400));
        Machine::learning(name("m"), profile)
    }

    fn standing(episode: &str, seq: u64, state: State) -> Standing {
        let now = Timestamp::UNIX_EPOCH;
        Standing {
            episode: episode.to_owned(),
            seq,
            class: Class::Condition,
            state,
            severity: Severity::Low,
            score: 1.2,
            raised: now,
            changed: now,
            sample_time: now,
            acknowledged: false,
            shelved_until: None,
            operator: None,
            reason: None,
        }
    }

    fn told(fault: &str) -> Told {
        let fault = FaultProbability { fault: fault.to_owned(), probability: 0.8 };
        Told { contributions: Vec::new(), diagnosis: Diagnosis { faults: vec![fault] }, recommendation: None }
    }

    /// An outbox with what was said about one closed episode and about an open one.
    fn outbox(folder: &Path) -> Outbox {
        let (mut outbox, _) = Outbox::open(&folder.join("outbox"), Limits::default()).unwrap();
        let gateway = Gateway { name: name("g1"), config_sha256: "0".repeat(64) };
        for (seq, episode, state, fault) in [
            (1, "closed", State::Unacknowledged, "leak"),
            (2, "closed", State::ReturnedUnacknowledged, "none any more"),
            (3, "closed", State::Normal, "none any more"),
            (4, "open", State::Unacknowledged, "valve"),
        ] {
            let transition = standing(episode, seq, state);
            let announcement = Announcement { transition, told: told(fault) };
            let payload = AlarmPayload::new(announcement, &name("m"), machine().profile().identity(), &gateway);
            let alarm = Publication { topic: "alarm".to_owned(), payload: payload.to_json(), retain: true };
            outbox.append(Timestamp::now(), "m", seq, &[alarm]).unwrap();
        }
        outbox
    }

    fn finding(id: &str, episode: Option<&str>) -> Finding {
        Finding {
            id: id.to_owned(),
            operator: "m.ito".to_owned(),
            episode: episode.map(str::to_owned),
            verdict: Verdict::Confirmed,
            comment: None,
        }
    }

    fn kept(folder: &Path) -> Vec<Record> {
        let lines = fs::read_to_string(folder.join("feedback.ndjson")).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_verdict_is_kept_beside_what_was_said_while_the_alarm_stood() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = outbox(folder.path());
        let desk = FeedbackDesk::new(Journal::in_state_dir(folder.path()), name("g1"));
        let mut machine = machine();
        let now = Timestamp::UNIX_EPOCH;
        desk.take(finding("c-1", Some("closed")), &machine, &outbox, now).unwrap();
        machine.resume(standing("open", 4, State::Unacknowledged), told("valve"));
        desk.take(finding("c-2", None), &machine, &outbox, now).unwrap();
        let kept = kept(folder.path());
        let said: Vec<(&str, &str)> =
            kept.iter().map(|record| (record.episode.as_str(), record.diagnosis.faults[0].fault.as_str())).collect();
        assert_eq!(said, [("closed", "leak"), ("open", "valve")]);
        assert_eq!(kept[0].model, machine.profile().identity());
    }

    #[test]
    fn the_same_command_is_kept_once_even_when_its_episode_has_closed_since() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = outbox(folder.path());
        let mut machine = machine();
        machine.resume(standing("open", 4, State::Unacknowledged), told("valve"));
        for state in [State::Unacknowledged, State::Normal] {
            machine.resume(standing("open", 4, state), told("valve"));
            let desk = FeedbackDesk::new(Journal::in_state_dir(folder.path()), name("g1"));
            desk.take(finding("c-1", None), &machine, &outbox, Timestamp::UNIX_EPOCH).unwrap();
        }
        assert_eq!(kept(folder.path()).len(), 1);
    }

    #[test]
    fn a_verdict_on_nothing_or_one_that_cannot_be_kept_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = outbox(folder.path());
        let machine = machine();
        let desk = FeedbackDesk::new(Journal::in_state_dir(folder.path()), name("g1"));
        let refused =
            |episode| desk.take(finding("c-1", episode), &machine, &outbox, Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(matches!(refused(None), FeedbackError::NoEpisode));
        assert!(matches!(refused(Some("another")), FeedbackError::UnknownEpisode(named) if named == "another"));
        assert_eq!(kept(folder.path()), []);
        fs::create_dir(folder.path().join("feedback.ndjson")).unwrap();
        assert!(matches!(refused(Some("closed")), FeedbackError::NotKept(_)));
    }
}
