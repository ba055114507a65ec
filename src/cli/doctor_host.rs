//! What the gateway's own machine has to offer: a clock, a disk, certificates that are still valid.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::statvfs;

use super::finding::Finding;
use crate::outbox::Limits;
use crate::transport::Ends;

/// Whether the time of alarms can be believed.
pub(super) fn clock() -> Finding {
    judge_clock(Timestamp::now(), synchronized())
}

/// Whether what must survive a power cut finds its place.
pub(super) fn disk(state_dir: &Path) -> Vec<Finding> {
    let shown = state_dir.display();
    // What is not there yet is made by the daemon, in the folder above.
    let ancestors =
        || state_dir.ancestors().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let Some(existing) = ancestors().find(|folder| folder.exists()) else {
        return vec![Finding::fail("state folder", format!("no part of {shown} exists"), "set state_dir to a folder")];
    };
    let writable = match try_write(existing) {
        Ok(()) if existing == state_dir => Finding::ok("state folder", format!("{shown} can be written")),
        Ok(()) => Finding::ok("state folder", format!("{shown} is not there yet and can be made")),
        Err(error) => Finding::fail(
            "state folder",
            format!("{} cannot be written by this user: {error}", existing.display()),
            "run doctor as the daemon's user; if it fails then, give that user the folder (systemd: StateDirectory=)",
        ),
    };
    let space = match statvfs(existing) {
        Ok(found) => judge_space(found.f_bavail.saturating_mul(found.f_frsize), kept_in(&state_dir.join("outbox"))),
        Err(error) => Finding::skipped("disk", format!("the free space is not told: {error}"), "look with `df`"),
    };
    vec![writable, space]
}

/// How long the certificates are still good for.
pub(super) fn certificates(ends: Ends, broker: Option<Timestamp>, now: Timestamp) -> Vec<Finding> {
    let all = [
        ("ca_file", ends.ca, "give the authority's new certificate as mqtt.tls.ca_file; no restart is needed"),
        ("cert_file", ends.own, "have mqtt.tls.cert_file renewed; the daemon takes it up without a restart"),
        ("broker's", broker, "have the broker's certificate renewed"),
    ];
    all.into_iter().filter_map(|(which, end, advice)| Some(judge_certificate(which, end?, advice, now))).collect()
}

fn judge_clock(now: Timestamp, synchronized: Option<bool>) -> Finding {
    let year = now.strftime("%Y").to_string();
    if year.as_str() < "2024" {
        let advice = "set it: the outbox does not believe stamps before 2024, and certificates seem not yet valid";
        return Finding::fail("clock", format!("it is {now}"), advice);
    }
    match synchronized {
        Some(true) => Finding::ok("clock", format!("{now:.0}, synchronized")),
        Some(false) => Finding::warn(
            "clock",
            format!("{now:.0}, not synchronized"),
            "enable time synchronization (`timedatectl set-ntp true`, or chrony): samples from the future are refused",
        ),
        None => Finding::skipped(
            "clock",
            format!("{now:.0}; this system does not tell whether it is synchronized"),
            "see to it that it is: samples from the future are refused",
        ),
    }
}

fn judge_space(free: u64, kept: u64) -> Finding {
    let wanted = Limits::default().bytes.saturating_sub(kept);
    let found = format!("{} MiB free, the outbox may take {} MiB more", free >> 20, wanted >> 20);
    let advice = "free some, or move state_dir: on a full disk alarms are kept in memory only";
    match free {
        // Nothing of a transition fits any more.
        free if free < 1 << 20 => Finding::fail("disk", found, advice),
        free if free < wanted => Finding::warn("disk", found, advice),
        _ => Finding::ok("disk", found),
    }
}

fn judge_certificate(which: &str, end: Timestamp, advice: &str, now: Timestamp) -> Finding {
    let check = format!("{which} end");
    let days = (end.as_second() - now.as_second()) / 86_400;
    match end {
        end if end <= now => Finding::fail(check, format!("expired on {end}"), advice),
        _ if days < SOON => Finding::warn(check, format!("expires in {days} days, on {end}"), advice),
        _ => Finding::ok(check, format!("{days} days to go, until {end}")),
    }
}

/// What the system tells, if it tells.
fn synchronized() -> Option<bool> {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Some(true);
    }
    match told_within("timedatectl", &["show", "-p", "NTPSynchronized", "--value"], PATIENCE)?.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// What a program prints, if it succeeds in time.
fn told_within(program: &str, arguments: &[&str], patience: Duration) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().ok()?;
    let deadline = Instant::now() + patience;
    loop {
        match process.try_wait() {
            Ok(Some(status)) if status.success() => {
                return io::read_to_string(process.stdout.take()?).ok();
            }
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                // It may have ended by itself meanwhile.
                _ = process.kill();
                _ = process.wait();
                return None;
            }
        }
    }
}

fn try_write(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".wheeltapper-doctor-{}", std::process::id()));
    let written = fs::write(&path, b"?").and_then(|()| fs::File::open(&path)?.sync_all());
    let removed = fs::remove_file(&path);
    written.and(removed)
}

/// Bytes of the files in a folder; none where there is no such folder.
fn kept_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file).map(|file| file.len()).sum()
}

/// Days in which a certificate should be renewed.
const SOON: i64 = 30;
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::finding::Verdict;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_certificate_warns_a_month_before_its_end_and_fails_after_it() {
        let now = at("2026-11-24T12:00:00Z");
        for (end, expected) in [
            ("2026-11-24T12:00:00Z", Verdict::Fail),
            ("2026-11-25T00:00:00Z", Verdict::Warn),
            ("2026-12-24T11:59:59Z", Verdict::Warn),
            ("2026-12-24T12:00:00Z", Verdict::Ok),
        ] {
            let ends = Ends { ca: None, own: Some(at(end)) };
            let findings = certificates(ends, None, now);
            assert_eq!(findings.iter().map(|finding| finding.outcome).collect::<Vec<_>>(), [expected], "{end}");
            assert_eq!(findings[0].advice.is_some(), expected != Verdict::Ok);
        }
    }

    #[test]
    fn a_clock_before_2024_fails_and_one_that_nobody_vouches_for_is_told_as_such() {
        assert_eq!(judge_clock(at("1970-01-01T00:01:00Z"), Some(true)).outcome, Verdict::Fail);
        let now = at("2026-11-24T12:00:00Z");
        for (synchronized, expected) in
            [(Some(true), Verdict::Ok), (Some(false), Verdict::Warn), (None, Verdict::Skipped)]
        {
            assert_eq!(judge_clock(now, synchronized).outcome, expected);
        }
    }

    #[test]
    fn what_the_outbox_has_already_is_not_asked_of_the_disk_again() {
        let full = Limits::default().bytes;
        assert_eq!(judge_space(full, 0).outcome, Verdict::Ok);
        assert_eq!(judge_space(full - 1, 0).outcome, Verdict::Warn);
        assert_eq!(judge_space(full / 2, full / 2).outcome, Verdict::Ok);
        assert_eq!(judge_space(1000, full).outcome, Verdict::Fail);
    }

    #[test]
    fn a_state_folder_that_is_not_there_leaves_nothing_behind_when_it_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let findings = disk(&folder.path().join("a/b"));
        assert_eq!(findings[0].outcome, Verdict::Ok, "{findings:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(disk(Path::new("no-such-folder/b"))[0].outcome, Verdict::Ok, "a relative one");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(disk(&file)[0].outcome, Verdict::Fail);
    }

    #[test]
    fn a_program_that_hangs_or_fails_tells_nothing() {
        assert_eq!(told_within("sleep", &["60"], Duration::from_millis(50)), None);
        assert_eq!(told_within("false", &[], PATIENCE), None);
        assert_eq!(told_within("no-such-program", &[], PATIENCE), None);
        assert_eq!(told_within("echo", &["yes"], PATIENCE).as_deref(), Some("yes\n"));
    }
}
