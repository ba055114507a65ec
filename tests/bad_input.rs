//! Bad recordings, configurations, model packages and command lines: each is answered with the contract's exit code and one
//! clear message of its own, and never with a panic.

mod support {
    pub mod binary;
    pub mod made_up;
    pub mod package;
}

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::SignedDuration;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use support::binary::{Told, wheeltapper};
use support::made_up::{MadeUp, USUAL};
use support::package::Package;

#[test]
fn each_recording_that_cannot_be_scored_is_answered_with_its_own_message() {
    let good = made_up(2);
    let zipped = gzip(good.as_bytes());
    let constant: String = good
        .lines()
        .take(1)
        .map(str::to_owned)
        .chain((0..500).map(|n| format!("{n},1,2")))
        .map(|line| line + "\n")
        .collect();
    let cases: [(&[u8], &[&str], &str); 14] = [
        (b"", &[], "there is no row in it"),
        (b"time,ch01\n", &["--separator", ","], "there is no row in it"),
        (b"a,b\nx,y\n", &[], "no column of numbers among [\"a\", \"b\"]"),
        (&[0x1f, 0x8b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &[], "gzip"),
        (&zipped[..zipped.len() / 2], &[], "incomplete deflate stream"),
        (good.as_bytes(), &["--separator", ";"], "read with the separator ';'"),
        (good.as_bytes(), &["--ignore", "ch01,ch02"], "no column of numbers among [\"time\""),
        (good.as_bytes(), &["--calibrate", "600"], "none of the 600 rows was scored"),
        (good.as_bytes(), &["--calibrate", "2d"], "give a smaller --calibrate"),
        (good.as_bytes(), &["--kind", "hydraulic-rig"], "the kind has a channel \"CE\""),
        (constant.as_bytes(), &[], "none of the 2 channels changes in the 400 rows"),
        (good.as_bytes(), &["--out", "no/such/folder.csv"], "no/such/folder.csv"),
        (good.as_bytes(), &["--plot", "no/such/folder.html"], "no/such/folder.html"),
        (b"\xff\xfe\x00\xd8,\xc3(\n\xff,\xff\n", &[], "no column of numbers among [\"\u{fffd}"),
    ];
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (content, arguments, expected) in cases {
        let input = folder.path().join("recording.csv");
        fs::write(&input, content).expect("the test's folder can be written");
        assert_refused(&score(&input, arguments), 1, expected);
    }
    assert_refused(&score(&folder.path().join("missing.csv"), &[]), 1, "missing.csv: No such file");
    assert_refused(&score(folder.path(), &[]), 1, "Is a directory");
}

#[test]
fn a_column_that_is_not_there_is_an_error_of_whoever_named_it() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let input = folder.path().join("recording.csv");
    fs::write(&input, made_up(2)).expect("the test's folder can be written");
    for (arguments, expected) in [
        (["--time", "tme"], "did you mean \"time\"?"),
        (["--ignore", "ch1"], "did you mean \"ch01\"?"),
        (["--ignore", "label"], "there is no column \"label\""),
    ] {
        assert_refused(&score(&input, &arguments), 2, expected);
    }
}

#[test]
fn channels_without_any_value_are_not_said_to_stand_still() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let input = folder.path().join("recording.csv");
    fs::write(&input, format!("time,a,b\n{}", "1,,\n".repeat(500))).expect("the test's folder can be written");
    let told = score(&input, &[]);
    assert_refused(&told, 1, "value");
    assert!(!told.err.contains("none of the 2 channels changes"), "{}", told.err);
}

#[test]
fn what_is_strange_but_readable_is_scored() {
    let good = made_up(2);
    for strange in [
        "2026-03-01T00:10:00Z,1\n",
        "2026-03-01T00:10:00Z,1,2,3,4\n",
        "2026-03-01T00:10:00Z,Bad Input,I/O Timeout\n",
        "2026-03-01T00:10:00Z,1e999,-inf\n",
        "2026-03-01T00:10:00Z,1e308,-1e308\n",
        "2026-03-01T00:10:00Z,0x10,1_000\n",
        "no time,1,2\n",
        ",,\n",
        "\n\n\n",
        "\"2026-03-01T00:10:00Z\",\"1\",\"2\"\n",
        "\"never closed,1,2\n",
        "2026-03-01T00:10:00Z,\u{0},\u{7}\n",
        "\u{1F682},\u{221E},\u{661}\n",
        "9999-12-31T23:59:59Z,1,2\n-9999-01-01T00:00:00Z,1,2\n",
    ] {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let input = folder.path().join("recording.csv");
        fs::write(&input, format!("{good}{}{good}", strange.repeat(20))).expect("the test's folder can be written");
        let told = score(&input, &["--json"]);
        assert_eq!(told.code, 0, "{strange:?}: {}", told.err);
        assert!(serde_json::from_str::<Value>(&told.out).is_ok_and(|summary| summary["scored"] != 0), "{strange:?}");
    }
}

#[test]
fn a_wrong_key_is_answered_with_file_line_and_the_key_that_was_meant() {
    for (from, to, line, meant) in [
        ("gateway =", "gatway =", 1, "gateway"),
        ("prefix =", "prefx =", 2, "prefix"),
        ("state_dir =", "state-dir =", 3, "state_dir"),
        ("allow_unsigned =", "allow_unsined =", 4, "allow_unsigned"),
        ("[mqtt]", "[mqt]", 6, "mqtt"),
        ("host =", "hots =", 7, "host"),
        ("port =", "prot =", 8, "port"),
        ("client_id =", "clientid =", 9, "client_id"),
        ("max_payload =", "max_payloads =", 10, "max_payload"),
        ("[[input]]", "[[inputs]]", 12, "input"),
        ("topic =", "topics =", 13, "topic"),
        ("format =", "fromat =", 14, "format"),
        ("[machine_defaults]", "[machine_default]", 16, "machine_defaults"),
        ("cadence =", "cadance =", 17, "cadence"),
        ("calibrate =", "callibrate =", 18, "calibrate"),
        ("lateness =", "latenes =", 19, "lateness"),
        ("kind =", "knd =", 20, "kind"),
        ("raise_after =", "raise-after =", 23, "raise_after"),
        ("clear_after =", "clearafter =", 24, "clear_after"),
        ("every =", "evry =", 27, "every"),
        ("[[machine]]", "[[machines]]", 29, "machine"),
        ("name =", "nmae =", 30, "name"),
    ] {
        let told = check(GOOD.replacen(from, to, 1), |path| format!("{path}, line {line}, column "));
        assert!(told.err.contains(&format!("did you mean `{meant}`?")), "{}", told.err);
        let found = to.trim_matches(['[', ']', '=', ' ']);
        assert!(told.err.contains(&format!("unknown field `{found}`")), "{}", told.err);
    }
}

#[test]
fn a_value_of_a_wrong_form_is_answered_with_file_line_what_was_found_and_what_was_expected() {
    for (from, to, line, expected) in [
        ("\"g1\"", "3", 1, "expected a string"),
        ("\"g1\"", "\"g/1\"", 1, "must not contain '/'"),
        ("\"g1\"", "\"\"", 1, "must not be empty"),
        ("\"g1\"", "\"g1", 1, "expected `\"`"),
        ("\"g1\"", "g1", 1, "must be quoted"),
        ("gateway =", "gateway", 1, "expected `=`"),
        ("prefix =", "gateway = \"g2\"\nprefix =", 2, "duplicate key"),
        ("allow_unsigned = false", "allow_unsigned = \"yes\"", 4, "expected a boolean"),
        ("host = \"127.0.0.1\"\n", "", 6, "missing field `host`"),
        ("port = 1883", "port = 70000", 8, "`70000`, expected u16"),
        ("port = 1883", "port = \"1883\"", 8, "string \"1883\", expected u16"),
        ("\"256KiB\"", "\"256KB\"", 10, "write a whole number and B, KiB, MiB or GiB"),
        ("\"256KiB\"", "262144", 10, "integer `262144`"),
        ("[[input]]", "[input]", 12, "expected a sequence"),
        ("format = \"json\"", "format = \"jsno\"", 14, "did you mean `json`?"),
        ("cadence = \"1s\"", "cadence = \"1 s\"", 17, "write a number and ms, s, m, h or d"),
        ("cadence = \"1s\"", "cadence = 1", 17, "integer `1`, expected a string"),
        ("calibrate = 400", "calibrate = 3", 18, "expected 50 to 100000 samples"),
        ("calibrate = 400", "calibrate = -400", 18, "a number of samples, e.g. 400"),
        ("kind = \"hydraulic-rig\"", "kind = \"../rig\"", 20, "must not contain '/'"),
        ("name = \"press-01\"\n", "", 29, "missing field `name`"),
        ("name = \"press-01\"", "name = \"press#01\"", 30, "must not contain '#'"),
    ] {
        let told = check(GOOD.replacen(from, to, 1), |path| format!("{path}, line {line}, column "));
        assert!(told.err.contains(expected), "{to:?}: {}", told.err);
    }
}

#[test]
fn a_value_that_cannot_be_is_answered_with_file_line_and_key() {
    for (from, to, line, key) in [
        ("\"wheeltapper/v1\"", "\"a/#\"", 2, "prefix"),
        ("\"wheeltapper/v1\"", "\"a\\u0000b\"", 2, "prefix"),
        ("\"127.0.0.1\"", "\"\"", 7, "host"),
        ("port = 1883", "port = 0", 8, "port"),
        ("\"256KiB\"", "\"1B\"", 10, "max_payload"),
        ("plant/{machine}/telemetry", "plant/telemetry", 13, "topic"),
        ("plant/{machine}/telemetry", "plant/#/{machine}", 13, "topic"),
        ("plant/{machine}/telemetry", "plant/{machine}/{channel}", 13, "topic"),
        ("cadence = \"1s\"", "cadence = \"0s\"", 17, "cadence"),
        ("calibrate = 400", "calibrate = 99999999999999", 18, "calibrate"),
        ("\"hydraulic-rig\"", "\"hydralic-rig\"", 20, "kind"),
        ("name = \"press-01\"", "name = \"press-01\"\n[[machine]]\nname = \"press-01\"", 32, "name"),
        ("name = \"press-01\"", "name = \"press-01\"\nkind = \"pump\"", 31, "kind"),
    ] {
        let told = check(GOOD.replacen(from, to, 1), |path| format!("{path}, line {line}"));
        assert!(told.err.contains(key), "{to:?}: {}", told.err);
    }
}

#[test]
fn a_configuration_that_is_no_text_of_its_kind_is_answered_with_its_name() {
    let deep = format!("gateway = {}", "[".repeat(100_000));
    for (content, expected) in [
        (&b""[..], "missing field `gateway`"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"{\"gateway\": \"g1\"}", "line 1"),
        (b"gateway: g1\n", "line 1"),
        (deep.as_bytes(), "line 1"),
    ] {
        let told = check(content, |path| path.to_owned());
        assert!(told.err.contains(expected), "{}", told.err);
        assert!(told.err.len() < 2000, "{} bytes of message", told.err.len());
    }
    let missing = wheeltapper(["check", "--config", "missing.toml"]);
    assert_refused(&missing, 78, "missing.toml: No such file");
    assert_refused(&wheeltapper(["run", "--config", "missing.toml"]), 78, "missing.toml: No such file");
}

#[test]
fn each_usage_error_is_answered_with_what_was_found_and_what_was_expected() {
    for (arguments, expected) in usage_errors() {
        assert_refused(&wheeltapper(arguments), 2, expected);
    }
}

#[test]
fn each_usage_error_shows_an_example() {
    for (arguments, _) in usage_errors() {
        let told = wheeltapper(arguments);
        assert!(told.err.contains("e.g.") || told.err.contains("Example"), "{arguments:?}: {}", told.err);
    }
}

#[test]
fn each_bad_model_package_is_refused_with_its_own_message() {
    let mut messages = HashMap::new();
    for (what, break_it, expected) in broken_packages() {
        let package = Package::copy();
        break_it(&package);
        let told = score_with(&package, &["--allow-unsigned"]);
        assert_refused(&told, 78, expected);
        let message = told.err.replace(&package.models().display().to_string(), "");
        let twin = messages.insert(message, what);
        assert_eq!(twin, None, "{what}: {}", told.err);
    }
}

#[test]
fn a_package_that_was_changed_is_refused_unless_unsigned_ones_are_allowed() {
    let package = Package::copy();
    assert_eq!(score_with(&package, &[]).code, 0, "as shipped");
    package.write("manifest.toml", [&package.read("manifest.toml")[..], b"\n"].concat());
    assert_refused(&score_with(&package, &[]), 78, "allow_unsigned");
    assert_eq!(score_with(&package, &["--allow-unsigned"]).code, 0);
}

#[test]
fn a_package_for_another_machine_or_another_cadence_is_refused() {
    for (from, to) in [
        ("name = \"hydraulic-dae\"", "name = \"pneumatic-dae\""),
        ("kind = \"hydraulic-rig\"", "kind = \"pneumatic-rig\""),
        ("cadence = \"1s\"", "cadence = \"1h\""),
        ("causal = true", "causal = false"),
    ] {
        let package = Package::copy();
        package.edit_manifest(from, to);
        let found = to.split('"').nth(1).unwrap_or("causal");
        assert_refused(&score_with(&package, &["--allow-unsigned"]), 78, found);
    }
}

#[test]
fn no_damage_to_a_network_makes_a_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for round in 0..60 {
        let package = Package::copy();
        let mut onnx = package.read(ONNX);
        let place = random.random_range(0..onnx.len());
        match round % 4 {
            0 => onnx.truncate(place),
            1 => onnx[place] ^= random.random_range(1..=255u8),
            // The structure stands at the end, behind the weights' names.
            2 => {
                let place = onnx.len() - 1 - place % 4000;
                onnx[place] ^= random.random_range(1..=255u8);
            }
            _ => drop(onnx.splice(place..place, (0..round).map(|_| random.random::<u8>()))),
        }
        package.write_listed(ONNX, &onnx);
        let told = score_with(&package, &["--allow-unsigned"]);
        assert!([0, 78].contains(&told.code), "round {round}: {}: {}", told.code, told.err);
        assert!(!told.err.contains("panicked"), "round {round}: {}", told.err);
    }
}

#[test]
fn a_package_that_asks_for_more_memory_than_a_gateway_has_is_refused() {
    let wide = Package::copy();
    wide.edit_manifest("window = 89", "window = 5000000000");
    assert_refused(&score_with(&wide, &["--allow-unsigned"]), 78, "window");
    let padded = Package::copy();
    let mut onnx = padded.read(ONNX);
    // A convolution's padding, as 64-bit integers: 16 becomes 1,677,721,616.
    let padding = 16i64.to_le_bytes();
    let place = onnx.windows(8).rposition(|bytes| bytes == padding).expect("a padding of 16 columns");
    onnx[place + 3] = 0x64;
    padded.write_listed(ONNX, &onnx);
    assert_refused(&score_with(&padded, &["--allow-unsigned"]), 78, "the network cannot be used");
}

#[test]
fn an_output_that_takes_no_more_is_an_error_and_no_panic() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        println!("skipped: this system has no /dev/full");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let input = folder.path().join("recording.csv");
    fs::write(&input, made_up(2)).expect("the test's folder can be written");
    let config = folder.path().join("wheeltapper.toml");
    fs::write(&config, GOOD).expect("the test's folder can be written");
    for arguments in [
        &["score".as_ref(), input.as_os_str()][..],
        &["score".as_ref(), input.as_os_str(), "--json".as_ref()],
        &["check".as_ref(), "--config".as_ref(), config.as_os_str()],
        &["check".as_ref(), "--config".as_ref(), config.as_os_str(), "--json".as_ref()],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
        let full = full.try_clone().expect("one more handle");
        let output = command.args(arguments).stdin(Stdio::null()).stdout(full).output().expect("the binary was built");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!err.contains("panicked"), "{arguments:?}: {err}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {err}");
    }
}

/// Command lines that cannot be understood, with what is said about each.
fn usage_errors() -> Vec<(&'static [&'static str], &'static str)> {
    vec![
        (&["scor"], "'score'"),
        (&["score"], "<IN>"),
        (&["score", "in.csv", "more.csv"], "unexpected argument 'more.csv'"),
        (&["score", "in.csv", "--calibrat", "400"], "'--calibrate'"),
        (&["score", "in.csv", "--calibrate"], "--calibrate <ROWS|DURATION>"),
        (&["score", "in.csv", "--calibrate", "all"], "neither a number of rows, e.g. 400, nor a duration"),
        (&["score", "in.csv", "--calibrate", "10"], "10 rows: give 50 to 100000"),
        (&["score", "in.csv", "--separator", "::"], "is not one character"),
        (&["score", "in.csv", "--kind", "hydraulic/rig"], "must not contain '/'"),
        (&["calibrate", "in.csv"], "--machine"),
        (&["check"], "--config <FILE>"),
        (&["run"], "--config <FILE>"),
        (&["replay", "in.csv"], "--publish"),
        (&["replay", "in.csv", "--publish", "http://localhost", "--topic", "t"], "write mqtt://HOST"),
    ]
}

/// How to break a package, and what is said about it.
type Breakage = (&'static str, fn(&Package), &'static str);

fn broken_packages() -> Vec<Breakage> {
    vec![
        ("no manifest", |it| it.remove("manifest.toml"), "cannot read manifest.toml"),
        ("an empty manifest", |it| it.write("manifest.toml", ""), "missing field `format`"),
        ("a manifest of bytes", |it| it.write("manifest.toml", b"format = \xff"), "not UTF-8"),
        ("a manifest of JSON", |it| it.write("manifest.toml", "{\"format\": 1}"), "manifest.toml, line 1"),
        ("a key that is not known", |it| it.edit_manifest("causal", "causl"), "did you mean `causal`?"),
        ("another format", |it| it.edit_manifest("format = 1", "format = 2"), "this binary reads format 1"),
        ("another task", |it| it.edit_manifest("\"denoise\"", "\"classify\""), "expected \"denoise\" or \"generate\""),
        ("no network", |it| it.remove(ONNX), "cannot read denoiser.onnx"),
        ("no vectors", |it| it.remove(VECTORS), "cannot read vectors.json"),
        ("no card", |it| it.remove("MODEL_CARD.md"), "cannot read MODEL_CARD.md"),
        ("a network cut short", |it| it.write(ONNX, &it.read(ONNX)[..80_000]), "has 80000 bytes, the manifest says"),
        ("a network cut short and listed", |it| it.write_listed(ONNX, &it.read(ONNX)[..50_000]), "buffer underflow"),
        ("a flipped byte", |it| it.write(ONNX, flipped(it)), "has the sha256"),
        ("a flipped byte, listed", |it| it.write_listed(ONNX, &flipped(it)), "test vector 0 is missed by"),
        ("a wrong hash", |it| it.edit_manifest("sha256 = \"2", "sha256 = \"6"), "the manifest says 6"),
        ("a wrong size", |it| it.edit_manifest("bytes = 9", "bytes = 8"), "the manifest says 8"),
        ("a size beyond reason", |it| it.edit_manifest("bytes = 9", "bytes = 99999999"), "at most 67108864 are read"),
        ("a channel that the kind lacks", |it| it.edit_manifest("\"FS1\"", "\"FS9\""), "reads the channel FS9"),
        ("a channel in another unit", |it| it.edit_manifest("\"l/min\"", "\"m3/h\""), "reads the channel FS1 in m3/h"),
        ("a channel twice", |it| it.edit_manifest("\"FS1\"", "\"FS2\""), "the channel FS2 stands twice"),
        ("a channel too few", |it| it.edit_manifest(LAST_CHANNEL, ""), "Impossible to unify"),
        ("a window too short", |it| it.edit_manifest("window = 89", "window = 30"), "the manifest allows"),
        ("a window too long", |it| it.edit_manifest("window = 89", "window = 500"), "of at least 500 columns"),
        (
            "a window beyond reason",
            |it| it.edit_manifest("window = 89", "window = 4000000"),
            "at most 32768 values fit",
        ),
        ("no window", |it| it.edit_manifest("window = 89", "window = 0"), "must not be empty"),
        ("another input", |it| it.edit_manifest("input = \"x\"", "input = \"z\""), "inputs are [\"x\"]"),
        ("another output", |it| it.edit_manifest("output = \"y\"", "output = \"z\""), "outputs are [\"y\"]"),
        ("other axes", |it| it.edit_manifest("\"channels\", \"time\"", "\"time\", \"channels\""), "contract.axes"),
        ("another type", |it| it.edit_manifest("float32", "float16"), "contract.dtype"),
        ("no clip", |it| it.edit_manifest("clip = 4.0", "clip = nan"), "contract.clip is NaN"),
        ("a floor below zero", |it| it.edit_manifest("floor = 3.8", "floor = -3.8"), "the floor of channel FS1"),
        ("excuses for any difference", |it| it.edit_manifest("= 0.0001", "= 1.0"), "expected up to 0.001"),
        (
            "an absolute path",
            |it| it.edit_manifest("\"denoiser", "\"/etc/denoiser"),
            "does not lie in the package's own",
        ),
        (
            "a path that climbs",
            |it| it.edit_manifest("\"denoiser", "\"../denoiser"),
            "\"../denoiser.onnx\" does not lie",
        ),
        ("two networks", |it| it.edit_manifest("MODEL_CARD.md", "other.onnx"), "exactly one [[file]]"),
        ("vectors that are not listed", |it| it.edit_manifest("\"vectors", "\"other"), "other.json is not listed"),
        ("vectors that are off", |it| it.write_listed(VECTORS, &vectors(it, off)), "missed by 1.0"),
        (
            "vectors of fewer channels",
            |it| it.write_listed(VECTORS, &vectors(it, fewer_channels)),
            "is not 10 channels",
        ),
        ("no case among the vectors", |it| it.write_listed(VECTORS, b"{\"cases\": []}"), "there is no case in it"),
        ("vectors without numbers", |it| it.write_listed(VECTORS, &vectors(it, no_numbers)), "null, expected f32"),
        ("vectors that are no JSON", |it| it.write_listed(VECTORS, b"cases"), "vectors.json: expected value"),
        ("tensors in other files", |it| it.write_listed(ONNX, &with_graph(it, EXTERNAL)), "in external files"),
        ("one more output", |it| it.write_listed(ONNX, &with_graph(it, OUTPUT)), "the network cannot be used"),
        ("one more input", |it| it.write_listed(ONNX, &with_graph(it, INPUT)), "graph input `z`"),
        ("an empty network", |it| it.write_listed(ONNX, b""), "does not contain a graph"),
        ("a text as network", |it| it.write_listed(ONNX, b"This is no network.\n"), "unexpected end group tag"),
    ]
}

fn flipped(package: &Package) -> Vec<u8> {
    let mut onnx = package.read(ONNX);
    // The sign and exponent of a weight in the middle of the file.
    let middle = onnx.len() / 2 / 4 * 4;
    onnx[middle..middle + 4].iter_mut().for_each(|byte| *byte ^= 0x40);
    onnx
}

/// Appends a message to the network: what protobuf reads twice, it merges.
fn with_graph(package: &Package, field: &[u8]) -> Vec<u8> {
    let mut onnx = package.read(ONNX);
    onnx.extend([7 << 3 | 2, u8::try_from(field.len()).expect("a short message")]);
    onnx.extend(field);
    onnx
}

fn vectors(package: &Package, change: fn(&mut Value)) -> Vec<u8> {
    let mut vectors = serde_json::from_slice(&package.read(VECTORS)).expect("the vectors are JSON");
    change(&mut vectors);
    vectors.to_string().into_bytes()
}

fn off(vectors: &mut Value) {
    for value in vectors["cases"][0]["output"][3].as_array_mut().expect("a channel") {
        *value = json!(value.as_f64().expect("a number") + 1e-2);
    }
}

fn fewer_channels(vectors: &mut Value) {
    for side in ["input", "output"] {
        vectors["cases"][0][side].as_array_mut().expect("channels").pop();
    }
}

fn no_numbers(vectors: &mut Value) {
    vectors["cases"][0]["output"][3][0] = Value::Null;
}

/// Scores a made-up rig with the network of a package.
fn score_with(package: &Package, arguments: &[&str]) -> Told {
    let input = package.path("recording.csv");
    let mut rig = MadeUp::new(10, SignedDuration::from_secs(1), 450);
    rig.channels = ["CE", "CP", "SE", "VS1", "TS1", "TS2", "TS3", "TS4", "FS1", "FS2"].map(str::to_owned).to_vec();
    fs::write(&input, rig.text(USUAL)).expect("the test's folder can be written");
    let models = package.models().to_str().expect("a path of text");
    score(&input, &[&["--kind", "hydraulic-rig", "--json", "--models", models], arguments].concat())
}

fn score(input: &Path, arguments: &[&str]) -> Told {
    wheeltapper(["score", input.to_str().expect("a path of text")].iter().chain(arguments))
}

/// Checks a configuration and holds the answer against what every bad one gets; `place` is how the message must start.
fn check(content: impl AsRef<[u8]>, place: impl Fn(&str) -> String) -> Told {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path: PathBuf = folder.path().join("wheeltapper.toml");
    fs::write(&path, content).expect("the test's folder can be written");
    let path = path.to_str().expect("a path of text");
    let told = wheeltapper(["check", "--config", path]);
    assert_refused(&told, 78, &place(path));
    told
}

/// One message, the right exit code, nothing on standard output that could be taken for a result, and no panic.
fn assert_refused(told: &Told, code: i32, expected: &str) {
    assert_eq!(told.code, code, "{}", told.err);
    assert!(told.err.contains(expected), "expected {expected:?}: {}", told.err);
    assert!(!told.err.contains("panicked") && !told.err.contains("stack backtrace"), "{}", told.err);
    let messages = told.err.lines().filter(|line| line.starts_with("wheeltapper: ") || line.starts_with("error: "));
    assert_eq!(messages.count(), 1, "{}", told.err);
    assert!(code == 1 || told.out.is_empty(), "{}", told.out);
}

fn made_up(channels: usize) -> String {
    MadeUp::new(channels, SignedDuration::from_secs(1), 600).text(USUAL)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(bytes).expect("memory");
    zipped.finish().expect("memory")
}

const ONNX: &str = "denoiser.onnx";
const VECTORS: &str = "vectors.json";
const LAST_CHANNEL: &str = "[[contract.channel]]\nname = \"FS2\"\nunit = \"l/min\"\nfloor = 0.603004\ndrift = 0.0\n";
/// `initializer { dims: 1 data_type: FLOAT name: "w" data_location: EXTERNAL }`
const EXTERNAL: &[u8] = b"\x2a\x09\x08\x01\x10\x01\x42\x01w\x70\x01";
/// `output { name: "z" }`
const OUTPUT: &[u8] = b"\x62\x03\x0a\x01z";
/// `input { name: "z" }`
const INPUT: &[u8] = b"\x5a\x03\x0a\x01z";

const GOOD: &str = r#"gateway = "g1"
prefix = "wheeltapper/v1"
state_dir = "state"
allow_unsigned = false

[mqtt]
host = "127.0.0.1"
port = 1883
client_id = "wheeltapper-g1"
max_payload = "256KiB"

[[input]]
topic = "plant/{machine}/telemetry"
format = "json"

[machine_defaults]
cadence = "1s"
calibrate = 400
lateness = "10s"
kind = "hydraulic-rig"

[alarm]
raise_after = "5s"
clear_after = "5s"

[score]
every = "10s"

[[machine]]
name = "press-01"
"#;
