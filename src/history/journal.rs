use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Record;
use crate::acquisition::Name;

/// The file of all verdicts of a gateway, and the one before it.
pub struct Journal {
    newest: PathBuf,
    older: PathBuf,
    most_bytes: u64,
}

/// A journal that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}; check that the folder exists, can be written and has room", path.display())]
pub struct JournalError {
    path: PathBuf,
    error: io::Error,
}

impl Journal {
    pub fn in_state_dir(state_dir: &Path) -> Self {
        Self {
            newest: state_dir.join("feedback.ndjson"),
            older: state_dir.join("feedback.old.ndjson"),
            most_bytes: MOST_BYTES,
        }
    }

    /// Whether the verdict of a machine's command is kept already.
    pub fn holds(&self, machine: &Name, id: &str) -> Result<bool, JournalError> {
        for path in [&self.newest, &self.older] {
            let lines = match fs::read(path) {
                Ok(lines) => lines,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(JournalError { path: path.clone(), error }),
            };
            // A line that was cut short is no JSON.
            if lines.split(|byte| *byte == b'\n').any(|line| is_of(line, machine, id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a line, and returns only when it would survive a power cut.
    pub fn append(&self, record: &Record) -> Result<(), JournalError> {
        // Texts and finite numbers: nothing JSON cannot write.
        let mut line = serde_json::to_vec(record).expect("a record is always JSON");
        line.push(b'\n');
        self.write(&line).map_err(|error| JournalError { path: self.newest.clone(), error })
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        let folder = self.newest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let (mut file, mut length) = open(&self.newest)?;
        if length > 0 && length + line.len() as u64 > self.most_bytes {
            fs::rename(&self.newest, &self.older)?;
            (file, length) = open(&self.newest)?;
        }
        let written = file.write_all(line).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Whoever gave the verdict is told that it is not kept; what is left of it is removed now or before the next one.
            let _ = file.set_len(length);
            return Err(error);
        }
        if length == 0 { File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

/// What tells one line from another.
#[derive(Deserialize)]
struct Key<'l> {
    #[serde(borrow)]
    machine: Cow<'l, str>,
    #[serde(borrow)]
    id: Cow<'l, str>,
}

/// Opens the file at its end, which is behind a whole line, and tells where that is.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut lines = Vec::new();
    file.read_to_end(&mut lines)?;
    let ended = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let mut length = ended as u64;
    if ended < lines.len() {
        if serde_json::from_slice::<Record>(&lines[ended..]).is_ok() {
            file.write_all(b"\n")?;
            length = lines.len() as u64 + 1;
        } else {
            file.set_len(length)?;
        }
    }
    file.seek(SeekFrom::Start(length))?;
    Ok((file, length))
}

fn is_of(line: &[u8], machine: &Name, id: &str) -> bool {
    serde_json::from_slice(line).is_ok_and(|key: Key<'_>| key.machine == machine.as_str() && key.id == id)
}

const MOST_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assessment::{Diagnosis, FaultProbability, Verdict};
    use crate::history::PlaybookIdentity;
    use crate::machine::ModelIdentity;

    fn record(id: &str) -> Record {
        let name = |text| Name::parse(text).unwrap();
        let fault = FaultProbability { fault: "hydraulic/internal_pump_leakage".to_owned(), probability: 0.82 };
        Record {
            v: 1,
            time: "2026-11-24T16:41:00.003Z".to_owned(),
            id: id.to_owned(),
            machine: name("press-01"),
            gateway: name("g1"),
            episode: "e-7".to_owned(),
            verdict: Verdict::Confirmed,
            operator: "m.ito".to_owned(),
            comment: Some("worn \"again\"\n".to_owned()),
            diagnosis: Diagnosis { faults: vec![fault] },
            playbook: Some(PlaybookIdentity { name: "p".to_owned(), version: "1".to_owned() }),
            model: ModelIdentity { name: "m".to_owned(), version: "1".to_owned(), sha256: "0".repeat(64) },
        }
    }

    fn holds(journal: &Journal, id: &str) -> bool {
        journal.holds(&Name::parse("press-01").unwrap(), id).unwrap()
    }

    fn records(path: &Path) -> Vec<Record> {
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_verdict_is_one_line_and_is_known_by_machine_and_id_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("not there yet");
        let journal = Journal::in_state_dir(&state_dir);
        assert!(!holds(&journal, "c-1"));
        journal.append(&record("c-1")).unwrap();
        journal.append(&record("c-\"2\"")).unwrap();
        let journal = Journal::in_state_dir(&state_dir);
        assert!(holds(&journal, "c-1") && holds(&journal, "c-\"2\"") && !holds(&journal, "c-3"));
        assert!(!journal.holds(&Name::parse("press-02").unwrap(), "c-1").unwrap(), "an id is a machine's own");
        assert_eq!(records(&state_dir.join("feedback.ndjson")), [record("c-1"), record("c-\"2\"")]);
    }

    #[test]
    fn a_line_that_a_power_cut_cut_short_is_removed_and_a_whole_one_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_state_dir(folder.path());
        let path = folder.path().join("feedback.ndjson");
        journal.append(&record("c-1")).unwrap();
        journal.append(&record("c-2")).unwrap();
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in first..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let survives = cut == whole.len() - 1;
            assert!(holds(&journal, "c-1"));
            assert_eq!(holds(&journal, "c-2"), survives, "cut at {cut}");
            journal.append(&record("c-3")).unwrap();
            assert_eq!(records(&path).len(), if survives { 3 } else { 2 }, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_is_no_record_is_passed_over_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feedback.ndjson");
        fs::write(&path, b"# checked by hand\n\xff\n{\"id\":7}\n").unwrap();
        let journal = Journal::in_state_dir(folder.path());
        journal.append(&record("c-1")).unwrap();
        assert!(holds(&journal, "c-1"));
        assert!(fs::read(&path).unwrap().starts_with(b"# checked by hand\n\xff\n{\"id\":7}\n{\"v\":1"));
    }

    #[test]
    fn the_file_has_a_bound_and_the_one_before_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::in_state_dir(folder.path());
        journal.most_bytes = 1500;
        for number in 0..10 {
            journal.append(&record(&format!("c-{number}"))).unwrap();
        }
        let [newest, older] = ["feedback.ndjson", "feedback.old.ndjson"].map(|name| folder.path().join(name));
        assert!([&newest, &older].iter().all(|path| fs::metadata(path).unwrap().len() <= 1500));
        let kept = records(&older).len() + records(&newest).len();
        assert!((4..10).contains(&kept), "{kept}");
        assert!(holds(&journal, "c-9") && holds(&journal, &format!("c-{}", 10 - kept)) && !holds(&journal, "c-0"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_journal_that_cannot_be_written_or_read_says_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("feedback.ndjson")).unwrap();
        let journal = Journal::in_state_dir(folder.path());
        for error in [
            journal.append(&record("c-1")).unwrap_err(),
            journal.holds(&Name::parse("press-01").unwrap(), "c-1").unwrap_err(),
        ] {
            assert!(error.to_string().contains("feedback.ndjson"), "{error}");
        }
    }
}
