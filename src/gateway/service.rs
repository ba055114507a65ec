use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// Shows that a loop goes on: it beats, somebody else looks whether it still does.
#[derive(Clone, Debug, Default)]
pub(super) struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells the service manager, if there is one, that the gateway is up; a broker is not needed for that.
pub fn tell_ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells it that a reload has begun; [`tell_ready`] ends it.
pub fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "the service manager cannot be told of the reload"),
    }
}

pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the service manager's watchdog for as long as the heart beats, and for ever where there is no watchdog.
///
/// It runs on the runtime that polls the broker, so a runtime that hangs feeds nothing either.
pub(super) async fn feed_watchdog(heart: Heartbeat) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut interval = tokio::time::interval((period / 3).max(Duration::from_millis(100)));
    let mut before = heart.count();
    loop {
        interval.tick().await;
        let now = heart.count();
        if now != before {
            tell(&[NotifyState::Watchdog]);
            before = now;
        } else {
            warn!("the scoring thread or the link stands still; the watchdog is not fed");
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "the service manager cannot be told");
    }
}
