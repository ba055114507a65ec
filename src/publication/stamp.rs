use jiff::Timestamp;
use serde::Serializer;

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`: always three decimals, always UTC.
pub fn show_stamp(stamp: Timestamp) -> String {
    // The contract's years have four digits; what lies outside them is no time that a machine was ever seen at.
    let stamp = stamp.clamp(Timestamp::UNIX_EPOCH, LAST);
    stamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

pub(super) fn serialize<S: Serializer>(stamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_stamp(*stamp))
}

pub(super) fn serialize_some<S: Serializer>(stamp: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match stamp {
        Some(stamp) => serialize(stamp, serializer),
        None => serializer.serialize_none(),
    }
}

const LAST: Timestamp = Timestamp::constant(253_402_200_000, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_has_three_decimals_and_is_utc() {
        for (milliseconds, expected) in [
            (1_795_538_405_120, "2026-11-24T16:40:05.120Z"),
            (1_795_538_405_000, "2026-11-24T16:40:05.000Z"),
            (-5, "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(show_stamp(Timestamp::from_millisecond(milliseconds).unwrap()), expected);
        }
    }

    #[test]
    fn a_finer_stamp_is_cut_not_rounded_into_the_future() {
        let stamp = Timestamp::from_nanosecond(1_795_538_405_999_999_999).unwrap();
        assert_eq!(show_stamp(stamp), "2026-11-24T16:40:05.999Z");
    }
}
