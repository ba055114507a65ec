//! Each row is scored from the rows up to it: what comes later changes nothing, to the last bit.

mod support {
    pub mod binary;
    pub mod made_up;
    pub mod rig;
}

use std::fs;
use std::path::Path;

use jiff::SignedDuration;

use support::binary::wheeltapper;
use support::made_up::{MadeUp, USUAL};
use support::rig::Rig;

#[test]
fn the_scores_of_a_shorter_file_are_the_start_of_the_longer_ones() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for channels in [1, 8, 52] {
        let whole = with_a_fault(channels).text(USUAL);
        let scores = scored(&whole, &[], folder.path());
        for rows in [1, 199, 201, 400, 401, 650, 701, 777, 1199] {
            let shorter = scored(&first_rows(&whole, rows), &[], folder.path());
            assert_same(&shorter, &first_rows(&scores, rows), rows);
        }
    }
}

#[test]
fn whatever_comes_later_changes_no_score_before_it() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let made_up = with_a_fault(8);
    let scores = scored(&made_up.text(USUAL), &[], folder.path());
    let kept = first_rows(&made_up.text(USUAL), 600);
    for later in [
        "2026-03-01T00:10:00Z,1e300,1,1,1,1,1,1,1\n",
        "2026-03-01T00:10:00Z,,,,,,,,\n",
        "2026-03-01T00:10:00Z,stuck,stuck\n",
        "1970-01-01T00:00:00Z,1,2,3,4,5,6,7,8,9,10\n",
        "\"\n",
    ] {
        let other = scored(&format!("{kept}{}", later.repeat(50)), &[], folder.path());
        assert_same(&first_rows(&other, 600), &first_rows(&scores, 600), 600);
    }
}

#[test]
fn the_network_of_the_hydraulic_rig_looks_at_no_later_row() {
    let Some(rig) = Rig::open() else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let recording = folder.path().join("rig.csv");
    let rows: usize = rig.write(&[130, 141, 131, 135], &recording).iter().sum();
    let whole = fs::read_to_string(&recording).expect("it was written just now");
    let scores = scored(&whole, &["--kind", "hydraulic-rig"], folder.path());
    for rows in [401, 460, 461, 599, 683, 684, 1000, rows - 1] {
        let shorter = scored(&first_rows(&whole, rows), &["--kind", "hydraulic-rig"], folder.path());
        assert_same(&shorter, &first_rows(&scores, rows), rows);
    }
}

/// The file of scores of a recording; too short a recording has a file too.
fn scored(recording: &str, arguments: &[&str], folder: &Path) -> String {
    let (input, out) = (folder.join("in.csv"), folder.join("out.csv"));
    fs::write(&input, recording).expect("the test's folder can be written");
    let paths = [input.to_str().expect("a path of text"), "--out", out.to_str().expect("a path of text")];
    let told = wheeltapper(["score"].iter().chain(&paths).chain(arguments));
    assert_eq!(told.out, "", "the scores go into the file alone");
    let calibration_alone = told.code == 1 && told.err.contains("--calibrate");
    assert!(told.code == 0 || calibration_alone, "{}", told.err);
    fs::read_to_string(out).expect("the scores were written")
}

fn with_a_fault(channels: usize) -> MadeUp {
    let mut made_up = MadeUp::new(channels, SignedDuration::from_secs(1), 1200);
    made_up.rows.iter_mut().flatten().step_by(29).for_each(|value| *value = f64::NAN);
    made_up.rows[700..].iter_mut().for_each(|row| row[channels / 2] += 4.0);
    made_up
}

/// The header and so many rows.
fn first_rows(text: &str, rows: usize) -> String {
    text.split_inclusive('\n').take(rows + 1).collect()
}

fn assert_same(found: &str, expected: &str, rows: usize) {
    let differing = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert_eq!(differing, None, "a file of {rows} rows");
    assert_eq!(found.len(), expected.len(), "a file of {rows} rows");
}
