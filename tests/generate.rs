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
