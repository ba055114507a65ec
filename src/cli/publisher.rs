use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::broker::{connect, ended};
use super::outcome::Failure;
use crate::outbox::{EntryId, Publication};
use crate::transport::{LinkEvent, LinkEvents, LinkHandle, LinkOptions, Refusal};

/// Publishes telemetry in its order, each message until the broker has confirmed it.
///
/// What is on its way is bounded by the link; while there is no room, or no broker, whoever publishes waits.
pub(super) struct Publisher {
    link: LinkHandle,
    events: LinkEvents,
    next: u64,
    /// Not yet confirmed.
    outstanding: BTreeMap<EntryId, Publication>,
    /// Those among them that are not on their way: they came when there was no room or no connection, or their connection
    /// has gone.
    unsent: BTreeSet<EntryId>,
    due: Instant,
}

impl Publisher {
    pub async fn connect(options: LinkOptions) -> Result<Self, Failure> {
        let (link, events) = connect(options).await?;
        let (outstanding, unsent) = (BTreeMap::new(), BTreeSet::new());
        Ok(Self { link, events, next: 0, outstanding, unsent, due: Instant::now() })
    }

    /// From now on the time of messages is reckoned.
    pub fn start_clock(&mut self) {
        self.due = Instant::now();
    }

    /// Waits until it is time for the next message; a message that was late does not make the next ones late.
    pub async fn pause(&mut self, pause: Duration) -> Result<(), Failure> {
        self.due += pause;
        while Instant::now() < self.due {
            tokio::select! {
                () = sleep_until(self.due) => break,
                event = self.events.recv() => self.take(event)?,
            }
        }
        Ok(())
    }

    /// Sends a message, as soon as all before it are on their way. One that is cancelled is sent all the same, by whatever
    /// comes next.
    pub async fn publish(&mut self, topic: &str, payload: Vec<u8>) -> Result<(), Failure> {
        let id = EntryId(self.next);
        self.next += 1;
        self.outstanding.insert(id, Publication { topic: topic.to_owned(), payload, retain: false });
        self.unsent.insert(id);
        // What was lost is to go before it, and the link may have told of it long ago.
        while let Some(event) = self.events.try_recv() {
            self.take(Some(event))?;
        }
        self.send_unsent()?;
        while !self.unsent.is_empty() {
            self.take_event().await?;
        }
        Ok(())
    }

    /// Waits until the broker has everything.
    pub async fn finish(mut self) -> Result<(), Failure> {
        let mut waiting = self.outstanding.len();
        let mut since = Instant::now();
        while waiting > 0 {
            let patience = PATIENCE.saturating_sub(since.elapsed());
            match timeout(patience, self.take_event()).await {
                Ok(event) => event?,
                Err(_) => {
                    return Err(Failure::failed(format_args!("{waiting} messages were not confirmed by the broker")));
                }
            };
            if self.outstanding.len() < waiting {
                (waiting, since) = (self.outstanding.len(), Instant::now());
            }
        }
        self.link.disconnect().await;
        Ok(())
    }

    async fn take_event(&mut self) -> Result<(), Failure> {
        let event = self.events.recv().await;
        self.take(event)
    }

    fn take(&mut self, event: Option<LinkEvent>) -> Result<(), Failure> {
        match event.ok_or_else(ended)? {
            LinkEvent::Connected { .. } => self.send_unsent(),
            LinkEvent::Acknowledged(id) => {
                self.outstanding.remove(&id);
                self.send_unsent()
            }
            LinkEvent::Lost(ids) => {
                self.unsent.extend(ids);
                self.send_unsent()
            }
            _ => Ok(()),
        }
    }

    /// In order, until one is refused.
    fn send_unsent(&mut self) -> Result<(), Failure> {
        while let Some(id) = self.unsent.first().copied() {
            if let Some(publication) = self.outstanding.get(&id) {
                match self.link.publish_tracked(id, publication.clone()) {
                    Ok(()) => {}
                    Err(Refusal::Offline(_) | Refusal::Full(_)) => return Ok(()),
                    Err(refusal @ Refusal::Impossible { .. }) => return Err(Failure::failed(refusal)),
                }
            }
            self.unsent.pop_first();
        }
        Ok(())
    }
}

/// Holds a topic to be one that messages can be published on.
pub(super) fn one_topic(topic: &str) -> Result<(), Failure> {
    if topic.is_empty() || topic.contains(['{', '}', '+', '#', '\0']) {
        return Err(Failure::usage(format_args!(
            "--topic {topic:?}: expected the topic of one machine, e.g. plant/pump-1/telemetry"
        )));
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(10);
