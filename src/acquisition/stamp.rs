use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The time that a text spells: RFC 3339 with an offset, or a date and time without one, which is taken as UTC.
pub fn parse_stamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // Every stamp has a date and a time of day; this turns ordinary texts away without parsing them.
    if text.len() < "2026-11-24T16:40".len() || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some(stamp);
    }
    let civil: DateTime = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

/// The time that a number means: Unix seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude.
///
/// The borders are those at which the finer unit would name a day in 1973 and the coarser one a day in 5138.
pub fn stamp_from_number(number: f64) -> Option<Timestamp> {
    let magnitude = number.abs();
    let nanoseconds = if magnitude < 1e11 {
        // A double holds today's seconds to about a quarter of a microsecond; what lies beyond is noise.
        return Timestamp::from_microsecond((number * 1e6).round() as i64).ok();
    } else if magnitude < 1e14 {
        number * 1e6
    } else if magnitude < 1e17 {
        number * 1e3
    } else if magnitude < 1e20 {
        number
    } else {
        return None;
    };
    Timestamp::from_nanosecond(nanoseconds as i128).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_with_an_offset_or_as_utc() {
        let expected = Some(Timestamp::from_millisecond(1_795_538_405_120).unwrap());
        for text in [
            "2026-11-24T16:40:05.120Z",
            "2026-11-24T17:40:05.120+01:00",
            "2026-11-24 16:40:05.12",
            " 2026-11-24T16:40:05.120 ",
        ] {
            assert_eq!(parse_stamp(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_stamp_is_none() {
        for text in ["", "12", "2026-11-24", "2026-13-24T16:40:05Z", "pump 1 is running", "9999999999999999999"] {
            assert_eq!(parse_stamp(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_taken_in_the_unit_that_its_magnitude_tells() {
        let expected = Some(Timestamp::from_second(1_795_538_405).unwrap());
        for number in [1_795_538_405.0, 1_795_538_405e3, 1_795_538_405e6, 1_795_538_405e9] {
            assert_eq!(stamp_from_number(number), expected, "{number}");
        }
        assert_eq!(stamp_from_number(1e25), None);
    }
}
