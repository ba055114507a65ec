//! Files of synthetic telemetry: the same in every format, the same for the same seed, whole whenever they end.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    for model in ["hydraulic-diffusion", "hydraulic-latent", "hydraulic-vae", "hydraulic-gan"] {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str, seed: &str| {
            let file = folder.path().join(name);
            done(
                generate(&["--model", model, "--windows", "3", "--label", "valve=any", "--seed", seed], &file).output(),
            );
            std::fs::read(file).unwrap()
        };
        assert_eq!(made("a.csv", "5"), made("b.csv", "5"), "{model}");
        assert_ne!(made("a.csv", "5"), made("c.csv", "6"), "{model}");
    }
}

#[test]
fn every_format_holds_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |ending: &str| {
        let file = folder.path().join(format!("rig.{ending}"));
        done(generate(&["--windows", "3", "--label", "pump=1", "--to", "pump=2,cooler=3"], &file).output());
        read(&file)
    };
    let expected = rows("csv");
    assert_eq!(expected.len(), 180);
    assert_eq!(expected[0].len(), 2 + 10 + 4);
    for ending in ENDINGS {
        assert_eq!(rows(ending), expected, "{ending}");
    }
}

#[test]
fn a_lineage_says_who_made_the_rows_and_from_whose_data() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rig.csv");
    done(generate(&["--windows", "2", "--label", "pump=2", "--seed", "5", "--steps", "7"], &file).output());
    let lineage = lineage(&file);
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/hydraulic-latent");
    let manifest = std::fs::read_to_string(package.join("manifest.toml")).unwrap();
    let said = |text: &Value| manifest.contains(text.as_str().unwrap());
    assert!(said(&lineage["training"]["attribution"]) && said(&lineage["training"]["data_licence"]));
    for (key, expected) in [
        ("synthetic", Value::from(true)),
        ("seed", 5.into()),
        ("steps", 7.into()),
        ("windows", 2.into()),
        ("sampler", "dpm++".into()),
        ("start", "2026-01-01T00:00:00Z".into()),
    ] {
        assert_eq!(lineage[key], expected, "{key}");
    }
    assert_eq!(
        (&lineage["labels"]["from"], &lineage["generator"]["name"]),
        (&"pump=2".into(), &"hydraulic-latent".into())
    );
}

#[cfg(feature = "parquet")]
#[test]
fn a_parquet_file_brings_its_lineage_along() {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rig.parquet");
    done(generate(&["--windows", "2"], &file).output());
    let reader = SerializedFileReader::new(std::fs::File::open(&file).unwrap()).unwrap();
    let entries = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let entry = entries.iter().find(|entry| entry.key == "wheeltapper.lineage").unwrap();
    let own: Value = serde_json::from_str(entry.value.as_ref().unwrap()).unwrap();
    assert_eq!(own, lineage(&file));
}

#[test]
fn ctrl_c_leaves_a_whole_file_that_says_how_much_there_is() {
    for ending in ENDINGS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(format!("rig.{ending}"));
        let mut command = generate(&["--windows", "100000000"], &file);
        let process = command.stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::fs::metadata(&file).map_or(0, |it| it.len()) < 100_000 {
            assert!(Instant::now() < deadline, "{ending}: nothing is written");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap().success());
        let ended = done(process.wait_with_output());
        assert!(!ended.stderr.contains(&b'\r'), "no progress where nobody looks");
        let rows = read(&file);
        assert!(!rows.is_empty() && rows.iter().all(|row| row.len() == rows[0].len()), "{ending}");
        assert_eq!(lineage(&file)["windows"].as_u64().unwrap() * 60, rows.len() as u64, "{ending}");
    }
}

#[test]
fn what_is_known_stays_and_holes_are_filled_nearer_than_by_a_series_that_knows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    done(generate(&["--windows", "4", "--label", "valve=80", "--seed", "3"], &path("whole.csv")).output());
    let whole = read(&path("whole.csv"));
    // Half a window without any channel, and one channel gone for a whole window; ten rows are not even there.
    let hidden = |row: usize, column: usize| match column {
        0 | 1 | 12.. => false,
        8 => (90..120).contains(&row) || (180..240).contains(&row),
        _ => (90..120).contains(&row),
    };
    let mut holed = csv::Writer::from_path(path("holed.csv")).unwrap();
    holed.write_record(["window", "time"].into_iter().chain(CHANNELS).chain(LABELS)).unwrap();
    for (number, row) in whole.iter().enumerate().filter(|(number, _)| !(100..110).contains(number)) {
        let cells = row.iter().enumerate();
        holed.write_record(cells.map(|(column, cell)| if hidden(number, column) { "" } else { cell })).unwrap();
    }
    holed.flush().unwrap();

    for model in ["hydraulic-diffusion", "hydraulic-latent", "hydraulic-vae"] {
        let made = |option: &str, from: &str, to: &str| {
            let from = path(from);
            let arguments = ["--model", model, "--seed", "4", option, from.to_str().unwrap()];
            done(generate(&arguments, &path(to)).output());
            read(&path(to))
        };
        let (filled, free) = (made("--known", "holed.csv", "filled.csv"), made("--like", "whole.csv", "free.csv"));
        assert_eq!((filled.len(), free.len()), (240, 240), "{model}");
        let (mut near, mut far) = (0.0, 0.0);
        for (number, row) in whole.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                if !hidden(number, column) {
                    assert_eq!(&filled[number][column], cell, "{model}, row {number}, column {column}");
                } else if column >= 6 {
                    // Temperatures and flows, whose level a series keeps.
                    let off = |rows: &[Vec<String>]| -> f64 {
                        let [found, expected] = [&rows[number][column], cell].map(|text| text.parse::<f64>().unwrap());
                        (found - expected).powi(2)
                    };
                    near += off(&filled);
                    far += off(&free);
                }
            }
        }
        assert!(near < 0.5 * far, "{model}: {near} filled, {far} free");
        let known = &lineage(&path("filled.csv"))["known"];
        assert_eq!(known["values"], 240 * 10 - 30 * 10 - 60, "{model}");
    }
}

#[test]
fn a_forecast_goes_on_in_time_and_condition_where_the_known_rows_end() {
    let folder = tempfile::tempdir().unwrap();
    let (known, whole) = (folder.path().join("known.csv"), folder.path().join("whole.csv"));
    let start = ["--windows", "2", "--label", "cooler=20", "--start", "2026-05-04T03:02:01Z"];
    done(generate(&start, &known).output());
    done(generate(&["--known", known.to_str().unwrap(), "--windows", "4", "--seed", "1"], &whole).output());
    let (before, all) = (read(&known), read(&whole));
    assert_eq!(all[..120], before[..]);
    assert_eq!(all.len(), 240);
    assert_eq!((all[120][1].as_str(), all[239][1].as_str()), ("2026-05-04T03:04:01.000Z", "2026-05-04T03:06:00.000Z"));
    assert!(all.iter().all(|row| row[12] == "20"));
}

#[test]
fn a_path_from_seed_to_seed_begins_with_the_one_and_ends_with_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, arguments: &[&str]| {
        let file = folder.path().join(name);
        done(generate(arguments, &file).output());
        read(&file)
    };
    let path = made("path.csv", &["--seed", "1", "--to-seed", "2", "--windows", "5"]);
    let [one, other] = ["1", "2"].map(|seed| made(&format!("{seed}.csv"), &["--seed", seed, "--windows", "1"]));
    // The slow temperatures: what the decoder adds to them by itself is little.
    let mean = |rows: &[Vec<String>]| -> f64 {
        rows.iter().map(|row| row[6].parse::<f64>().unwrap()).sum::<f64>() / rows.len() as f64
    };
    let (first, last) = (mean(&path[..60]), mean(&path[240..]));
    let apart = (mean(&one) - mean(&other)).abs();
    assert!((first - mean(&one)).abs() < 0.1 * apart, "{first} {apart}");
    assert!((last - mean(&other)).abs() < 0.1 * apart, "{last} {apart}");
}

#[test]
fn what_is_asked_for_in_vain_is_answered_with_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rig.csv");
    for (arguments, answer) in [
        (&["--label", "pomp=2"][..], "expected one of cooler, valve, pump, accumulator"),
        (&["--label", "pump=7"], "a number from 0 to 2, or any (learned levels: 0, 1, 2)"),
        (&["--label", "pump=any", "--to", "pump=2"], "`any` has no place in it"),
        (&["--model", "hydraulic-gan", "--steps", "4"], "needs no steps"),
        (&["--model", "nobody"], "wheeltapper model list"),
        (&["--sampler", "euler"], "expected one of `ddpm`, `ddim`, `dpm++`"),
        (&["--loose", "--known", "rig.csv"], "cannot be used with"),
        (&["--steps", "0"], "expected 1 to 10000"),
    ] {
        let output = generate(arguments, &file).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(answer) && told.contains("Example:"), "{arguments:?}: {told}");
        assert!(!file.exists(), "{arguments:?}: no file of nothing");
    }
    let output = generate(&[], Path::new("rig.xlsx")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains(".csv, .ndjson"));
}

fn generate(arguments: &[&str], file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
    command.arg("generate").args(arguments).arg("--out").arg(file);
    command
}

fn done(output: std::io::Result<Output>) -> Output {
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn lineage(file: &Path) -> Value {
    let beside = format!("{}.lineage.json", file.display());
    serde_json::from_slice(&std::fs::read(beside).unwrap()).unwrap()
}

/// Rows of any format, cell by cell as a CSV file has them.
fn read(file: &Path) -> Vec<Vec<String>> {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => {
            let mut table = csv::Reader::from_path(file).unwrap();
            table.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
        }
        Some("ndjson") => {
            let text = std::fs::read_to_string(file).unwrap();
            let names = ["window", "time"].into_iter().chain(CHANNELS).chain(LABELS);
            let names: Vec<&str> = names.collect();
            let cell =
                |value: &Value| value.as_f64().map_or_else(|| value.as_str().unwrap().to_owned(), |it| it.to_string());
            text.lines()
                .map(|line| {
                    let row: Value = serde_json::from_str(line).unwrap();
                    names.iter().map(|name| cell(&row[name])).collect()
                })
                .collect()
        }
        #[cfg(feature = "parquet")]
        Some("parquet") => parquet_rows(file),
        ending => panic!("{ending:?}"),
    }
}

#[cfg(feature = "parquet")]
fn parquet_rows(file: &Path) -> Vec<Vec<String>> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let cell = |field: &Field| match field {
        Field::Long(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::TimestampMillis(value) => {
            let time = jiff::Timestamp::from_millisecond(*value).unwrap();
            time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
        }
        field => panic!("{field:?}"),
    };
    let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().get_column_iter().map(|(_, field)| cell(field)).collect()).collect()
}

const CHANNELS: [&str; 10] = ["CE", "CP", "SE", "VS1", "TS1", "TS2", "TS3", "TS4", "FS1", "FS2"];
const LABELS: [&str; 4] = ["cooler", "valve", "pump", "accumulator"];
const ENDINGS: &[&str] = if cfg!(feature = "parquet") { &["csv", "ndjson", "parquet"] } else { &["csv", "ndjson"] };
