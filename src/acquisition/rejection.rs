use serde::Serialize;
use serde::ser::SerializeMap;

/// Why a message, or a reading in it, was not scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("larger than the configured max_payload")]
    Oversize,
    #[error("not valid UTF-8")]
    NotUtf8,
    #[error("not what the input's format asks for")]
    Malformed,
    #[error("a number that is not finite")]
    NonFinite,
    #[error("no channel with a number in it")]
    NoReading,
    #[error("the same channel twice in one message")]
    DuplicateKey,
    #[error("a machine's or channel's name that cannot be a topic level, or is the gateway's own")]
    BadName,
    #[error("more channels than a machine may have")]
    TooManyChannels,
    #[error("a channel that this machine did not have when it was calibrated")]
    UnknownChannel,
    #[error("a time that cannot be read")]
    BadTime,
    #[error("the stamp of a sample that was already taken")]
    Duplicate,
    #[error("older than what was already taken")]
    Late,
    #[error("stamped in the future")]
    Future,
    #[error("more machines than the gateway may watch")]
    UnknownMachine,
    #[error("a topic that no input's pattern describes")]
    UnknownTopic,
    #[error("a retained message, which says nothing about now")]
    Retained,
    #[error("a reading outside its channel's physical limits")]
    OutOfRange,
    #[error("a reading that makes sense only in another unit than the one that was calibrated")]
    UnitChanged,
    #[error("the same reading again and again, where the channel never kept one for so long")]
    Frozen,
    #[error("dropped because messages came faster than they could be scored")]
    Shed,
}

impl Rejection {
    /// The name in `rejected` of the status payload.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::NotUtf8 => "not_utf8",
            Self::Malformed => "malformed",
            Self::NonFinite => "non_finite",
            Self::NoReading => "no_reading",
            Self::DuplicateKey => "duplicate_key",
            Self::BadName => "bad_name",
            Self::TooManyChannels => "too_many_channels",
            Self::UnknownChannel => "unknown_channel",
            Self::BadTime => "bad_time",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Future => "future",
            Self::UnknownMachine => "unknown_machine",
            Self::UnknownTopic => "unknown_topic",
            Self::Retained => "retained",
            Self::OutOfRange => "out_of_range",
            Self::UnitChanged => "unit_changed",
            Self::Frozen => "frozen",
            Self::Shed => "shed",
        }
    }

    const ALL: [Self; 20] = [
        Self::Oversize,
        Self::NotUtf8,
        Self::Malformed,
        Self::NonFinite,
        Self::NoReading,
        Self::DuplicateKey,
        Self::BadName,
        Self::TooManyChannels,
        Self::UnknownChannel,
        Self::BadTime,
        Self::Duplicate,
        Self::Late,
        Self::Future,
        Self::UnknownMachine,
        Self::UnknownTopic,
        Self::Retained,
        Self::OutOfRange,
        Self::UnitChanged,
        Self::Frozen,
        Self::Shed,
    ];
}

/// How many messages were refused since the start, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections([u64; Rejection::ALL.len()]);

impl Rejections {
    pub fn count(&mut self, rejection: Rejection) {
        self.add(rejection, 1);
    }

    pub fn add(&mut self, rejection: Rejection, messages: u64) {
        self.0[rejection as usize] += messages;
    }

    pub fn of(&self, rejection: Rejection) -> u64 {
        self.0[rejection as usize]
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Serialize for Rejections {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Rejection::ALL.len()))?;
        for cause in Rejection::ALL {
            map.serialize_entry(cause.cause(), &self.of(cause))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_counted_under_its_own_name() {
        for (index, rejection) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(rejection as usize, index);
            let mut rejections = Rejections::default();
            rejections.count(rejection);
            assert_eq!(rejections.of(rejection), 1);
            assert_eq!(rejections.total(), 1);
        }
    }
}
