use std::collections::{BTreeSet, HashMap};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::Workshop;
use super::broker::{Access, broker_options};
use super::feedback::FeedbackDesk;
use super::own_alarm::OwnAlarm;
use super::pipeline::{Parts, Pipeline, Reload, Voice, with_alarms};
use super::service::{Heartbeat, feed_watchdog, tell_ready, tell_stopping};
use super::twins::{Studio, Twins, Wanted};
use crate::acquisition::Name;
use crate::alarm::Standing;
use crate::checkpoint::{Calibrations, Filters, Generators, Memories};
use crate::config::Config;
use crate::history::Journal;
use crate::machine::Told;
use crate::outbox::{Limits, Outbox, OutboxError, Publication};
use crate::plant::{Bounds, Plant};
use crate::publication::{AlarmPayload, Gateway, StatusPayload, Topics};
use crate::transport::{Link, LinkOptions, OptionsError, Qos};

/// A running gateway.
pub struct Daemon {
    config: Config,
    access: Access,
    since: Timestamp,
    reloads: mpsc::Sender<Reload>,
    stop: oneshot::Sender<()>,
    pipeline: thread::JoinHandle<()>,
    watchdog: tokio::task::JoinHandle<()>,
}

/// A configuration that a running gateway cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("{0} has changed, which needs a restart; the running configuration stays")]
    NeedsRestart(&'static str),
    #[error("mqtt: {0}; the running configuration stays")]
    Link(#[from] OptionsError),
    #[error("the scoring thread has ended")]
    Ended,
}

/// A gateway that could not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error("mqtt: {0}")]
    Link(#[from] OptionsError),
    #[error("cannot start the scoring thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Daemon {
    /// Starts a gateway on the current tokio runtime. A broker that is not there is no reason not to start.
    pub fn start(config: Config, mut workshop: Workshop, access: Access) -> Result<Self, DaemonError> {
        let twins = Wanted { keys: config.twins.clone(), trained: workshop.take_twins() };
        let (outbox, recovery) = Outbox::open(&config.state_dir.join("outbox"), Limits::default())?;
        for put_aside in &recovery.quarantined {
            warn!(
                file = put_aside.name,
                reason = put_aside.reason,
                rescued = put_aside.rescued,
                "outbox file put aside"
            );
        }
        if let Some(cause) = &recovery.degraded {
            warn!(cause, "the state folder cannot be written; alarms are kept in memory only");
        }
        let mut standings = standings(&outbox);
        let own = OwnAlarm::new(&config.gateway, standings.remove(&config.gateway).map(|(standing, _)| standing));
        let since = Timestamp::now();
        let topics = Topics::new(&config.prefix, &config.gateway);
        let memories = Memories::in_state_dir(&config.state_dir);
        let remembered = memories.load().unwrap_or_else(|why| {
            warn!(why, "what machines remembered was put aside; their charts start empty");
            HashMap::new()
        });
        let listed = config.machines.iter().map(|(name, _)| name);
        let known: BTreeSet<Name> = listed.chain(standings.keys()).chain(remembered.keys()).cloned().collect();
        let workshop = workshop.with_standings(standings).with_memories(remembered);
        let mut plant = Plant::new(config.inputs.clone(), bounds(&config), workshop).reserving(config.gateway.clone());
        for name in &known {
            plant.add(name);
        }
        let options = link_options(&config, access.clone(), &topics, since);
        let unwanted = unwanted_filters(&config, &options);
        let filters = options.subscriptions.clone();
        let subscriptions = with_alarms(filters.clone(), topics.alarms());
        let (link, events) = Link::start(LinkOptions { unwanted, subscriptions, ..options })?;
        let voice = Voice {
            gateway: Gateway { name: config.gateway.clone(), config_sha256: config.sha256.clone() },
            topics,
            score_every: config.score_every,
            since,
        };
        let calibrations = Calibrations::in_state_dir(&config.state_dir);
        let heart = Heartbeat::default();
        let feedback = FeedbackDesk::new(Journal::in_state_dir(&config.state_dir), config.gateway.clone());
        let studio = Studio {
            gateway: config.gateway.clone(),
            topics: voice.topics.clone(),
            generators: Generators::in_state_dir(&config.state_dir),
        };
        let twins = Twins::start(studio, twins)?;
        let pipeline = Pipeline::new(Parts {
            plant,
            outbox,
            link,
            voice,
            calibrations,
            memories,
            feedback,
            own,
            filters,
            twins,
            heart: heart.clone(),
        });
        let (stop, stopped) = oneshot::channel();
        let (reloads, reloaded) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let pipeline = thread::Builder::new()
            .name("scoring".to_owned())
            .spawn(move || runtime.block_on(pipeline.work(events, reloaded, stopped)))?;
        info!(gateway = %config.gateway, broker = %config.mqtt.host, port = config.mqtt.port, "started");
        tell_ready(&format!("{} machines known", known.len()));
        let watchdog = tokio::spawn(feed_watchdog(heart));
        Ok(Self { config, access, since, reloads, stop, pipeline, watchdog })
    }

    /// Goes over to another configuration, as a difference: whatever it does not touch keeps its state, and the connection
    /// stays unless the broker or the way to it has changed.
    pub async fn reload(&mut self, config: Config, mut workshop: Workshop, access: Access) -> Result<(), ReloadError> {
        let before = &self.config;
        let fixed = [
            ("gateway", before.gateway == config.gateway),
            ("prefix", before.prefix == config.prefix),
            ("state_dir", before.state_dir == config.state_dir),
        ];
        if let Some((key, _)) = fixed.iter().find(|(_, same)| !same) {
            return Err(ReloadError::NeedsRestart(key));
        }
        let topics = Topics::new(&config.prefix, &config.gateway);
        let options = link_options(&config, access.clone(), &topics, self.since);
        options.check()?;
        let unwanted = unwanted_filters(&config, &options);
        let same_link = before.mqtt == config.mqtt && self.access.credentials == access.credentials;
        let (done, finished) = oneshot::channel();
        let twins = Wanted { keys: config.twins.clone(), trained: workshop.take_twins() };
        let reload = Reload {
            inputs: config.inputs.clone(),
            bounds: bounds(&config),
            machines: config.machines.iter().map(|(name, _)| name.clone()).collect(),
            workshop,
            config_sha256: config.sha256.clone(),
            score_every: config.score_every,
            twins,
            filters: options.subscriptions.clone(),
            link: (!same_link).then_some(LinkOptions { unwanted, ..options }),
            runtime: tokio::runtime::Handle::current(),
            done,
        };
        self.reloads.send(reload).await.map_err(|_| ReloadError::Ended)?;
        finished.await.map_err(|_| ReloadError::Ended)?;
        info!(config_sha256 = %config.sha256, reconnects = !same_link, "took over the new configuration");
        (self.config, self.access) = (config, access);
        Ok(())
    }

    /// Stops taking telemetry, keeps what is not delivered, and says good-bye.
    pub async fn stop(self) {
        tell_stopping();
        self.watchdog.abort();
        // A pipeline that has ended by itself needs no word.
        let _ = self.stop.send(());
        let pipeline = self.pipeline;
        let ended = tokio::task::spawn_blocking(move || pipeline.join());
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            warn!("the scoring thread did not end in time");
        }
    }
}

fn bounds(config: &Config) -> Bounds {
    Bounds { machines: config.max_machines, payload: config.mqtt.max_payload }
}

/// What an earlier configuration listened to, and this one does not.
fn unwanted_filters(config: &Config, options: &LinkOptions) -> Vec<String> {
    let wanted: Vec<&str> = options.subscriptions.iter().map(|(filter, _)| filter.as_str()).collect();
    Filters::in_state_dir(&config.state_dir).replace(&wanted).unwrap_or_else(|error| {
        warn!(%error, "the topic filters are not kept; an old one may stay in the broker's session");
        Vec::new()
    })
}

/// Where each machine's alarm stood when the gateway ended.
fn standings(outbox: &Outbox) -> HashMap<Name, (Standing, Told)> {
    let mut standings = HashMap::new();
    for newest in outbox.newest_states() {
        let name = Name::parse(newest.stream).ok();
        let payload = newest.state.and_then(|state| AlarmPayload::from_json(&state.payload));
        if let (Some(name), Some(payload)) = (name, payload) {
            standings.insert(name, payload.standing());
        }
    }
    standings
}

fn link_options(config: &Config, access: Access, topics: &Topics, since: Timestamp) -> LinkOptions {
    let offline = StatusPayload::offline(&config.gateway, since).to_json();
    LinkOptions {
        max_payload: config.mqtt.max_payload,
        will: Some(Publication { topic: topics.status(), payload: offline, retain: true }),
        subscriptions: config
            .inputs
            .iter()
            .map(|input| input.pattern.filter())
            .chain([topics.commands()])
            .map(|filter| (filter, Qos::AtLeastOnce))
            .collect(),
        ..broker_options(config, &config.mqtt.client_id, access)
    }
}

/// For draining on a stop.
const PATIENCE: Duration = Duration::from_millis(1900);
