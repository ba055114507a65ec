use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Reads a duration: a number and one of `ms`, `s`, `m`, `h`, `d`, e.g. `15s` or `1.5h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let explain = || format!("{text:?} is not a duration; write a number and ms, s, m, h or d, e.g. \"15s\"");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(explain)?;
    let (number, unit) = text.split_at(digits);
    // No binary fraction is a thousandth: to multiply with one would make a nanosecond of difference.
    let milliseconds = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        "d" => 86_400e3,
        _ => return Err(explain()),
    };
    let number: f64 = number.parse().map_err(|_| explain())?;
    Duration::try_from_secs_f64(number * milliseconds / 1e3).map_err(|_| explain())
}

/// Writes a duration in the largest unit in which it is whole.
pub fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if milliseconds > 0 && milliseconds.is_multiple_of(length) {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    format!("{milliseconds}ms")
}

/// Reads a duration out of a file, for `#[serde(deserialize_with)]`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// The same for a key that may be left out.
pub fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("15s", 15_000),
            ("1.5h", 5_400_000),
            ("2d", 172_800_000),
            ("0s", 0),
            ("7907673600ms", 7_907_673_600),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn what_is_no_duration_is_explained() {
        for text in ["", "15", "s", "15 s", "-1s", "1.2.3s", "15min", "99999999999999999999d"] {
            assert!(parse_duration(text).unwrap_err().contains("e.g. \"15s\""), "{text}");
        }
    }
}
