//! A client that tries a broker one step at a time, each with an end: for whoever asks whether a gateway would work.

use std::time::Duration;

use rumqttc::{Event, Incoming, Outgoing, Publish, SubscribeReasonCode};
use tokio::time::{Instant, timeout_at};

use super::{
    LinkOptions, OptionsError, Qos,
    connection::{Attempt, Request},
    wire::{self, Wire},
};
use crate::outbox::Publication;

/// One connection to a broker.
pub struct Probe {
    wire: Wire,
    options: LinkOptions,
    session_present: bool,
    /// Messages that came while something else was waited for.
    heard: Vec<(String, Vec<u8>)>,
}

/// Why a step led to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProbeFault {
    /// No connection can be made with these options.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The connection, or the attempt at one, ended.
    #[error("{0}")]
    Ended(String),
    /// The broker does not answer.
    #[error("the broker has not answered within {0:?}")]
    Silent(Duration),
}

impl Probe {
    /// Connects under the client id of the options. Without a clean session the broker is to keep what it knows of this
    /// client.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn connect(options: &LinkOptions, clean_session: bool) -> Result<Self, ProbeFault> {
        options.check()?;
        let attempt = Attempt { clean_session, packet_limit: options.packet_limit() };
        let (wire, options) = (Wire::open(options, attempt), options.clone());
        let mut probe = Self { wire, options, session_present: false, heard: Vec::new() };
        let accepted = probe.until(PATIENCE, |event| match event {
            Event::Incoming(Incoming::ConnAck(ack)) => Some(ack.session_present),
            _ => None,
        });
        probe.session_present = accepted.await?.ok_or(ProbeFault::Silent(PATIENCE))?;
        Ok(probe)
    }

    /// Whether the broker kept the session of this client id.
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// Asks for a subscription and gives what is granted, `None` for a refusal.
    ///
    /// # Errors
    /// The connection ended, or there is no answer.
    pub async fn subscribe(&mut self, filter: &str, qos: Qos) -> Result<Option<Qos>, ProbeFault> {
        self.send(&Request::Subscribe(vec![(filter.to_owned(), qos)])).await?;
        let answered = self.until(PATIENCE, |event| match event {
            Event::Incoming(Incoming::SubAck(ack)) => Some(ack.return_codes.first().copied()),
            _ => None,
        });
        match answered.await?.ok_or(ProbeFault::Silent(PATIENCE))? {
            Some(SubscribeReasonCode::Success(granted)) => Ok(Some(wire::ours(granted))),
            Some(SubscribeReasonCode::Failure) | None => Ok(None),
        }
    }

    /// Publishes one message after the other at once and gives the time until the last of them came back, or `None` if it
    /// never did: a broker confirms what it forbids, too.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn round_trip(&mut self, topic: &str, payloads: &[Vec<u8>]) -> Result<Option<Duration>, ProbeFault> {
        let sent = Instant::now();
        for payload in payloads {
            let publication = Publication { topic: topic.to_owned(), payload: payload.clone(), retain: false };
            self.send(&Request::Publish { entry: None, publication, qos: Qos::AtLeastOnce }).await?;
        }
        let Some(last) = payloads.last() else { return Ok(None) };
        let back = self.until(ROUND_TRIP, |event| match event {
            Event::Incoming(Incoming::Publish(heard)) => {
                (heard.topic == topic && heard.payload == *last).then(|| sent.elapsed())
            }
            _ => None,
        });
        back.await
    }

    /// Listens for this time, or until so many messages have come, and gives all that came so far.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn listen(&mut self, time: Duration, enough: usize) -> Result<Vec<(String, Vec<u8>)>, ProbeFault> {
        let mut left = enough.saturating_sub(self.heard.len());
        self.until(time, |event| {
            left -= usize::from(matches!(event, Event::Incoming(Incoming::Publish(_))) && left > 0);
            (left == 0).then_some(())
        })
        .await?;
        Ok(std::mem::take(&mut self.heard))
    }

    /// Says farewell.
    pub async fn end(mut self) {
        // Whoever has gone before needs no farewell.
        if self.send(&Request::Disconnect).await.is_ok() {
            let said = |event: &Event| matches!(event, Event::Outgoing(Outgoing::Disconnect)).then_some(());
            _ = self.until(FAREWELL, said).await;
        }
    }

    /// Waits until there is room, which there is as soon as the broker reads.
    async fn send(&mut self, request: &Request) -> Result<(), ProbeFault> {
        let deadline = Instant::now() + PATIENCE;
        while !self.wire.take(request) {
            self.turn(deadline).await?.ok_or(ProbeFault::Silent(PATIENCE))?;
        }
        Ok(())
    }

    /// Goes on until an event is as wanted, acknowledging and keeping what comes meanwhile.
    async fn until<T>(
        &mut self,
        patience: Duration,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Result<Option<T>, ProbeFault> {
        let deadline = Instant::now() + patience;
        loop {
            while let Some(event) = self.wire.next_event() {
                let found = wanted(&event);
                if let Event::Incoming(Incoming::Publish(publish)) = event {
                    self.keep(publish).await?;
                }
                if found.is_some() {
                    return Ok(found);
                }
            }
            if self.turn(deadline).await?.is_none() {
                return Ok(None);
            }
        }
    }

    /// `None`: nothing has happened by then.
    async fn turn(&mut self, deadline: Instant) -> Result<Option<()>, ProbeFault> {
        let Ok(turned) = timeout_at(deadline, self.wire.turn()).await else { return Ok(None) };
        turned.map(Some).map_err(|error| ProbeFault::Ended(wire::explain(&error, &self.options)))
    }

    async fn keep(&mut self, publish: Publish) -> Result<(), ProbeFault> {
        if self.heard.len() < MOST_HEARD {
            self.heard.push((publish.topic, publish.payload.to_vec()));
        }
        match wire::ours(publish.qos) {
            Qos::AtMostOnce => Ok(()),
            qos => {
                let ack = Request::Ack { packet: publish.pkid, exactly_once: qos == Qos::ExactlyOnce };
                self.send(&ack).await
            }
        }
    }
}

/// For an answer of the broker's to this client alone.
const PATIENCE: Duration = Duration::from_secs(5);
/// For a message's way to the broker and back.
const ROUND_TRIP: Duration = Duration::from_secs(2);
const FAREWELL: Duration = Duration::from_millis(500);
/// Messages that are kept; a plant may send thousands a second.
const MOST_HEARD: usize = 64;
