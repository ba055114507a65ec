//! What the outbox promises across crashes, damage, a full disk and restarts.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use wheeltapper::outbox::{Durability, Entry, EntryId, Limits, Outbox, OutboxError, Publication, Recovery};

fn event(seq: u64) -> Publication {
    Publication { topic: "m/event".into(), payload: format!("event {seq}").into_bytes(), retain: false }
}

fn state(seq: u64) -> Publication {
    Publication { topic: "m/alarm".into(), payload: format!("state {seq}").into_bytes(), retain: true }
}

fn open(dir: &Path) -> (Outbox, Recovery) {
    open_with(dir, Limits::default())
}

fn open_with(dir: &Path, limits: Limits) -> (Outbox, Recovery) {
    // A process that another test is about to start holds all locks of this one until it has begun.
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        match Outbox::open(dir, limits) {
            Err(OutboxError::InUse { .. }) if Instant::now() < patience => std::thread::yield_now(),
            opened => return opened.expect("the start always continues"),
        }
    }
}

fn now() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().expect("a timestamp")
}

fn append(outbox: &mut Outbox, stream: &str, seq: u64) -> Vec<EntryId> {
    outbox.append(now(), stream, seq, &[event(seq), state(seq)]).expect("a sound transition")
}

fn drain(outbox: &mut Outbox) -> Vec<Entry> {
    std::iter::from_fn(|| outbox.next_unsent()).collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(dir).expect("the directory is there").flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

#[test]
fn what_is_synced_survives_and_comes_out_in_order_with_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovery) = open(dir.path());
    assert!(recovery.is_clean());
    let mut ids = Vec::new();
    for seq in 1..=3 {
        ids.extend(append(&mut outbox, "a", seq));
    }
    assert_eq!(outbox.sync(), Durability::Synced);
    outbox.acknowledged(ids[0]);
    drop(outbox);

    let (mut outbox, recovery) = open(dir.path());
    assert_eq!((recovery.transitions, recovery.unacknowledged), (3, 6), "the confirmation was lazy: it is sent again");
    let entries = drain(&mut outbox);
    assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), ids);
    assert!(entries.iter().all(|entry| !entry.first_attempt), "an earlier run may have sent them");
    assert_eq!(entries[4].publication, event(3));
    assert_eq!(entries[5].publication, state(3));
}

#[test]
fn nothing_is_handed_out_before_it_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    append(&mut outbox, "a", 1);
    assert_eq!(outbox.next_unsent(), None);
    assert_eq!(outbox.sync(), Durability::Synced);
    assert!(drain(&mut outbox).iter().all(|entry| entry.first_attempt));
}

#[test]
fn a_confirmation_that_was_written_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    let ids = append(&mut outbox, "a", 1);
    assert_eq!(outbox.sync(), Durability::Synced);
    ids.into_iter().for_each(|id| outbox.acknowledged(id));
    assert_eq!(outbox.maintain(now()), Durability::Synced);
    drop(outbox);
    let (mut outbox, recovery) = open(dir.path());
    assert_eq!(recovery.unacknowledged, 0);
    assert_eq!(outbox.next_unsent(), None);
}

#[test]
fn what_was_lost_on_the_way_takes_its_old_place() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    (1..=3).for_each(|seq| _ = outbox.append(now(), "a", seq, &[event(seq)]).unwrap());
    assert_eq!(outbox.sync(), Durability::Synced);
    let out = drain(&mut outbox);
    outbox.acknowledged(out[1].id);
    outbox.hand_back(&out.iter().map(|entry| entry.id).collect::<Vec<_>>());
    let again: Vec<_> = drain(&mut outbox).into_iter().map(|entry| (entry.id, entry.first_attempt)).collect();
    assert_eq!(again, [(out[0].id, false), (out[2].id, false)]);
}

#[test]
fn an_older_state_never_follows_a_newer_one_that_went_out() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    let (old, new) = (append(&mut outbox, "a", 1), append(&mut outbox, "a", 2));
    assert_eq!(outbox.sync(), Durability::Synced);
    drain(&mut outbox);
    outbox.acknowledged(new[1]);
    outbox.hand_back(&[old[0], old[1]]);
    let again: Vec<_> = drain(&mut outbox).into_iter().map(|entry| entry.id).collect();
    assert_eq!(again, [old[0]], "the event, not the state");
    assert_eq!(outbox.counters().superseded, 1);
}

#[test]
fn after_a_restart_every_machine_has_its_seq_and_its_newest_state_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open_with(dir.path(), Limits { kept: 2, segment: 100, ..Limits::default() });
    append(&mut outbox, "quiet", 1);
    outbox.append(now(), "quiet", 2, &[event(2)]).unwrap();
    assert_eq!(outbox.sync(), Durability::Synced);
    for seq in 1..=200 {
        append(&mut outbox, "busy", seq);
        assert_eq!(outbox.sync(), Durability::Synced);
        drain(&mut outbox).into_iter().for_each(|entry| outbox.acknowledged(entry.id));
        assert_eq!(outbox.maintain(now()), Durability::Synced);
    }
    assert!(outbox.bytes() < 8_000, "what is not needed is gone: {} bytes", outbox.bytes());
    drop(outbox);
    let (mut outbox, recovery) = open(dir.path());
    assert!(recovery.is_clean());
    let newest = outbox.newest("quiet").unwrap();
    assert_eq!((newest.seq, newest.state), (2, Some(&state(1))));
    assert_eq!((outbox.seq("busy"), outbox.seq("unknown")), (200, 0));
    assert_eq!(outbox.newest_states().count(), 2);
    outbox.reannounce(0, Timestamp::MIN);
    let announced: Vec<_> = drain(&mut outbox).into_iter().map(|entry| entry.publication).collect();
    assert_eq!(announced, [state(1), state(200)]);
}

#[test]
fn the_kept_tail_is_replayed_from_any_seq() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open_with(dir.path(), Limits { kept: 10, ..Limits::default() });
    for seq in 1..=30 {
        append(&mut outbox, "a", seq);
        outbox.append(now(), "b", seq, &[event(seq)]).unwrap();
        assert_eq!(outbox.sync(), Durability::Synced);
        for entry in drain(&mut outbox) {
            outbox.acknowledged(entry.id);
        }
    }
    let replayed: Vec<_> = outbox.replay("a", 28).map(|entry| (entry.seq, entry.publication)).collect();
    assert_eq!(
        replayed,
        [(28, event(28)), (28, state(28)), (29, event(29)), (29, state(29)), (30, event(30)), (30, state(30))]
    );
    let seqs = |stream| outbox.replay(stream, 0).map(|entry| entry.seq).min();
    assert_eq!((seqs("a"), seqs("b")), (Some(26), Some(26)), "ten transitions are kept, over all streams");
    outbox.reannounce(4, Timestamp::MIN);
    let again: Vec<_> =
        drain(&mut outbox).into_iter().map(|entry| (entry.stream, entry.seq, entry.publication)).collect();
    let b = |seq| ("b".to_owned(), seq, event(seq));
    let a = |seq, publication| ("a".to_owned(), seq, publication);
    assert_eq!(again, [a(29, event(29)), b(29), a(30, event(30)), a(30, state(30)), b(30)], "no old state among them");
}

#[test]
fn a_record_cut_at_any_byte_is_cut_off_and_costs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    append(&mut outbox, "a", 1);
    assert_eq!(outbox.sync(), Durability::Synced);
    let before = outbox.bytes();
    append(&mut outbox, "a", 2);
    assert_eq!(outbox.sync(), Durability::Synced);
    drop(outbox);
    let whole = fs::read(&segments(dir.path())[0]).unwrap();
    for length in before as usize..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("outbox-0000000001.seg"), &whole[..length]).unwrap();
        let (mut outbox, recovery) = open(dir.path());
        assert_eq!(recovery.torn_bytes, length as u64 - before);
        assert_eq!((recovery.transitions, outbox.seq("a")), (1, 1));
        // And it goes on as if nothing had been.
        append(&mut outbox, "a", 2);
        assert_eq!(outbox.sync(), Durability::Synced);
        drop(outbox);
        let (outbox, recovery) = open(dir.path());
        assert!(recovery.is_clean(), "{recovery:?}");
        assert_eq!(outbox.seq("a"), 2);
    }
}

#[test]
fn a_file_cut_inside_its_header_or_left_as_zeros_is_an_unfinished_creation() {
    for content in [vec![], b"WTOUT".to_vec(), vec![0; 32]] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("outbox-0000000007.seg"), &content).unwrap();
        let (_, recovery) = open(dir.path());
        assert!(recovery.quarantined.is_empty());
        assert_eq!(recovery.torn_bytes, content.len() as u64);
        assert!(segments(dir.path()).is_empty());
    }
}

#[test]
fn a_flipped_bit_costs_one_transition_and_the_file_is_set_aside_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    for seq in 1..=9 {
        append(&mut outbox, "a", seq);
    }
    assert_eq!(outbox.sync(), Durability::Synced);
    drop(outbox);
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let hit = bytes.len() / 2;
    bytes[hit] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let (mut outbox, recovery) = open(dir.path());
    assert_eq!(recovery.transitions, 8);
    let [aside] = &recovery.quarantined[..] else { panic!("{recovery:?}") };
    assert_eq!((aside.name.as_str(), aside.rescued), ("outbox-0000000001.seg", 8));
    assert!(aside.reason.contains("checksum"), "{}", aside.reason);
    assert_eq!(fs::read(aside.moved_to.as_ref().unwrap()).unwrap(), bytes);
    assert_eq!(drain(&mut outbox).len(), 16);
    drop(outbox);
    let (_, recovery) = open(dir.path());
    assert!(recovery.is_clean(), "the rescued ones stand in a sound file now: {recovery:?}");
    assert_eq!(recovery.transitions, 8);
}

#[test]
fn foreign_files_copies_and_newer_versions_are_set_aside_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    append(&mut outbox, "a", 1);
    assert_eq!(outbox.sync(), Durability::Synced);
    drop(outbox);
    let sound = fs::read(&segments(dir.path())[0]).unwrap();
    let mut newer = sound.clone();
    newer[8] = 9;
    let crc = crc32fast::hash(&newer[..28]).to_le_bytes();
    newer[28..32].copy_from_slice(&crc);
    let mut damaged = sound.clone();
    damaged[20] ^= 1;
    let cases: [(&str, &[u8], &str); 5] = [
        ("notes.txt", b"hello", "not a file of the outbox"),
        ("outbox-0000000002.seg", &sound, "a copy of segment 1"),
        ("outbox-0000000003.seg", &newer, "version 9"),
        ("outbox-0000000004.seg", &damaged, "header fails"),
        ("outbox-0000000005.seg", b"PK\x03\x04...............................", "does not begin"),
    ];
    for (name, content, _) in cases {
        fs::write(dir.path().join(name), content).unwrap();
    }
    fs::write(dir.path().join("outbox-0000000006.seg.unfinished"), b"half").unwrap();
    let (mut outbox, recovery) = open(dir.path());
    assert_eq!(recovery.transitions, 1);
    for (name, content, reason) in cases {
        let aside = recovery.quarantined.iter().find(|aside| aside.name == name).expect(name);
        assert!(aside.reason.contains(reason), "{name}: {}", aside.reason);
        assert_eq!(fs::read(aside.moved_to.as_ref().unwrap()).unwrap(), content);
    }
    assert!(!dir.path().join("outbox-0000000006.seg.unfinished").exists());
    append(&mut outbox, "a", 2);
    assert_eq!(outbox.sync(), Durability::Synced);
}

#[test]
fn a_crash_between_a_rewrite_and_the_removal_of_its_sources_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    append(&mut outbox, "a", 1);
    append(&mut outbox, "a", 2);
    assert_eq!(outbox.sync(), Durability::Synced);
    drop(outbox);
    let path = segments(dir.path()).remove(0);
    let sound = fs::read(&path).unwrap();
    let mut damaged = sound.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&path, damaged).unwrap();
    drop(open(dir.path()));
    // The rescue wrote transition 1 into a new file; put the source back beside it.
    fs::write(&path, sound).unwrap();
    let (mut outbox, recovery) = open(dir.path());
    assert_eq!((recovery.transitions, recovery.unacknowledged), (2, 4));
    assert_eq!(drain(&mut outbox).len(), 4);
}

#[test]
fn a_full_outbox_drops_confirmed_first_then_the_oldest_and_never_a_newest_state() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 64 << 10, segment: 4 << 10, ..Limits::default() };
    let (mut outbox, _) = open_with(dir.path(), limits);
    append(&mut outbox, "quiet", 1);
    assert_eq!(outbox.sync(), Durability::Synced);
    let confirmed = drain(&mut outbox);
    confirmed.iter().for_each(|entry| outbox.acknowledged(entry.id));
    for seq in 1..=2_000 {
        append(&mut outbox, "busy", seq);
        assert_eq!(outbox.sync(), Durability::Synced);
        assert!(outbox.bytes() <= limits.bytes + limits.segment, "{} bytes after {seq}", outbox.bytes());
    }
    let counters = outbox.counters();
    assert!(counters.dropped_unacknowledged > 1_000, "{counters:?}");
    assert_eq!(outbox.newest("quiet").unwrap().state, Some(&state(1)));
    drop(outbox);
    let (outbox, recovery) = open_with(dir.path(), limits);
    assert!(recovery.is_clean());
    assert_eq!(outbox.newest("quiet").unwrap().state, Some(&state(1)));
    let kept: Vec<_> = outbox.replay("busy", 0).map(|entry| entry.seq).collect();
    assert!(kept.windows(2).all(|pair| pair[1] - pair[0] <= 1), "only the oldest are gone");
    assert_eq!(kept.last(), Some(&2_000));
}

#[test]
fn what_is_too_old_goes_unless_it_is_newest_or_its_clock_was_not_set() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    outbox.append(Timestamp::UNIX_EPOCH, "a", 1, &[event(1)]).unwrap();
    (2..=4).for_each(|seq| _ = append(&mut outbox, "a", seq));
    assert_eq!(outbox.sync(), Durability::Synced);
    assert_eq!(outbox.maintain(now() + Duration::from_secs(31 * 86_400)), Durability::Synced);
    let kept: Vec<_> = outbox.replay("a", 0).map(|entry| entry.seq).collect();
    assert_eq!(kept, [1, 4, 4]);
    assert_eq!(outbox.counters().dropped_unacknowledged, 2);
}

#[test]
fn sparse_files_are_rewritten_and_confirmations_move_along() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { kept: 5, segment: 1_000, ..Limits::default() };
    let (mut outbox, _) = open_with(dir.path(), limits);
    for seq in 1..=400 {
        append(&mut outbox, &format!("m{}", seq % 7), seq);
        assert_eq!(outbox.sync(), Durability::Synced);
        drain(&mut outbox).into_iter().for_each(|entry| outbox.acknowledged(entry.id));
        assert_eq!(outbox.maintain(now()), Durability::Synced);
    }
    assert!(segments(dir.path()).len() <= 10, "{:?}", segments(dir.path()));
    assert!(outbox.bytes() < 20_000);
    drop(outbox);
    let (outbox, recovery) = open_with(dir.path(), limits);
    assert!(recovery.is_clean());
    assert_eq!(recovery.unacknowledged, 0);
    assert_eq!(outbox.newest_states().count(), 7);
}

#[test]
fn a_confirmation_outlives_the_file_that_it_stood_in() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { kept: 0, segment: 1_000, ..Limits::default() };
    let (mut outbox, _) = open_with(dir.path(), limits);
    let large = Publication { payload: vec![1; 2_000], ..state(1) };
    outbox.append(now(), "quiet", 1, &[large]).unwrap();
    for seq in 1..=100 {
        append(&mut outbox, "busy", seq);
        assert_eq!(outbox.sync(), Durability::Synced);
        drain(&mut outbox).into_iter().for_each(|entry| outbox.acknowledged(entry.id));
        assert_eq!(outbox.maintain(now()), Durability::Synced);
    }
    drop(outbox);
    assert!(segments(dir.path())[0].ends_with("outbox-0000000001.seg"), "the large one stands where it stood");
    let (mut outbox, recovery) = open(dir.path());
    let waiting: Vec<_> = drain(&mut outbox).into_iter().map(|entry| (entry.stream, entry.seq)).collect();
    assert!(recovery.is_clean() && waiting.is_empty(), "sent again: {waiting:?}");
}

#[test]
fn entry_numbers_are_never_used_again_even_when_their_file_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut highest = None;
    for seq in 1..=5 {
        let (mut outbox, _) = open(dir.path());
        let ids = append(&mut outbox, "a", seq);
        assert!(Some(ids[0]) > highest, "{ids:?} after {highest:?}");
        highest = ids.last().copied();
        assert_eq!(outbox.sync(), Durability::Synced);
        drop(outbox);
        let (mut outbox, _) = open(dir.path());
        drain(&mut outbox).into_iter().for_each(|entry| outbox.acknowledged(entry.id));
        assert_eq!(outbox.maintain(now()), Durability::Synced);
        drop(outbox);
        // Only the file with the confirmations is left.
        let files = segments(dir.path());
        files[..files.len() - 1].iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}

#[test]
fn a_disk_that_refuses_degrades_and_heals_without_losing_a_transition() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("outbox");
    let (mut outbox, _) = open(&at);
    append(&mut outbox, "a", 1);
    assert_eq!(outbox.sync(), Durability::Synced);
    drop(outbox);
    let (mut outbox, _) = open(&at);
    // A directory that has gone refuses like a full disk, also for root.
    let away = dir.path().join("away");
    fs::rename(&at, &away).unwrap();
    for seq in 2..=1_500 {
        append(&mut outbox, "a", seq);
    }
    let Durability::Degraded { cause, in_memory } = outbox.sync() else { panic!("the directory is gone") };
    assert!(!cause.is_empty() && in_memory == 1_000, "{cause}, {in_memory}");
    assert!(outbox.degraded().is_some());
    assert_eq!(outbox.counters().dropped_unacknowledged, 499);
    let handed_out = drain(&mut outbox);
    assert_eq!(handed_out.len(), 2 + 2_000, "it goes out from memory meanwhile");
    fs::rename(&away, &at).unwrap();
    assert_eq!(outbox.maintain(now()), Durability::Synced);
    assert_eq!(outbox.degraded(), None);
    drop(outbox);
    let (outbox, recovery) = open(&at);
    assert_eq!((recovery.transitions, outbox.seq("a")), (1_001, 1_500));
}

/// Appends and syncs until it is killed, and says each seq that is on disk; a process of its own for the test below.
#[test]
#[ignore = "run by a_kill_at_any_time_costs_nothing_that_was_synced"]
fn writer_to_be_killed() {
    let Some(dir) = std::env::var_os("OUTBOX_OF_WRITER") else { return };
    let (mut outbox, _) = open_with(Path::new(&dir), Limits { segment: 2_000, kept: 20, ..Limits::default() });
    for seq in outbox.seq("a") + 1.. {
        append(&mut outbox, "a", seq);
        assert_eq!(outbox.sync(), Durability::Synced);
        println!("synced {seq}");
        // Some are never confirmed, so that there is something to rewrite.
        drain(&mut outbox)
            .into_iter()
            .filter(|entry| entry.seq % 9 != 0 || entry.publication.retain)
            .for_each(|entry| outbox.acknowledged(entry.id));
        _ = outbox.maintain(now());
    }
}

#[test]
fn a_kill_at_any_time_costs_nothing_that_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_to_be_killed", "--ignored", "--nocapture"])
            .env("OUTBOX_OF_WRITER", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut seqs = lines.filter_map(|line| line.rsplit_once("synced ")?.1.parse::<u64>().ok());
        let mut last = seqs.nth(10 + round * 3).unwrap();
        std::thread::sleep(Duration::from_micros(371 * round as u64));
        writer.kill().unwrap();
        last = seqs.last().unwrap_or(last);
        writer.wait().unwrap();
        let (outbox, recovery) = open(dir.path());
        assert!(recovery.quarantined.is_empty(), "{recovery:?}");
        assert!(outbox.seq("a") >= last, "round {round}: synced {last}, found {}", outbox.seq("a"));
        let events = outbox.replay("a", 0).filter(|entry| entry.seq % 9 == 0 && !entry.publication.retain);
        assert!(events.count() as u64 >= last / 9, "an unconfirmed event is gone");
    }
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    let error = Outbox::open(dir.path(), Limits::default()).unwrap_err();
    assert!(matches!(&error, OutboxError::InUse { .. }) && error.to_string().contains("another process"));
}

#[test]
fn a_path_that_is_no_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Outbox::open(&file, Limits::default()).unwrap_err();
    assert!(matches!(&error, OutboxError::Unusable { path, .. } if *path == file), "{error}");
}

#[test]
fn a_transition_that_cannot_be_kept_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    append(&mut outbox, "a", 5);
    let mut refused = |seq, publications: &[Publication]| outbox.append(now(), "a", seq, publications).unwrap_err();
    assert!(matches!(refused(4, &[event(4)]), OutboxError::SeqWentBack { newest: 5, found: 4, .. }));
    assert!(matches!(refused(6, &[]), OutboxError::Count { found: 0, .. }));
    assert!(matches!(refused(6, &vec![event(6); 9]), OutboxError::Count { found: 9, .. }));
    let long = Publication { topic: "t".repeat(70_000), ..event(6) };
    assert!(matches!(refused(6, &[long]), OutboxError::TooLong { what: "a topic", .. }));
    let large = Publication { payload: vec![0; 5 << 20], ..event(6) };
    assert!(matches!(refused(6, &[large]), OutboxError::TooLong { what: "a payload", .. }));
    assert_eq!(outbox.seq("a"), 5);
}
