use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::broker::{BrokerUrl, connect, ended, passing_client_id};
use super::outcome::Failure;
use super::surroundings;
use crate::acquisition::Name;
use crate::command::{Reply, Verb};
use crate::config::parse_prefix;
use crate::gateway::broker_options;
use crate::outbox::{EntryId, Publication};
use crate::publication::Topics;
use crate::transport::{LinkEvent, LinkEvents, LinkHandle, LinkOptions, Qos, Refusal};

/// Which gateway is meant, and how to reach its broker.
#[derive(Debug, clap::Args)]
pub(super) struct GatewayArgs {
    /// The gateway's configuration: broker, credentials, prefix and name are taken from it; without it and --broker,
    /// /etc/wheeltapper/wheeltapper.toml
    #[arg(long, value_name = "FILE", conflicts_with_all = ["broker", "gateway", "prefix", "password_file"])]
    config: Option<PathBuf>,
    /// The gateway's broker
    #[arg(long, value_name = "mqtt://[USER@]HOST[:PORT]", requires = "gateway")]
    broker: Option<BrokerUrl>,
    /// The gateway's name
    #[arg(long, value_name = "NAME", requires = "broker", value_parser = Name::parse)]
    gateway: Option<Name>,
    /// What stands in front of the gateway's topics
    #[arg(long, requires = "broker", default_value = "wheeltapper/v1", value_parser = parse_prefix)]
    prefix: String,
    /// The file with the password of the broker's user
    #[arg(long, value_name = "FILE", requires = "broker")]
    password_file: Option<PathBuf>,
}

/// What an operator sits at: hears what a gateway says, and gives it orders.
pub(super) struct Console {
    pub gateway: Name,
    pub topics: Topics,
    /// What the gateway said of itself last.
    pub status: Option<GatewayStatus>,
    link: LinkHandle,
    events: LinkEvents,
    filters: usize,
}

/// A message of the gateway's.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub topic: String,
    pub payload: Bytes,
    /// It was said before the console was there.
    pub kept: bool,
}

/// What a reader needs of a status.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct GatewayStatus {
    state: String,
    since: String,
    #[serde(default)]
    pub machines: BTreeMap<String, MachineState>,
    #[serde(default)]
    machines_left_out: u64,
    /// As it came.
    #[serde(skip)]
    pub payload: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct MachineState {
    pub state: String,
}

enum Event {
    Heard(Heard),
    /// The link is there again; what was on its way when it went may be lost.
    Back,
}

impl Console {
    /// Connects and listens, to the gateway's status and to what else is asked for.
    pub async fn open(args: GatewayArgs, filters: impl FnOnce(&Topics) -> Vec<String>) -> Result<Self, Failure> {
        let Site { gateway, prefix, options } = args.site()?;
        let topics = Topics::new(&prefix, &gateway);
        let filters: Vec<String> = [topics.status()].into_iter().chain(filters(&topics)).collect();
        let number = filters.len();
        let (link, events) = connect(LinkOptions {
            keep_session: false,
            max_payload: LARGEST,
            subscriptions: filters.into_iter().map(|filter| (filter, Qos::AtLeastOnce)).collect(),
            ..options
        })
        .await?;
        Ok(Self { gateway, topics, status: None, link, events, filters: number })
    }

    /// The next message of the gateway's. Safe to cancel.
    pub async fn hear(&mut self) -> Result<Heard, Failure> {
        loop {
            if let Event::Heard(heard) = self.event().await? {
                return Ok(heard);
            }
        }
    }

    /// What the broker keeps. Nothing in MQTT says that this was all, so it is all when the broker has granted the
    /// subscriptions and has been quiet for a while.
    pub async fn hear_kept(&mut self) -> Result<Vec<Heard>, Failure> {
        self.settle(QUIET).await
    }

    /// Gives an order and waits for the answer to it; how silence is to be taken, where none comes.
    pub async fn ask(&mut self, verb: Verb, machine: &Name, order: &OrderPayload) -> Result<Reply, Failure> {
        self.settle(Duration::ZERO).await?;
        let answer_topic = self.topics.result(machine, verb.as_str());
        let publication = Publication {
            topic: self.topics.order(machine, verb.as_str()),
            payload: order.payload.clone(),
            retain: false,
        };
        let answered = async {
            self.send(&publication)?;
            loop {
                match self.event().await? {
                    Event::Heard(heard) if heard.topic == answer_topic => {
                        let reply = Reply::from_json(&heard.payload);
                        if let Some(reply) = reply.filter(|reply| reply.id() == Some(&order.id)) {
                            return Ok(reply);
                        }
                    }
                    Event::Heard(_) => {}
                    // Its id keeps it from having its effect twice.
                    Event::Back => self.send(&publication)?,
                }
            }
        };
        match timeout(PATIENCE, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(Failure::failed(format_args!(
                "no answer within {} s; is the gateway running? {}",
                PATIENCE.as_secs(),
                self.explain_silence()
            ))),
        }
    }

    pub async fn close(self) {
        self.link.disconnect().await;
    }

    /// Says so where the gateway is not there.
    pub fn absence(&self) -> Option<String> {
        let Self { gateway, status, .. } = self;
        match status {
            None => Some(format!(
                "there is no status of a gateway {gateway} at {}; check its name, whether it ever ran, and whether this user may read it",
                self.topics.status()
            )),
            Some(status) if !status.is_online() => {
                Some(format!("the gateway {gateway} is offline (since {}, says its status)", status.since))
            }
            Some(_) => None,
        }
    }

    fn explain_silence(&self) -> String {
        let absence = self.absence().map(|absence| format!("It seems not: {absence}"));
        match &self.status {
            None => absence.unwrap_or_default(),
            Some(status) if status.is_online() => format!(
                "Its status says online since {}; perhaps the broker's access rules do not let this user command it",
                status.since
            ),
            Some(_) => {
                format!("{}. When it is back, the broker may still bring it the order", absence.unwrap_or_default())
            }
        }
    }

    async fn settle(&mut self, quiet: Duration) -> Result<Vec<Heard>, Failure> {
        let end = Instant::now() + LONGEST_SETTLING;
        let mut quiet_at = Instant::now() + quiet;
        let mut kept = Vec::new();
        loop {
            let now = Instant::now();
            let granted = self.link.metrics().subscribed == self.filters;
            if granted && (now >= quiet_at || now >= end) {
                return Ok(kept);
            }
            if now >= end {
                return Err(Failure::failed("the broker has not answered the subscriptions"));
            }
            let look_again = if granted { quiet_at.min(end) } else { now + LOOK_AGAIN };
            match timeout_at(look_again, self.hear()).await {
                Ok(heard) => {
                    let heard = heard?;
                    if heard.kept {
                        quiet_at = Instant::now() + quiet;
                    }
                    kept.push(heard);
                }
                Err(_) if !granted => quiet_at = Instant::now() + quiet,
                Err(_) => {}
            }
        }
    }

    fn send(&self, publication: &Publication) -> Result<(), Failure> {
        match self.link.publish_tracked(EntryId(0), publication.clone()) {
            // Offline: it is sent again when the link is back.
            Ok(()) | Err(Refusal::Offline(_) | Refusal::Full(_)) => Ok(()),
            Err(refusal @ Refusal::Impossible { .. }) => Err(Failure::failed(refusal)),
        }
    }

    async fn event(&mut self) -> Result<Event, Failure> {
        loop {
            match self.events.recv().await.ok_or_else(ended)? {
                LinkEvent::Message { topic, payload, retain, ack, .. } => {
                    if let Some(ack) = ack {
                        self.link.ack(ack);
                    }
                    if topic == self.topics.status() {
                        self.status = GatewayStatus::from_json(&payload).or(self.status.take());
                    }
                    return Ok(Event::Heard(Heard { topic, payload, kept: retain }));
                }
                LinkEvent::Oversize { topic, ack, size } => {
                    if let Some(ack) = ack {
                        self.link.ack(ack);
                    }
                    eprintln!(
                        "wheeltapper: {topic}: {size} bytes are too many for a message of a gateway's; passed over"
                    );
                }
                LinkEvent::SubscriptionRefused { filter } => {
                    return Err(Failure::failed(format_args!(
                        "the broker refuses the subscription to {filter}: its access rules do not let this user read there"
                    )));
                }
                LinkEvent::Connected { .. } | LinkEvent::Lost(_) => return Ok(Event::Back),
                LinkEvent::Disconnected { reason } => {
                    eprintln!("wheeltapper: the broker is gone ({reason}); trying on")
                }
                LinkEvent::Acknowledged(_)
                | LinkEvent::Unreachable { .. }
                | LinkEvent::SubscriptionDowngraded { .. }
                | LinkEvent::SessionDropped { .. }
                | LinkEvent::ClientIdContested { .. } => {}
            }
        }
    }
}

/// An order as it goes out.
pub(super) struct OrderPayload {
    /// Its own; the answer bears it too.
    pub id: String,
    pub payload: Vec<u8>,
}

impl GatewayStatus {
    fn from_json(payload: &[u8]) -> Option<Self> {
        let payload: Value = serde_json::from_slice(payload).ok()?;
        Some(Self { payload: payload.clone(), ..serde_json::from_value(payload).ok()? })
    }

    pub fn is_online(&self) -> bool {
        self.state == "online"
    }

    /// Whether every machine that the gateway knows is listed.
    pub fn lists_all(&self) -> bool {
        self.is_online() && self.machines_left_out == 0
    }
}

/// A gateway and the way to it.
struct Site {
    gateway: Name,
    prefix: String,
    options: LinkOptions,
}

impl GatewayArgs {
    fn site(self) -> Result<Site, Failure> {
        let Some((broker, gateway)) = self.broker.zip(self.gateway) else {
            let path = match &self.config {
                None if !Path::new(USUAL_CONFIG).exists() => {
                    return Err(Failure::usage(format_args!(
                        "there is no {USUAL_CONFIG}; say which gateway is meant, with --config FILE or with \
                         --broker mqtt://HOST --gateway NAME"
                    )));
                }
                path => path.as_deref().unwrap_or(Path::new(USUAL_CONFIG)),
            };
            let config = surroundings::config(path)?;
            let options = broker_options(&config, &passing_client_id(PURPOSE), surroundings::access(&config)?);
            return Ok(Site { gateway: config.gateway, prefix: config.prefix, options });
        };
        if self.password_file.is_some() && broker.user.is_none() {
            return Err(Failure::usage("--password-file needs a user in --broker, e.g. mqtt://m.ito@127.0.0.1"));
        }
        let password = self.password_file.as_deref().map(surroundings::password_in).transpose()?;
        Ok(Site { gateway, prefix: self.prefix, options: broker.options(PURPOSE, password) })
    }
}

const USUAL_CONFIG: &str = "/etc/wheeltapper/wheeltapper.toml";
/// In the client's id.
const PURPOSE: &str = "shell";
/// The contract keeps every payload of a gateway below 64 KiB.
const LARGEST: usize = 256 << 10;
/// For an answer; the contract promises one within a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nothing kept has come for so long: that was all.
const QUIET: Duration = Duration::from_millis(300);
const LONGEST_SETTLING: Duration = Duration::from_secs(5);
/// Whether the broker has granted the subscriptions.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
