//! When to try again (trap M7).

use std::time::Duration;

/// The back-off of one outage.
///
/// Three promises fix it: flowing again within 1 s of the broker's return if it was away for less than 10 s, within
/// 31 s always, and at most 12 attempts in the first minute. A doubling back-off cannot keep the first and the last of
/// them together; this can: the first attempt within 0.25 s, then one every 0.98 s for 10 s (eleven), then one every
/// 25 to 30 s (one more), and after the first minute full jitter over 0.25 to 30 s, so that a hall full of
/// gateways comes back spread out.
///
/// A connection shorter than 10 s does not end the outage: it makes it younger by half the time that it lasted.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    attempts: u32,
    /// How long this outage had lasted when the connection went last.
    age: Duration,
    /// Since when there is no connection.
    since: Duration,
}

impl Schedule {
    /// At the start: the first attempt is made at once and counts.
    pub fn started() -> Self {
        Schedule { attempts: 1, ..Schedule::default() }
    }

    /// The connection went after `lived`.
    pub fn lost(&mut self, now: Duration, lived: Duration) {
        if lived >= LONG_ENOUGH {
            *self = Schedule::default();
        }
        self.age = self.age.saturating_sub(lived / 2);
        self.since = now;
    }

    /// The connection came.
    pub fn connected(&mut self, now: Duration) {
        self.age = self.lasted(now);
        self.since = now;
    }

    /// How long to wait until the next attempt; `random` lies in 0..1.
    pub fn next(&mut self, now: Duration, random: f64) -> Duration {
        let lasted = self.lasted(now);
        let (least, most) = match self.attempts {
            0 => (0.22, 0.25),
            _ if lasted < QUICK => (0.98, 0.99),
            _ if lasted < Duration::from_secs(60) => (25.2, 30.0),
            _ => (0.25, 30.0),
        };
        self.attempts = self.attempts.saturating_add(1);
        Duration::from_secs_f64(least + (most - least) * random.clamp(0.0, 1.0))
    }

    /// Attempts of this outage.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    fn lasted(&self, now: Duration) -> Duration {
        self.age + now.saturating_sub(self.since)
    }
}

/// A connection that lasted this long ends the outage.
const LONG_ENOUGH: Duration = Duration::from_secs(10);
/// An attempt before this time is followed by a quick one, so that the last quick one falls just behind 10 s.
const QUICK: Duration = Duration::from_millis(9_500);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Attempt times, if each connection lasts `lived`; from the start of the process, or after a long connection.
    fn attempts(start: bool, lived: Duration, mut random: impl FnMut() -> f64) -> Vec<f64> {
        let (mut schedule, mut now, mut times) = (Schedule::started(), Duration::ZERO, vec![0.0]);
        if !start {
            schedule.lost(now, Duration::from_secs(3_600));
            times.clear();
        }
        while now < Duration::from_secs(400) {
            now += schedule.next(now, random());
            times.push(now.as_secs_f64());
            if !lived.is_zero() {
                schedule.connected(now);
                now += lived;
                schedule.lost(now, lived);
            }
        }
        times
    }

    proptest! {
        #[test]
        fn a_dead_broker_sees_at_most_12_attempts_in_the_first_minute(
            jitter in prop::collection::vec(0.0..1.0, 400), start: bool,
        ) {
            let mut jitter = jitter.into_iter().cycle();
            let times = attempts(start, Duration::ZERO, || jitter.next().unwrap_or(0.5));
            prop_assert!(times[0] <= 0.25);
            prop_assert!(times.iter().filter(|time| **time <= 60.0).count() <= 12, "{times:?}");
            for pair in times.windows(2) {
                let most = if pair[0] < if start { 9.5 } else { 10.0 } { 0.995 } else { 30.0 };
                prop_assert!(pair[1] - pair[0] <= most, "{pair:?}");
            }
        }

        #[test]
        fn a_broker_that_hangs_up_at_once_is_not_stormed(
            jitter in prop::collection::vec(0.0..1.0, 400), lived in 1u64..200,
        ) {
            let mut jitter = jitter.into_iter().cycle();
            let times = attempts(false, Duration::from_millis(lived), || jitter.next().unwrap_or(0.5));
            prop_assert!(times.iter().filter(|time| **time <= 60.0).count() <= 16, "{times:?}");
        }
    }

    #[test]
    fn a_long_connection_ends_the_outage() {
        let mut schedule = Schedule::default();
        for _ in 0..20 {
            schedule.next(Duration::from_secs(100), 0.5);
        }
        schedule.connected(Duration::from_secs(200));
        schedule.lost(Duration::from_secs(210), Duration::from_secs(10));
        assert!(schedule.next(Duration::from_secs(210), 0.9) <= Duration::from_millis(250));
    }
}
