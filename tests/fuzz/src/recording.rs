//! Recordings. A first line that begins with `#` says how to read the rest, e.g. `# time=t ignore=a,b separator=;`.

use wheeltapper::recording::{ReadOptions, Recording};

use crate::scratch;

pub fn run(data: &[u8]) {
    let (options, content) = match data.strip_prefix(b"# ") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            (options(&rest[..end]), rest.get(end + 1..).unwrap_or_default())
        }
        None => (ReadOptions::default(), data),
    };
    let path = scratch::file("recording.csv", content);
    let Ok(mut recording) = Recording::open(&path, &options) else { return };
    let channels = recording.columns().channels.clone();
    assert!(!channels.is_empty(), "a recording without a channel was opened");
    if channels.len() > 1 {
        let last = channels.last().expect("there are two at least").as_str();
        recording.select(&[last, channels[0].as_str()]).expect("both are there");
    }
    let width = recording.columns().channels.len();
    for _ in 0..MOST_ROWS {
        let Ok(Some(row)) = recording.next_row() else { break };
        assert_eq!(row.values.len(), width);
        assert!(row.values.iter().all(|value| value.is_finite() || value.is_nan()), "{row:?}");
    }
}

fn options(line: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    for word in String::from_utf8_lossy(line).split(' ') {
        match word.split_once('=') {
            Some(("time", name)) => options.time = Some(name.to_owned()),
            Some(("ignore", names)) => options.ignore = names.split(',').map(str::to_owned).collect(),
            Some(("separator", text)) => options.separator = text.bytes().next(),
            _ => {}
        }
    }
    options
}

/// A packed file may have any number of them.
const MOST_ROWS: usize = 10_000;
