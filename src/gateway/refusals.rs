use std::collections::HashMap;
use std::time::Duration;

use tracing::warn;

use crate::plant::Refused;

/// Tells the log of refused messages at a bounded rate: the first of a cause at once, then once in a while.
#[derive(Default)]
pub(super) struct RefusalLog {
    told: HashMap<&'static str, Told>,
}

struct Told {
    at: Duration,
    since: u64,
}

impl RefusalLog {
    pub fn tell(&mut self, refused: &Refused, now: Duration) {
        let cause = refused.rejection.cause();
        let told = self.told.get_mut(cause);
        match told {
            Some(told) if now.saturating_sub(told.at) < PAUSE => told.since += 1,
            _ => {
                let more = told.map_or(0, |told| told.since);
                warn!(cause, topic = %refused.topic, more, "message refused: {}", refused.rejection);
                self.told.insert(cause, Told { at: now, since: 0 });
            }
        }
    }
}

/// Between two lines about the same cause.
const PAUSE: Duration = Duration::from_secs(10);
