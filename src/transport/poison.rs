//! Messages that end the connection as soon as they arrive, and come back with the next one (trap M9).

use std::time::Duration;

use super::options::{HEADROOM, LARGEST_PAYLOAD};

/// Recognises the same unreadable packet in a row of failed connections.
#[derive(Debug)]
pub(super) struct Poison {
    last: Option<(Unreadable, u32)>,
    /// When a session was last dropped for it.
    dropped: Option<Duration>,
    packet_limit: usize,
}

/// A packet that the connection broke on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Of so many bytes, which is more than the limit.
    OverLimit(usize),
    /// Not to be parsed.
    Malformed(String),
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cure {
    /// Connect again: it may have been a passing fault.
    Retry,
    /// The broker keeps it in the session: have the session dropped, with everything in it.
    DropSession,
    /// It came back in a new session, so it is retained: let it pass once, it is dropped behind the connection.
    RaiseLimit,
}

impl Poison {
    pub fn new(packet_limit: usize) -> Self {
        Poison { last: None, dropped: None, packet_limit }
    }

    /// The connection broke on this packet.
    pub fn met(&mut self, now: Duration, packet: Unreadable) -> Cure {
        let times = match &self.last {
            Some((last, times)) if *last == packet => times + 1,
            _ => 1,
        };
        self.last = Some((packet.clone(), times));
        if times < PATIENCE {
            return Cure::Retry;
        }
        self.last = None;
        let recurred = self.dropped.is_some_and(|dropped| now.saturating_sub(dropped) < RECURRENCE);
        match packet {
            Unreadable::OverLimit(size) if recurred && size <= LARGEST_PAYLOAD + HEADROOM => {
                self.packet_limit = self.packet_limit.max(size);
                Cure::RaiseLimit
            }
            // No use in doing it again and again: each time costs whatever telemetry was queued.
            _ if recurred => Cure::Retry,
            _ => {
                self.dropped = Some(now);
                Cure::DropSession
            }
        }
    }

    /// The largest packet to take now.
    pub fn packet_limit(&self) -> usize {
        self.packet_limit
    }
}

/// The same failure this often in a row is no passing fault.
const PATIENCE: u32 = 3;
/// Met again within this time of a dropped session, it was not in the session.
const RECURRENCE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_same_packet_three_times_costs_the_session_and_once_more_raises_the_limit() {
        let mut poison = Poison::new(1_000);
        let giant = || Unreadable::OverLimit(5_000_000);
        let cures: Vec<_> = (0..6).map(|at| poison.met(S(at), giant())).collect();
        use Cure::*;
        assert_eq!(cures, [Retry, Retry, DropSession, Retry, Retry, RaiseLimit]);
        assert_eq!(poison.packet_limit(), 5_000_000);
    }

    #[test]
    fn different_packets_are_not_held_against_each_other() {
        let mut poison = Poison::new(1_000);
        for size in [2_000, 3_000, 2_000, 3_000, 2_000] {
            assert_eq!(poison.met(S(0), Unreadable::OverLimit(size)), Cure::Retry);
        }
    }

    #[test]
    fn a_session_is_dropped_at_most_once_in_ten_minutes() {
        let mut poison = Poison::new(1_000);
        let broken = || Unreadable::Malformed("topic is not UTF-8".to_owned());
        let dropped = (0..60).filter(|at| poison.met(S(*at), broken()) == Cure::DropSession).count();
        assert_eq!(dropped, 1);
        assert_eq!(poison.packet_limit(), 1_000);
    }
}
