//! On the recording of a real hydraulic rig: sound runs raise nothing, a severe leakage of the pump raises one episode that
//! names it and comes with the advice that fits.

mod support {
    pub mod binary;
    pub mod rig;
    pub mod scores;
}

use serde_json::Value;

use support::binary::{Told, wheeltapper};
use support::rig::Rig;
use support::scores::Scores;

#[test]
fn a_severe_leakage_raises_one_episode_with_its_advice_and_the_sound_runs_before_it_raise_none() {
    let Some(rig) = Rig::open() else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (recording, out) = (folder.path().join("rig.csv"), folder.path().join("scores.csv"));
    let runs = [SOUND, SOUND_LATER, LEAKING, LEAKING_LATER];
    let rows = rig.write(&runs, &recording);
    let paths = [recording.to_str().expect("a path of text"), "--out", out.to_str().expect("a path of text")];
    let told: Told =
        wheeltapper(["score", "--kind", "hydraulic-rig", "--calibrate", "400", "--json"].iter().chain(&paths));
    assert_eq!(told.code, 0, "{}", told.err);
    let summary: Value = serde_json::from_str(&told.out).expect("the summary is JSON");
    let scores = Scores::read(&out);
    assert!(scores.rows.iter().map(|row| row.time.parse()).eq((1..=rows.iter().sum()).map(Ok::<usize, _>)));

    println!("{:>5} {:>9} {:>6} {:>8}", "run", "rows", "peak", "in alarm");
    let mut start = 0;
    for (run, rows) in runs.iter().zip(&rows) {
        let own = &scores.rows[start..start + rows];
        let peak = own.iter().filter_map(|row| row.score).fold(0.0, f64::max);
        let in_alarm = own.iter().filter(|row| row.alarm).count();
        println!("{run:>5} {:>4}-{:<4} {peak:>6.2} {in_alarm:>8}", start + 1, start + rows);
        start += rows;
    }
    let episodes = summary["episodes"].as_array().expect("episodes");
    for episode in episodes {
        let leading: Vec<String> =
            episode["contributions"].as_array().expect("contributions").iter().take(3).map(share).collect();
        println!(
            "raised at row {}, peak {:.2}: {}",
            episode["from_row"],
            episode["peak"].as_f64().unwrap_or(f64::NAN),
            leading.join(", ")
        );
    }

    let leak = rows[0] + rows[1];
    assert!(scores.rows[..leak].iter().all(|row| !row.alarm), "an alarm on a sound rig");
    assert_eq!((episodes.len(), scores.episodes().len()), (1, 1));
    let (first, last) = scores.episodes()[0];
    // Two load cycles are enough to tell a severe leakage.
    assert!((leak..leak + 120).contains(&first), "raised at row {}", first + 1);
    assert_eq!(last + 1, scores.rows.len(), "it goes on while the pump leaks");
    let leading: Vec<&str> = scores.leading(first)[..2].iter().map(|(channel, _)| *channel).collect();
    assert!(leading.contains(&"FS1") || leading.contains(&"SE"), "{leading:?}");
    let recommendation = &episodes[0]["recommendation"];
    assert_eq!(recommendation["playbook"], "hydraulic/internal_pump_leakage", "{recommendation}");
}

#[test]
fn the_summary_says_that_the_network_of_the_kind_is_on() {
    let Some(rig) = Rig::open() else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let recording = folder.path().join("rig.csv");
    rig.write(&[SOUND], &recording);
    let path = recording.to_str().expect("a path of text");
    let told = wheeltapper(["score", path, "--kind", "hydraulic-rig", "--json"]);
    assert_eq!(told.code, 0, "{}", told.err);
    let summary: Value = serde_json::from_str(&told.out).expect("the summary is JSON");
    assert_eq!(summary["model"]["name"], "hydraulic-dae");
    let parts = summary["parts"].as_array().expect("parts");
    let network = parts.iter().find(|part| part["name"] == "residual_mewma");
    assert_eq!(network.map(|part| &part["engine"]), Some(&Value::from("ring")), "{parts:?}");
}

fn share(contribution: &Value) -> String {
    let percent = 100.0 * contribution["share"].as_f64().unwrap_or(f64::NAN);
    format!("{} {percent:.0} %", contribution["channel"].as_str().unwrap_or_default())
}

/// Runs of the recording: 600 rows in perfect order, 60 more.
const SOUND: u32 = 130;
const SOUND_LATER: u32 = 141;
/// 60 and 600 rows with the pump's leakage at its worst and everything else as before.
const LEAKING: u32 = 131;
const LEAKING_LATER: u32 = 135;
