use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::outcome::Failure;
use crate::outbox::{EntryId, Publication};
use crate::transport::{Link, LinkEvent, LinkEvents, LinkHandle, LinkOptions, Refusal};

/// `mqtt://host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BrokerUrl {
    pub host: String,
    pub port: u16,
}

impl FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let explain =
            || format!("{text:?} is no broker; write mqtt://HOST or mqtt://HOST:PORT, e.g. mqtt://127.0.0.1:1883");
        let rest = text.strip_prefix("mqtt://").ok_or_else(explain)?.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') || host.starts_with('[') => {
                (host, port.parse().map_err(|_| explain())?)
            }
            _ => (rest, 1883),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(explain());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Publishes telemetry, each message until the broker has confirmed it.
pub(super) struct Publisher {
    link: LinkHandle,
    events: LinkEvents,
    next: u64,
    /// Sent and not yet confirmed.
    outstanding: Vec<(EntryId, Publication)>,
    due: Instant,
    online: bool,
}

impl Publisher {
    pub async fn connect(broker: &BrokerUrl, purpose: &str) -> Result<Self, Failure> {
        let client_id = format!("wheeltapper-{purpose}-{}", std::process::id());
        let options = LinkOptions::new(broker.host.clone(), broker.port, client_id);
        let (link, events) = Link::start(options).map_err(Failure::usage)?;
        let mut publisher = Self { link, events, next: 0, outstanding: Vec::new(), due: Instant::now(), online: false };
        let connected = async {
            let mut last = String::new();
            while !publisher.online {
                if let Some(reason) = publisher.take_event().await? {
                    last = reason;
                }
            }
            Ok::<String, Failure>(last)
        };
        match timeout(PATIENCE, connected).await {
            Ok(connected) => connected?,
            Err(_) => {
                return Err(Failure::failed(format_args!(
                    "no broker at {}:{} after {} s; is it running, and may this host reach it?",
                    broker.host,
                    broker.port,
                    PATIENCE.as_secs()
                )));
            }
        };
        publisher.due = Instant::now();
        Ok(publisher)
    }

    /// Waits until it is time for the next message; a message that was late does not make the next ones late.
    pub async fn pause(&mut self, pause: Duration) -> Result<(), Failure> {
        self.due += pause;
        while Instant::now() < self.due {
            tokio::select! {
                () = sleep_until(self.due) => break,
                event = self.events.recv() => self.take(event)?,
            };
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

    async fn take_event(&mut self) -> Result<Option<String>, Failure> {
        let event = self.events.recv().await;
        self.take(event)
    }

    /// Takes in what happened on the link; tells why there is no connection, if so.
    fn take(&mut self, event: Option<LinkEvent>) -> Result<Option<String>, Failure> {
        match event {
            None => return Err(Failure::Failed("the connection to the broker has ended".to_owned())),
            Some(LinkEvent::Connected { .. }) => self.online = true,
            Some(LinkEvent::Acknowledged(id)) => self.outstanding.retain(|(known, _)| *known != id),
            Some(LinkEvent::Lost(ids)) => self.send_again(&ids),
            Some(LinkEvent::Unreachable { reason, .. }) => return Ok(Some(reason)),
            Some(_) => {}
        }
        Ok(None)
    }

    fn send_again(&mut self, ids: &[EntryId]) {
        for (id, publication) in self.outstanding.iter().filter(|(id, _)| ids.contains(id)) {
            // Refused again, it comes back as lost again.
            let _ = self.link.publish_tracked(*id, publication.clone());
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_with_an_optional_port() {
        for (text, host, port) in [
            ("mqtt://127.0.0.1", "127.0.0.1", 1883),
            ("mqtt://broker.plant:8883/", "broker.plant", 8883),
            ("mqtt://[::1]:1884", "::1", 1884),
        ] {
            assert_eq!(text.parse(), Ok(BrokerUrl { host: host.to_owned(), port }));
        }
        for text in ["", "127.0.0.1", "mqtt://", "mqtt://a:b", "mqtt://a/b", "http://a"] {
            assert!(text.parse::<BrokerUrl>().is_err(), "{text}");
        }
    }
}
