//! The outbox against a model in memory, through any order of calls, kills and torn writes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Durability, EntryId, Limits, Outbox, Publication, Recovery};

#[derive(Clone, Debug)]
enum Step {
    Append {
        stream: u8,
        publications: Vec<(u8, bool)>,
    },
    Sync,
    Take,
    Acknowledge(usize),
    HandBack(usize),
    Maintain,
    /// Kill and restart; with a torn write of so many bytes at the end of the newest file.
    Crash {
        torn: Option<u8>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..4, prop::collection::vec((0u8..40, any::<bool>()), 1..4))
            .prop_map(|(stream, publications)| Step::Append { stream, publications }),
        4 => Just(Step::Sync),
        6 => Just(Step::Take),
        4 => (0usize..8).prop_map(Step::Acknowledge),
        2 => (0usize..8).prop_map(Step::HandBack),
        1 => Just(Step::Maintain),
        1 => prop::option::of(0u8..100).prop_map(|torn| Step::Crash { torn }),
    ]
}

/// What must still come out: every synced publication that was not confirmed.
#[derive(Clone, Default)]
struct Model {
    synced: BTreeMap<EntryId, (String, u64, Publication)>,
    unsynced: BTreeMap<EntryId, (String, u64, Publication)>,
    out: Vec<EntryId>,
    /// Confirmed in this run; a crash may forget some.
    confirmed: BTreeMap<EntryId, (String, u64, Publication)>,
    states: BTreeMap<String, Publication>,
    seqs: BTreeMap<String, u64>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_calls_and_crashes_loses_or_reorders_an_unconfirmed_entry(steps in prop::collection::vec(step(), 1..120)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut outbox, mut model) = (open(dir.path()).0, Model::default());
        for step in steps {
            match step {
                Step::Append { stream, publications } => {
                    let stream = format!("m{stream}");
                    let seq = outbox.seq(&stream) + 1;
                    let publications: Vec<_> = publications
                        .into_iter()
                        .enumerate()
                        // A topic of its own for each, so that no state supersedes another.
                        .map(|(nth, (size, retain))| Publication {
                            topic: format!("{stream}/{seq}/{nth}"),
                            payload: vec![size; usize::from(size)],
                            retain,
                        })
                        .collect();
                    let ids = outbox.append(now(), &stream, seq, &publications).unwrap();
                    prop_assert!(model.synced.keys().chain(model.confirmed.keys()).all(|known| *known < ids[0]));
                    let entries = publications.into_iter().map(|publication| (stream.clone(), seq, publication));
                    model.unsynced.extend(ids.into_iter().zip(entries));
                }
                Step::Sync | Step::Maintain => {
                    let durability = if let Step::Sync = step { outbox.sync() } else { outbox.maintain(now()) };
                    prop_assert_eq!(durability, Durability::Synced);
                    for (id, (stream, seq, publication)) in std::mem::take(&mut model.unsynced) {
                        if publication.retain {
                            model.states.insert(stream.clone(), publication.clone());
                        }
                        model.seqs.insert(stream.clone(), seq);
                        model.synced.insert(id, (stream, seq, publication));
                    }
                }
                Step::Take => {
                    let expected = model.synced.keys().find(|id| !model.out.contains(id)).copied();
                    let entry = outbox.next_unsent();
                    prop_assert_eq!(entry.as_ref().map(|entry| entry.id), expected);
                    if let Some(entry) = entry {
                        prop_assert_eq!(&(entry.stream, entry.seq, entry.publication), &model.synced[&entry.id]);
                        model.out.push(entry.id);
                    }
                }
                Step::Acknowledge(nth) => if nth < model.out.len() {
                    let id = model.out.swap_remove(nth);
                    outbox.acknowledged(id);
                    model.confirmed.extend(model.synced.remove_entry(&id));
                },
                Step::HandBack(nth) => if nth < model.out.len() {
                    outbox.hand_back(&[model.out.swap_remove(nth)]);
                },
                Step::Crash { torn } => {
                    drop(outbox);
                    if let (Some(torn), Some(newest)) = (torn, newest_segment(dir.path())) {
                        let mut bytes = fs::read(&newest).unwrap();
                        bytes.extend([&[200, 0, 0, 0][..], &vec![7; usize::from(torn)]].concat());
                        fs::write(newest, bytes).unwrap();
                    }
                    let recovery;
                    (outbox, recovery) = open(dir.path());
                    prop_assert!(recovery.quarantined.is_empty(), "{:?}", recovery);
                    model.out.clear();
                    model.unsynced.clear();
                    // Confirmations may be forgotten: what comes back must be known, and nothing may be missing.
                    let waiting: Vec<_> = std::iter::from_fn(|| outbox.next_unsent()).collect();
                    for entry in &waiting {
                        if let Some(forgotten) = model.confirmed.remove_entry(&entry.id) {
                            model.synced.extend([forgotten]);
                        }
                    }
                    let ids: Vec<_> = waiting.iter().map(|entry| entry.id).collect();
                    prop_assert_eq!(&ids, &model.synced.keys().copied().collect::<Vec<_>>());
                    outbox.hand_back(&ids);
                    for (stream, seq) in &model.seqs {
                        let newest = outbox.newest(stream).unwrap();
                        prop_assert_eq!(newest.seq, *seq);
                        prop_assert_eq!(newest.state, model.states.get(stream));
                    }
                }
            }
        }
    }
}

fn open(dir: &Path) -> (Outbox, Recovery) {
    let limits = Limits { segment: 300, kept: 1_000, ..Limits::default() };
    Outbox::open(dir, limits).expect("the start always continues")
}

fn now() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().expect("a timestamp")
}

fn newest_segment(dir: &Path) -> Option<PathBuf> {
    let paths = fs::read_dir(dir).expect("the directory is there").flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).max()
}
