use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::broker::{connect, ended};
use super::outcome::Failure;
use crate::outbox::{EntryId, Publication};
use crate::transport::{LinkEvent, LinkEvents, LinkHandle, LinkOptions, Refusal};

/// Publishes telemetry, each message until the broker has confirmed it.
pub(super) struct Publisher {
    link: LinkHandle,
    events: LinkEvents,
    next: u64,
    /// Sent and not yet confirmed.
    outstanding: Vec<(EntryId, Publication)>,
    /// Those among them that are not on their way, because there was no connection or no room.
    refused: Vec<EntryId>,
    due: Instant,
}

impl Publisher {
    pub async fn connect(options: LinkOptions) -> Result<Self, Failure> {
        let (link, events) = connect(options).await?;
        Ok(Self { link, events, next: 0, outstanding: Vec::new(), refused: Vec::new(), due: Instant::now() })
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

    pub async fn publish(&mut self, topic: &str, payload: Vec<u8>) -> Result<(), Failure> {
        let publication = Publication { topic: topic.to_owned(), payload, retain: false };
        let id = EntryId(self.next);
        self.next += 1;
        self.outstanding.push((id, publication.clone()));
        self.send(id, publication).await
    }

    /// Waits until the broker has everything.
    pub async fn finish(mut self) -> Result<(), Failure> {
        while !self.outstanding.is_empty() {
            match timeout(PATIENCE, self.take_event()).await {
                Ok(event) => event?,
                Err(_) => {
                    return Err(Failure::failed(format_args!(
                        "{} messages were not confirmed by the broker",
                        self.outstanding.len()
                    )));
                }
            };
        }
        self.link.disconnect().await;
        Ok(())
    }

    async fn send(&mut self, id: EntryId, mut publication: Publication) -> Result<(), Failure> {
        loop {
            match self.link.publish_tracked(id, publication) {
                Ok(()) => return Ok(()),
                Err(Refusal::Offline(back) | Refusal::Full(back)) => publication = back,
                Err(refusal @ Refusal::Impossible { .. }) => return Err(Failure::failed(refusal)),
            }
            self.take_event().await?;
        }
    }

    async fn take_event(&mut self) -> Result<(), Failure> {
        let event = self.events.recv().await;
        self.take(event)
    }

    fn take(&mut self, event: Option<LinkEvent>) -> Result<(), Failure> {
        match event.ok_or_else(ended)? {
            LinkEvent::Connected { .. } => self.send_refused(),
            LinkEvent::Acknowledged(id) => {
                self.outstanding.retain(|(known, _)| *known != id);
                self.send_refused();
            }
            LinkEvent::Lost(ids) => {
                self.refused.extend(ids);
                self.send_refused();
            }
            _ => {}
        }
        Ok(())
    }

    fn send_refused(&mut self) {
        let Self { link, outstanding, refused, .. } = self;
        refused.retain(|refused| {
            let waiting = outstanding.iter().find(|(id, _)| id == refused);
            waiting.is_some_and(|(id, publication)| link.publish_tracked(*id, publication.clone()).is_err())
        });
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
