//! `score` takes a recording of any machine: from one channel, at any cadence, with gaps, however it is written down.

mod support {
    pub mod binary;
    pub mod made_up;
    pub mod scores;
}

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde_json::Value;

use support::binary::wheeltapper;
use support::made_up::{MadeUp, Notation, USUAL};
use support::scores::Scores;

#[test]
fn every_row_has_its_row_in_order_with_a_score_once_calibrated() {
    for (made_up, what) in machines() {
        let gappy = with_gaps(&made_up);
        for (recording, notation) in [(&made_up, USUAL), (&gappy, USUAL), (&gappy, SEMICOLONS)] {
            let folder = Folder::new();
            let scores = Scores::read(&folder.score(recording.text(notation), &[]));
            assert_eq!(scores.header[0], "time");
            let channels: Vec<&str> = scores.header[3..].iter().map(|name| &name["contribution:".len()..]).collect();
            assert_eq!(channels, made_up.channels, "{what}");
            let times: Vec<&str> = scores.rows.iter().map(|row| row.time.as_str()).collect();
            assert_eq!(times, made_up.times, "{what}");
            let unscored: Vec<usize> = (0..ROWS).filter(|&row| scores.rows[row].score.is_none()).collect();
            assert_eq!(unscored, (0..CALIBRATED).collect::<Vec<_>>(), "{what}");
        }
    }
}

#[test]
fn nothing_is_raised_on_a_machine_that_stays_as_it_was() {
    for (made_up, what) in machines() {
        for recording in [&made_up, &with_gaps(&made_up)] {
            let folder = Folder::new();
            let scores = Scores::read(&folder.score(recording.text(USUAL), &[]));
            assert_eq!(scores.episodes(), [], "{what}");
        }
    }
}

#[test]
fn a_step_in_one_channel_raises_one_episode_that_this_channel_leads() {
    for (made_up, what) in machines() {
        for place in [0, made_up.channels.len() / 2, made_up.channels.len() - 1] {
            let mut stepped = with_gaps(&made_up);
            stepped.rows[STEP..].iter_mut().for_each(|row| row[place] += 4.0);
            let folder = Folder::new();
            let scores = Scores::read(&folder.score(stepped.text(USUAL), &[]));
            let episodes = scores.episodes();
            assert_eq!(episodes.len(), 1, "{what}: {episodes:?}");
            let (first, last) = episodes[0];
            assert!((STEP..STEP + 30).contains(&first) && last == ROWS - 1, "{what}: {episodes:?}");
            assert_eq!(scores.leading(first)[0].0, made_up.channels[place], "{what}: {:?}", scores.leading(first));
        }
    }
}

#[test]
fn labels_that_are_ignored_change_nothing_whatever_they_say_and_wherever_they_stand() {
    let made_up = MadeUp::new(8, SECOND, ROWS);
    let folder = Folder::new();
    let without = fs::read(folder.score(made_up.text(USUAL), &[])).expect("scores");
    for place in [0, 3, 8] {
        let mut labelled = made_up.clone();
        for (shift, label) in ["anomaly", "change point"].into_iter().enumerate() {
            labelled.channels.insert(place, label.to_owned());
            for (row, values) in labelled.rows.iter_mut().enumerate() {
                values.insert(place, f64::from(u8::from((row + shift) % (7 + place) == 0)));
            }
        }
        let with = folder.score(labelled.text(USUAL), &["--ignore", "anomaly,change point"]);
        assert!(fs::read(with).expect("scores") == without, "labels before channel {place}");
    }
}

#[test]
fn the_same_numbers_written_down_in_another_way_get_the_same_scores() {
    let made_up = with_gaps(&MadeUp::new(8, HOUR, ROWS));
    let usual = made_up.text(USUAL);
    let folder = Folder::new();
    let expected = fs::read(folder.score(&usual, &[])).expect("scores");
    for (text, what) in [
        (made_up.text(SEMICOLONS), "semicolons and decimal commas"),
        (made_up.text(Notation { separator: '\t', decimal: '.' }), "tabs"),
        (made_up.text(Notation { separator: '|', decimal: '.' }), "bars"),
        (usual.replace('\n', "\r\n"), "line ends of another system"),
        (format!("\u{feff}{usual}"), "a byte order mark"),
        (usual.replace(",,", ",NaN,").replace(",,", ",n/a,"), "words for a missing value"),
        (usual.trim_end().to_owned(), "no line end at the end"),
    ] {
        assert!(fs::read(folder.score(&text, &[])).expect("scores") == expected, "{what}");
    }
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(usual.as_bytes()).expect("memory");
    let zipped = folder.score(zipped.finish().expect("memory"), &[]);
    assert!(fs::read(zipped).expect("scores") == expected, "gzip");
}

#[test]
fn a_recording_without_times_or_without_a_header_is_numbered() {
    let mut made_up = MadeUp::new(1, SECOND, ROWS);
    let folder = Folder::new();
    let timed = Scores::read(&folder.score(made_up.text(USUAL), &[]));
    made_up.times = vec!["x".to_owned(); ROWS];
    let bare: String = made_up
        .text(USUAL)
        .lines()
        .map(|line| format!("{}\n", &line[line.find(',').expect("a comma") + 1..]))
        .collect();
    let headless = bare.split_once('\n').expect("a header").1.to_owned();
    for (text, channel) in [(&bare, "contribution:ch01"), (&headless, "contribution:column 1")] {
        let scores = Scores::read(&folder.score(text, &[]));
        assert_eq!(scores.header, ["row", "score", "alarm", channel]);
        let numbers: Vec<String> = (1..=ROWS).map(|row| row.to_string()).collect();
        assert!(scores.rows.iter().map(|row| &row.time).eq(&numbers));
        assert!(scores.rows.iter().map(|row| row.score).eq(timed.rows.iter().map(|row| row.score)));
    }
}

#[test]
fn a_missing_value_of_the_only_column_is_a_row_too() {
    let values: Vec<String> = (0..ROWS).map(|row| (row % 17).to_string()).collect();
    let mut gappy = values.clone();
    for row in [3, 500, 700, 701] {
        gappy[row].clear();
    }
    let folder = Folder::new();
    let scores = Scores::read(&folder.score(format!("pressure\n{}\n", gappy.join("\n")), &[]));
    assert_eq!(scores.rows.len(), ROWS);
}

#[test]
fn a_word_where_a_value_should_be_is_a_missing_value_wherever_it_stands() {
    let made_up = MadeUp::new(8, SECOND, ROWS);
    let folder = Folder::new();
    for row in [3, 150, 300, 700] {
        let mut gappy = made_up.clone();
        gappy.rows[row][2] = f64::NAN;
        let text = gappy.text(USUAL);
        let worded: Vec<String> = text.lines().map(|line| line.replace(",,", ",Bad Input,")).collect();
        let expected = fs::read(folder.score(&text, &[])).expect("scores");
        let found = fs::read(folder.score(worded.join("\n"), &[])).expect("scores");
        assert!(found == expected, "a word in row {row}");
    }
}

#[test]
fn a_flag_or_a_set_point_or_a_wild_value_in_the_calibration_does_not_blind_the_score() {
    let quiet = MadeUp::new(4, SECOND, ROWS);
    type Spoil = fn(usize, &mut Vec<f64>);
    let spoils: [(&str, Spoil); 5] = [
        ("a flag early on", |row, values| values[3] = f64::from(u8::from((5..15).contains(&row)))),
        ("a flag later on", |row, values| values[3] = f64::from(u8::from((350..360).contains(&row)))),
        ("a set point", |row, values| values[3] = if row < 60 { 50.0 } else { 55.0 }),
        ("an error code", |row, values| values[3] = if row == 200 { -9999.0 } else { values[3] }),
        ("a value beyond reason", |row, values| values[3] = if row == 200 { 1e200 } else { values[3] }),
    ];
    for (what, spoil) in spoils {
        let mut made_up = quiet.clone();
        for (number, row) in made_up.rows.iter_mut().enumerate() {
            spoil(number, row);
            if number >= 700 {
                row[0] += 20.0;
            }
        }
        let folder = Folder::new();
        let scores = Scores::read(&folder.score(made_up.text(USUAL), &[]));
        let peak = scores.rows[700..].iter().filter_map(|row| row.score).fold(0.0, f64::max);
        assert!(peak > 2.0, "{what}: the fault scores {peak}");
        assert_eq!(scores.episodes().len(), 1, "{what}");
    }
}

#[test]
fn one_wild_reading_is_no_alarm_and_two_that_bear_each_other_out_count() {
    let mut made_up = MadeUp::new(4, SECOND, ROWS);
    made_up.rows[700][1] = -9999.0;
    let folder = Folder::new();
    assert_eq!(Scores::read(&folder.score(made_up.text(USUAL), &[])).episodes(), []);
    let mut dead = made_up.clone();
    dead.rows[700..760].iter_mut().for_each(|row| row[1] = -9999.0);
    assert_eq!(Scores::read(&folder.score(dead.text(USUAL), &[])).episodes(), [], "an error code is no reading");
    made_up.rows[700..760].iter_mut().for_each(|row| row[1] -= 9999.0);
    assert_eq!(Scores::read(&folder.score(made_up.text(USUAL), &[])).episodes().len(), 1);
}

#[test]
fn a_long_silence_has_rows_without_score_and_raises_nothing() {
    let mut made_up = MadeUp::new(8, THREE_MINUTES, ROWS);
    made_up.rows[600..660].iter_mut().for_each(|row| row.fill(f64::NAN));
    let folder = Folder::new();
    let scores = Scores::read(&folder.score(made_up.text(USUAL), &[]));
    assert_eq!(scores.rows.len(), ROWS);
    assert!(scores.rows[630..660].iter().all(|row| row.score.is_none()), "a score without any value");
    assert!(scores.rows[680..].iter().all(|row| row.score.is_some()));
    assert_eq!(scores.episodes(), []);
}

#[test]
fn a_channel_that_stands_still_says_nothing_or_is_empty_is_left_out_and_the_summary_says_so() {
    let mut made_up = MadeUp::new(8, SECOND, ROWS);
    for (number, row) in made_up.rows.iter_mut().enumerate() {
        row[2] = 7.0;
        row[4] = f64::NAN;
        if number % 5 != 0 {
            row[6] = f64::NAN;
        }
    }
    let folder = Folder::new();
    let scores = Scores::read(&folder.score(made_up.text(USUAL), &[]));
    let shares = |channel: usize| scores.rows.iter().filter_map(move |row| row.shares.get(channel));
    assert!(shares(2).chain(shares(4)).all(|share| *share == 0.0));
    assert_eq!(scores.rows.iter().filter(|row| row.score.is_some()).count(), ROWS - CALIBRATED);
    let summary = folder.summary(&made_up.text(USUAL), &[]);
    let part = |place: usize| summary["channels"][place]["part"].as_str().expect("a part").to_owned();
    assert_eq!([part(0), part(2), part(4)], ["scored", "constant", "scarce"]);
}

#[test]
fn the_calibration_may_be_given_as_a_span_of_time() {
    for (cadence, span, rows) in [(SECOND, "300s", 301), (THREE_MINUTES, "20h", 401), (HOUR, "20d", 481)] {
        let folder = Folder::new();
        let summary = folder.summary(&MadeUp::new(1, cadence, ROWS).text(USUAL), &["--calibrate", span]);
        assert_eq!((&summary["calibrated_on"], &summary["scored"]), (&rows.into(), &(ROWS - rows).into()), "{span}");
    }
}

#[test]
fn the_summary_tells_rows_episodes_parts_with_their_reason_and_the_nominal_false_alarm_rate() {
    let mut made_up = MadeUp::new(8, SECOND, ROWS);
    made_up.rows[STEP..STEP + 100].iter_mut().for_each(|row| row[5] -= 4.0);
    let folder = Folder::new();
    let text = made_up.text(USUAL);
    let summary = folder.summary(&text, &[]);
    let scores = Scores::read(&folder.score(&text, &[]));
    assert_eq!(summary["rows"], ROWS);
    assert_eq!(summary["calibrated_on"], CALIBRATED);
    assert_eq!(summary["scored"], ROWS - CALIBRATED);
    assert_eq!(summary["alarm_rows"], scores.rows.iter().filter(|row| row.alarm).count());
    let told: Vec<(usize, usize)> = summary["episodes"].as_array().expect("episodes").iter().map(rows_of).collect();
    assert_eq!(told, scores.episodes());
    assert_eq!(told.len(), 1);
    let episode = &summary["episodes"][0];
    assert_eq!(episode["contributions"][0]["channel"], made_up.channels[5]);
    assert_eq!(episode["contributions"][0]["direction"], "low");
    assert!(episode["peak"].as_f64().expect("a peak") > 1.0);
    assert!(!episode["recommendation"]["steps"].as_array().expect("steps").is_empty());
    let parts = summary["parts"].as_array().expect("parts");
    assert!(!parts.is_empty());
    for part in parts {
        assert!(["name", "why"].iter().all(|key| part[*key].as_str().is_some_and(|text| !text.is_empty())), "{part}");
    }
    let off = summary["parts_off"].as_array().expect("parts that are off");
    assert!(off.iter().any(|part| part["name"] == "residual_mewma" && part["why"].is_string()), "{off:?}");
    let rate = summary["nominal_false_alarm_rate"].as_f64().expect("a rate");
    assert!(rate > 0.0 && rate < 0.1, "{rate}");
    assert_eq!((&summary["doubt"], &summary["drift"]), (&Value::Null, &Value::Array(Vec::new())));
}

#[test]
fn a_fault_within_the_calibration_is_said_with_its_rows_and_its_channel() {
    let mut made_up = MadeUp::new(8, SECOND, ROWS);
    made_up.rows[200..330].iter_mut().for_each(|row| row[5] -= 8.0);
    let folder = Folder::new();
    let summary = folder.summary(&made_up.text(USUAL), &[]);
    let doubt = &summary["doubt"];
    assert_eq!((&doubt["from_row"], &doubt["to_row"]), (&201.into(), &330.into()));
    assert_eq!(doubt["channels"][0]["channel"], made_up.channels[5]);
    assert_eq!(doubt["from"], "2026-03-01T00:03:20.000Z");
    assert_eq!(doubt["left_out"], false);
    assert!(doubt["text"].as_str().expect("a text").contains("calibrate again"));
}

#[test]
fn a_short_fault_within_the_calibration_is_left_out_of_it_and_said() {
    let mut made_up = MadeUp::new(8, SECOND, ROWS);
    let sound = Folder::new().summary(&made_up.text(USUAL), &[]);
    made_up.rows[220..260].iter_mut().for_each(|row| row[5] -= 8.0);
    made_up.rows[STEP..STEP + 100].iter_mut().for_each(|row| row[5] -= 4.0);
    let summary = Folder::new().summary(&made_up.text(USUAL), &[]);
    let doubt = &summary["doubt"];
    let [from, to] = ["from_row", "to_row"].map(|key| doubt[key].as_u64().expect("a row"));
    assert!((210..=221).contains(&from) && (260..=300).contains(&to), "{doubt}");
    assert_eq!(summary["calibrated_on"], sound["calibrated_on"].as_u64().expect("a count") - (to - from + 1));
    assert_eq!(doubt["channels"][0]["channel"], made_up.channels[5]);
    assert_eq!(doubt["left_out"], true);
    assert!(doubt["text"].as_str().expect("a text").contains("were left out"));
    assert_eq!(summary["episodes"].as_array().map(Vec::len), Some(1), "half of what was left out is found");
}

#[test]
fn a_machine_that_stays_away_from_its_calibration_for_two_windows_is_in_an_unknown_regime_from_that_row_on() {
    let mut made_up = MadeUp::new(8, MINUTE, 4 * CALIBRATED);
    let folder = Folder::new();
    let sound = folder.summary(&made_up.text(USUAL), &[]);
    assert_eq!(sound["drift"], Value::Array(Vec::new()));
    made_up.rows[2 * CALIBRATED..].iter_mut().for_each(|row| row[5] += 30.0);
    let summary = folder.summary(&made_up.text(USUAL), &[]);
    let drift = summary["drift"].as_array().expect("a list");
    assert_eq!(drift.len(), 1);
    assert_eq!((&drift[0]["drift"], &drift[0]["row"]), (&"unknown_regime".into(), &(4 * CALIBRATED).into()));
    assert_eq!(drift[0]["channels"][0]["channel"], made_up.channels[5]);
}

#[test]
fn the_plot_is_one_page_that_needs_nothing_else() {
    let mut made_up = MadeUp::new(8, SECOND, ROWS);
    made_up.rows[STEP..].iter_mut().for_each(|row| row[5] += 4.0);
    let folder = Folder::new();
    let plot = folder.path("plot <of> \"scores\".html");
    folder.score(made_up.text(USUAL), &["--plot", plot.to_str().expect("a path of text")]);
    let page = fs::read_to_string(&plot).expect("the page was written");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("<svg"));
    let without_names = page.replace("http://www.w3.org/", "").replace("https://www.w3.org/", "");
    for foreign in ["http:", "https:", "src=", "href=", "url(", "<script", "@import"] {
        assert!(!without_names.contains(foreign), "the page has {foreign}");
    }
}

/// A recording of each size at each cadence, and what to call it when a promise about it is broken.
fn machines() -> Vec<(MadeUp, String)> {
    let mut machines = Vec::new();
    for channels in [1, 8, 24, 52] {
        for cadence in [SECOND, THREE_MINUTES, HOUR] {
            let what = format!("{channels} channels, one row in {cadence:#}");
            machines.push((MadeUp::new(channels, cadence, ROWS), what));
        }
    }
    machines
}

/// The same machine with every 31st value missing.
fn with_gaps(made_up: &MadeUp) -> MadeUp {
    let mut gappy = made_up.clone();
    gappy.rows.iter_mut().flatten().step_by(31).for_each(|value| *value = f64::NAN);
    gappy
}

/// First and last row of an episode in a summary, from 0.
fn rows_of(episode: &Value) -> (usize, usize) {
    let row = |key: &str| episode[key].as_u64().expect("a row") as usize - 1;
    (row("from_row"), row("to_row"))
}

/// A folder of one test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Scores a recording and gives the file of its scores.
    fn score(&self, recording: impl AsRef<[u8]>, arguments: &[&str]) -> PathBuf {
        let out = self.path("scores.csv");
        self.run(recording.as_ref(), &["--out", out.to_str().expect("a path of text")], arguments);
        out
    }

    /// Scores a recording and gives the summary.
    fn summary(&self, recording: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(recording.as_bytes(), &["--json"], arguments)).expect("the summary is JSON")
    }

    fn run(&self, recording: &[u8], first: &[&str], then: &[&str]) -> String {
        let input: PathBuf = self.path("recording.csv");
        fs::write(&input, recording).expect("the test's folder can be written");
        let input: &Path = &input;
        let told = wheeltapper(["score", input.to_str().expect("a path of text")].iter().chain(first).chain(then));
        assert_eq!(told.code, 0, "{}", told.err);
        told.out
    }
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const THREE_MINUTES: SignedDuration = SignedDuration::from_mins(3);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const SEMICOLONS: Notation = Notation { separator: ';', decimal: ',' };
const ROWS: usize = 1200;
/// What `score` takes where it is not told.
const CALIBRATED: usize = 400;
const STEP: usize = 800;
