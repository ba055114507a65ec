//! An outbox whose files are damaged between a crash and the next start, by a script.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use wheeltapper::outbox::{EntryId, Limits, Outbox, Publication};

use crate::scratch;
use crate::script::{Line, lines};

pub fn run(data: &[u8]) {
    let folder = scratch::folder();
    let mut trial = Trial::begin(folder.path());
    for line in lines(data, 150) {
        trial.step(line);
    }
    trial.reopen();
}

struct Trial<'f> {
    folder: &'f Path,
    /// Absent while the process is down.
    outbox: Option<Outbox>,
    now: Timestamp,
    out: Vec<EntryId>,
    /// The newest entry of this outbox as long as nothing but its own writes has touched the files.
    newest_id: Option<EntryId>,
    /// The newest seq on disk by stream, as long as nothing else has touched the files.
    synced: HashMap<String, u64>,
}

impl<'f> Trial<'f> {
    fn begin(folder: &'f Path) -> Self {
        let now = Timestamp::from_second(1_795_538_400).expect("a time of our age");
        let mut trial = Self { folder, outbox: None, now, out: Vec::new(), newest_id: None, synced: HashMap::new() };
        trial.reopen();
        trial
    }

    fn step(&mut self, line: Line<'_>) {
        match line.word {
            "flip" | "cut" | "more" | "record" | "file" => self.damage(line),
            "reopen" => self.reopen(),
            _ => self.call(line),
        }
    }

    /// What the gateway does.
    fn call(&mut self, line: Line<'_>) {
        let Some(outbox) = &mut self.outbox else { return };
        match line.word {
            // `append m1 retain {"a":1}`: one event and, where asked for, a retained state.
            "append" => {
                let (stream, line) = line.next();
                let (kind, line) = line.next();
                let publication =
                    |retain| Publication { topic: format!("t/{stream}/{retain}"), payload: line.rest.to_vec(), retain };
                let publications = if kind == "retain" { vec![false, true] } else { vec![false] };
                let publications: Vec<_> = publications.into_iter().map(publication).collect();
                let seq = outbox.seq(stream).saturating_add(1);
                let ids = outbox.append(self.now, stream, seq, &publications).expect("within all bounds");
                assert_eq!(ids.len(), publications.len());
                assert!(self.newest_id.is_none_or(|newest| newest < ids[0]), "an entry number was used twice");
                self.newest_id = ids.last().copied();
            }
            "sync" => {
                let _ = outbox.sync();
                self.note_synced();
            }
            "maintain" => {
                let _ = outbox.maintain(self.now);
                self.note_synced();
            }
            "take" => {
                for _ in 0..line.number::<u8>().clamp(1, 20) {
                    self.out.extend(outbox.next_unsent().map(|entry| entry.id));
                }
            }
            "confirm" if !self.out.is_empty() => {
                outbox.acknowledged(self.out.remove(line.number::<usize>() % self.out.len()));
            }
            "back" => outbox.hand_back(&std::mem::take(&mut self.out)),
            "reannounce" => _ = outbox.reannounce(line.number::<u8>().into(), Timestamp::MIN),
            "replay" => {
                let seqs: Vec<u64> = outbox.replay(line.next().0, 1).map(|entry| entry.seq).collect();
                assert!(self.newest_id.is_none() || seqs.is_sorted(), "replayed out of order: {seqs:?}");
            }
            "wait" => {
                let step = SignedDuration::from_secs(line.number::<i32>().into());
                self.now = self.now.checked_add(step).unwrap_or(self.now);
            }
            _ => {}
        }
    }

    /// What a disk, or somebody with an editor, does while the process is down.
    fn damage(&mut self, line: Line<'_>) {
        self.outbox = None;
        (self.newest_id, self.synced) = Default::default();
        if line.word == "file" {
            let (name, line) = line.next();
            let name: String =
                name.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).take(40).collect();
            _ = fs::write(self.folder.join(name), line.rest);
            return;
        }
        let Some(path) = newest_segment(self.folder) else { return };
        let mut bytes = fs::read(&path).expect("it was just listed");
        match line.word {
            "flip" => {
                let (place, line) = line.next();
                let place = place.parse::<usize>().unwrap_or_default() % bytes.len().max(1);
                bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= line.number::<u8>().max(1));
            }
            "cut" => bytes.truncate(bytes.len().saturating_sub(line.number())),
            "more" => bytes.extend(line.rest),
            // A record whose checksum is right, whatever is in it.
            _ => bytes.extend(framed(&from_hex(line.rest))),
        }
        fs::write(path, bytes).expect("the scratch folder can be written");
    }

    fn reopen(&mut self) {
        self.outbox = None;
        self.out.clear();
        let limits = Limits { segment: 300, bytes: 4000, kept: 5, in_memory: 10, ..Limits::default() };
        let (mut outbox, recovery) = Outbox::open(self.folder, limits).expect("a start always goes on");
        let (mut ids, mut waiting) = (Vec::new(), Vec::new());
        for entry in std::iter::from_fn(|| outbox.next_unsent()).take(1000) {
            waiting.push((entry.stream, entry.seq));
            ids.push(entry.id);
        }
        assert!(ids.is_sorted_by(|one, next| one < next), "handed out in another order than appended: {ids:?}");
        assert!(ids.len() <= recovery.unacknowledged, "more is waiting than was found");
        outbox.hand_back(&ids);
        for (stream, seq) in &self.synced {
            assert!(outbox.seq(stream) >= *seq, "{stream} forgot its seq {seq}");
        }
        // What was appended and never synced is gone, and its numbers with it.
        self.newest_id = None;
        self.outbox = Some(outbox);
    }

    fn note_synced(&mut self) {
        let Some(outbox) = &self.outbox else { return };
        if outbox.degraded().is_none() {
            self.synced.extend(outbox.newest_states().map(|newest| (newest.stream.to_owned(), newest.seq)));
        }
    }
}

fn newest_segment(folder: &Path) -> Option<PathBuf> {
    let paths = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).max()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    [&length[..], &hasher.finalize().to_le_bytes(), body].concat()
}

fn from_hex(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = text.iter().filter_map(|c| char::from(*c).to_digit(16)).map(|digit| digit as u8).collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}
