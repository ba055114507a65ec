//! Times, durations, sizes and names, one a line.

use wheeltapper::acquisition::{Name, parse_stamp, stamp_from_number};
use wheeltapper::notation::{parse_duration, parse_size, show_duration};

pub fn run(data: &[u8]) {
    for text in data.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if let Some(stamp) = parse_stamp(text) {
            assert_eq!(parse_stamp(&stamp.to_string()), Some(stamp), "{text:?}");
        }
        if let Ok(number) = text.parse::<f64>() {
            let stamp = stamp_from_number(number);
            assert!(stamp.is_none() || number.is_finite(), "{text:?} is {stamp:?}");
        }
        if let Ok(duration) = parse_duration(text)
            && duration.subsec_nanos().is_multiple_of(1_000_000)
            // A larger one is not whole milliseconds once it has been a floating-point number.
            && duration.as_secs() < 1 << 32
        {
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration), "{text:?}");
        }
        if let Ok(size) = parse_size(text) {
            assert_eq!(parse_size(&format!("{size}B")), Ok(size), "{text:?}");
        }
        if let Ok(name) = Name::parse(text) {
            assert!(!name.as_str().contains(['+', '#', '/', '\0']), "{text:?}");
        }
    }
}
