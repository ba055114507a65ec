use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::Workshop;
use super::pipeline::{Parts, Pipeline, Voice};
use super::service::{Heartbeat, feed_watchdog, tell_ready, tell_stopping};
use crate::acquisition::Name;
use crate::alarm::Standing;
use crate::checkpoint::{Calibrations, Memories};
use crate::config::Config;
use crate::machine::Told;
use crate::outbox::{Limits, Outbox, OutboxError, Publication};
use crate::plant::{Bounds, Plant};
use crate::publication::{AlarmPayload, Gateway, StatusPayload, Topics};
use crate::transport::{Credentials, Link, LinkOptions, OptionsError, Qos, Tls};

/// What the broker is to be shown: a password, certificates.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub credentials: Option<Credentials>,
    pub tls: Option<Tls>,
}

/// A running gateway.
pub struct Daemon {
    stop: oneshot::Sender<()>,
    pipeline: thread::JoinHandle<()>,
    watchdog: tokio::task::JoinHandle<()>,
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
    pub fn start(config: Config, workshop: Workshop, access: Access) -> Result<Self, DaemonError> {
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
        let standings = standings(&outbox);
        let since = Timestamp::now();
        let topics = Topics::new(&config.prefix, &config.gateway);
        let bounds = Bounds { machines: config.max_machines, payload: config.mqtt.max_payload };
        let known: Vec<Name> =
            config.machines.iter().map(|(name, _)| name.clone()).chain(standings.keys().cloned()).collect();
        let memories = Memories::in_state_dir(&config.state_dir);
        let remembered = memories.load().unwrap_or_else(|why| {
            warn!(why, "what machines remembered was put aside; their charts start empty");
            HashMap::new()
        });
        let workshop = workshop.with_standings(standings).with_memories(remembered);
        let mut plant = Plant::new(config.inputs.clone(), bounds, workshop);
        for name in &known {
            plant.add(name);
        }
        let (link, events) = Link::start(link_options(&config, access, &topics, since))?;
        let voice = Voice {
            gateway: Gateway { name: config.gateway.clone(), config_sha256: config.sha256.clone() },
            topics,
            score_every: config.score_every,
            since,
        };
        let calibrations = Calibrations::in_state_dir(&config.state_dir);
        let heart = Heartbeat::default();
        let pipeline =
            Pipeline::new(Parts { plant, outbox, link, voice, calibrations, memories, heart: heart.clone() });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let pipeline = thread::Builder::new()
            .name("scoring".to_owned())
            .spawn(move || runtime.block_on(pipeline.work(events, stopped)))?;
        info!(gateway = %config.gateway, broker = %config.mqtt.host, port = config.mqtt.port, "started");
        tell_ready(&format!("{} machines known", known.len()));
        Ok(Self { stop, pipeline, watchdog: tokio::spawn(feed_watchdog(heart)) })
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
        credentials: access.credentials,
        tls: access.tls,
        max_payload: config.mqtt.max_payload,
        will: Some(Publication { topic: topics.status(), payload: offline, retain: true }),
        subscriptions: config
            .inputs
            .iter()
            .map(|input| input.pattern.filter())
            .chain([topics.commands()])
            .map(|filter| (filter, Qos::AtLeastOnce))
            .collect(),
        ..LinkOptions::new(config.mqtt.host.clone(), config.mqtt.port, config.mqtt.client_id.clone())
    }
}

/// For draining on a stop.
const PATIENCE: Duration = Duration::from_millis(1900);
