mod commands;
mod oversight;
mod recall;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use self::oversight::Oversight;
use self::recall::Recall;

pub(super) use self::recall::with_alarms;
use super::Workshop;
use super::feedback::FeedbackDesk;
use super::own_alarm::OwnAlarm;
use super::refusals::RefusalLog;
use super::service::Heartbeat;
use super::twins::{Twins, Wanted};
use crate::acquisition::{Name, Rejection};
use crate::alarm::Performance;
use crate::checkpoint::{Calibrations, Memories};
use crate::clock::Now;
use crate::command::Ledger;
use crate::detection::DriftReport;
use crate::generation::fitted::Lesson;
use crate::machine::{Announcement, Fitted, ModelIdentity, Trouble};
use crate::outbox::{Outbox, Publication};
use crate::plant::{Bounds, Input, Message, Observed, Plant};
use crate::publication::{AlarmPayload, Gateway, Judged, ScorePayload, StatusPayload, Topics};
use crate::transport::{AckToken, Link, LinkEvent, LinkEvents, LinkHandle, LinkOptions, Qos, Refusal};

/// The thread between the broker's link and the pure house: it scores, keeps the outbox, and answers with
/// publications and acknowledgements.
///
/// A telemetry message is acknowledged only when every transition that it caused is in the outbox and on disk.
pub(super) struct Pipeline {
    plant: Plant<Workshop>,
    outbox: Outbox,
    link: LinkHandle,
    voice: Voice,
    calibrations: Calibrations,
    memories: Memories,
    feedback: FeedbackDesk,
    heart: Heartbeat,
    refusals: RefusalLog,
    started: Instant,
    /// When each machine's score was published last, and when it was heard last.
    heard: HashMap<Name, Heard>,
    troubles: BTreeMap<Name, String>,
    unacknowledged: Vec<AckToken>,
    ledger: Ledger,
    /// Answers to commands; they go out when what the commands did is on disk.
    replies: VecDeque<Publication>,
    /// Machines whose events are asked for again, each from which `seq` on.
    replays: VecDeque<(Name, u64)>,
    announce_again_at: Vec<Duration>,
    /// Older events are not announced again.
    announce_since: Timestamp,
    /// Messages that the link has dropped so far.
    shed: u64,
    /// The link's turns at the newest tick, and ticks in a row without one.
    link_turns: u64,
    link_stands: u64,
    /// Something was done that no transition tells of.
    remember_soon: bool,
    oversight: Oversight,
    /// Asks the broker what the state folder may have lost.
    recall: Recall,
    twins: Twins,
    /// What the twins say.
    said: mpsc::Receiver<Publication>,
}

/// Who speaks, and where.
pub(super) struct Voice {
    pub gateway: Gateway,
    pub topics: Topics,
    pub score_every: Duration,
    pub since: Timestamp,
}

/// What a pipeline is made of.
pub(super) struct Parts {
    pub plant: Plant<Workshop>,
    pub outbox: Outbox,
    pub link: LinkHandle,
    pub voice: Voice,
    pub calibrations: Calibrations,
    pub memories: Memories,
    pub feedback: FeedbackDesk,
    /// The gateway's alarm about itself.
    pub own: OwnAlarm,
    /// What is listened to once the retained alarms have come.
    pub filters: Vec<(String, Qos)>,
    /// With what they say.
    pub twins: (Twins, mpsc::Receiver<Publication>),
    /// Beats while the pipeline goes on.
    pub heart: Heartbeat,
}

/// What another configuration changes.
pub(super) struct Reload {
    pub inputs: Vec<Input>,
    pub bounds: Bounds,
    /// Those that it lists.
    pub machines: Vec<Name>,
    pub workshop: Workshop,
    pub config_sha256: String,
    pub score_every: Duration,
    pub twins: Wanted,
    pub filters: Vec<(String, Qos)>,
    /// The broker, or the way to it, is another one.
    pub link: Option<LinkOptions>,
    /// Where a new link runs.
    pub runtime: tokio::runtime::Handle,
    pub done: oneshot::Sender<()>,
}

#[derive(Clone, Copy)]
struct Heard {
    published: Duration,
    last: Duration,
}

/// What a batch of messages led to.
#[derive(Default)]
struct Consequences {
    announcements: Vec<(Name, Announcement)>,
    refreshed: Vec<(Name, Announcement)>,
    fitted: Vec<(Name, Fitted)>,
    drifts: Vec<(Name, DriftReport)>,
    troubles: Vec<(Name, Trouble)>,
    scores: Vec<(Name, Vec<u8>)>,
    lessons: Vec<(Name, Box<Lesson>)>,
    /// Machines with a score published, whatever stood in its way before.
    scored: Vec<Name>,
}

impl Pipeline {
    pub fn new(parts: Parts) -> Self {
        let Parts { plant, outbox, link, voice, calibrations, memories, feedback, own, filters, twins, heart } = parts;
        let (twins, said) = twins;
        let mut performance = Performance::default();
        let own_standing = own.standing().map(|standing| (&voice.gateway.name, standing));
        let standings = plant.machines().filter_map(|it| Some((it.name(), it.standing()?)));
        for (name, standing) in standings.chain(own_standing) {
            performance.resume(name, standing);
        }
        Self {
            plant,
            outbox,
            link,
            voice,
            calibrations,
            memories,
            feedback,
            heart,
            refusals: RefusalLog::default(),
            started: Instant::now(),
            heard: HashMap::new(),
            troubles: BTreeMap::new(),
            unacknowledged: Vec::new(),
            ledger: Ledger::default(),
            replies: VecDeque::new(),
            replays: VecDeque::new(),
            announce_again_at: Vec::new(),
            announce_since: Timestamp::MIN,
            shed: 0,
            link_turns: 0,
            link_stands: 0,
            remember_soon: false,
            oversight: Oversight::new(own, performance),
            recall: Recall::new(filters),
            twins,
            said,
        }
    }

    /// Works until the link ends or somebody says stop.
    pub async fn work(
        mut self,
        mut events: LinkEvents,
        mut reloads: mpsc::Receiver<Reload>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0u64;
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                // Before the messages: a flood must not stop the clock.
                _ = tick.tick() => {
                    ticks += 1;
                    // Scoring, disk and publishing go on in this very loop.
                    if self.link_goes_on() {
                        self.heart.beat();
                    }
                    self.take_held();
                    self.pass_time(ticks.is_multiple_of(TICKS_A_SECOND));
                    if ticks.is_multiple_of(TICKS_A_CHECKPOINT) {
                        self.remember();
                    }
                }
                Some(reload) = reloads.recv() => self.reload(reload, &mut events).await,
                Some(publication) = self.said.recv() => {
                    // Like a score: one that finds no room is not missed.
                    let _ = self.link.publish_now(publication, Qos::AtMostOnce);
                }
                event = events.recv() => {
                    let Some(event) = event else { break };
                    self.hear(event);
                    // Whatever else has arrived shares one fsync.
                    for _ in 1..BATCH {
                        let Some(event) = events.try_recv() else { break };
                        self.hear(event);
                    }
                    self.settle();
                }
            }
        }
        self.settle();
        self.remember();
        self.close().await;
    }

    /// Whether the task that polls the broker has turned of late.
    fn link_goes_on(&mut self) -> bool {
        let turns = self.link.turns();
        self.link_stands = if turns == self.link_turns { self.link_stands + 1 } else { 0 };
        self.link_turns = turns;
        self.link_stands < LINK_STANDS_STILL
    }

    async fn reload(&mut self, reload: Reload, events: &mut LinkEvents) {
        let Reload {
            inputs,
            bounds,
            machines,
            workshop,
            config_sha256,
            score_every,
            twins,
            filters,
            link,
            runtime,
            done,
        } = reload;
        self.twins.renew(twins);
        self.plant.renew(inputs, bounds, workshop);
        for name in &machines {
            self.plant.add(name);
        }
        self.voice.gateway.config_sha256 = config_sha256;
        self.voice.score_every = score_every;
        match link {
            None => self.listen(filters),
            Some(options) => {
                let subscriptions = self.recall.beside(filters, self.voice.topics.alarms());
                self.connect_anew(LinkOptions { subscriptions, ..options }, &runtime, events).await;
            }
        }
        // Whoever asked may have gone.
        let _ = done.send(());
    }

    /// Leaves one broker properly and turns to another, or to the same in another way.
    async fn connect_anew(&mut self, options: LinkOptions, runtime: &tokio::runtime::Handle, events: &mut LinkEvents) {
        self.settle();
        self.say_good_bye().await;
        // They end with the link; a broker that is stalled does not hold up the next one for long.
        while let Ok(Some(event)) = tokio::time::timeout(LAST_WORDS, events.recv()).await {
            // A message that was not acknowledged is delivered again; what became of publications is not told twice.
            if !matches!(event, LinkEvent::Message { .. } | LinkEvent::Oversize { .. }) {
                self.take(event);
            }
        }
        self.unacknowledged.clear();
        self.oversight.disconnected();
        for event in self.recall.disconnected() {
            self.take(event);
        }
        let _entered = runtime.enter();
        match Link::start(options) {
            Ok((link, new_events)) => {
                (self.link, *events) = (link, new_events);
                self.shed = 0;
            }
            // They were checked before.
            Err(error) => error!(%error, "there is no connection with these options"),
        }
    }

    fn now(&self) -> Now {
        Now { utc: Timestamp::now(), steady: self.started.elapsed() }
    }

    fn take(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Message { topic, payload, retain, dup, ack, .. } => {
                match self.voice.topics.command(&topic) {
                    // A retained command is an old one that somebody left lying about.
                    Some(_) if retain => {}
                    Some((machine, verb)) => self.obey(machine, verb, &payload),
                    None if self.voice.topics.alarm_of(&topic).is_some() => self.recall(&topic, &payload, retain),
                    None => {
                        let message = Message { topic: &topic, payload: &payload, retained: retain, redelivered: dup };
                        self.score(message);
                    }
                }
                self.unacknowledged.extend(ack);
            }
            LinkEvent::Oversize { topic, ack, size } => {
                match self.voice.topics.command(&topic) {
                    Some((machine, verb)) => self.obey(machine, verb, &vec![b' '; size.min(OVERSIZE)]),
                    None => self.refuse(&topic, Rejection::Oversize),
                }
                self.unacknowledged.extend(ack);
            }
            LinkEvent::Acknowledged(id) => self.outbox.acknowledged(id),
            LinkEvent::Lost(ids) => self.outbox.hand_back(&ids),
            LinkEvent::Connected { session_present } => self.connected(session_present),
            LinkEvent::Disconnected { reason } => {
                warn!(%reason, "the broker is gone; alarms are kept until it is back");
                self.oversight.disconnected();
                for event in self.recall.disconnected() {
                    self.take(event);
                }
                self.unacknowledged.clear();
            }
            LinkEvent::Unreachable { reason, attempts } => {
                // The first failures of an outage are told one by one, later ones now and then.
                if attempts <= 3 || attempts.is_multiple_of(20) {
                    warn!(%reason, attempts, "the broker cannot be reached; trying on");
                }
            }
            // It only asks what may be lost; most gateways lose nothing.
            LinkEvent::SubscriptionRefused { filter } if filter == self.voice.topics.alarms() => {}
            LinkEvent::SubscriptionRefused { filter } => {
                error!(%filter, "the broker refuses this subscription: check its access rules");
                self.oversight.subscription_refused(filter);
            }
            LinkEvent::SubscriptionDowngraded { filter, granted } => {
                warn!(%filter, ?granted, "the broker grants less than was asked: telemetry may get lost on the way here");
            }
            LinkEvent::SessionDropped { reason } | LinkEvent::ClientIdContested { reason } => error!(%reason),
        }
    }

    fn score(&mut self, message: Message<'_>) {
        let now = self.now();
        if self.voice.topics.is_own(message.topic) {
            self.refuse(message.topic, Rejection::UnknownTopic);
            return;
        }
        let mut consequences = Consequences::default();
        let Self { plant, heard, voice, twins, .. } = self;
        plant.receive(message, now, &mut |observed| {
            twins.show(observed.machine.name(), observed.time, (observed.names, observed.values));
            consequences.add(observed, heard, voice, now);
        });
        self.tell_refusal(now);
        self.draw(consequences);
    }

    fn refuse(&mut self, topic: &str, rejection: Rejection) {
        self.plant.refuse(topic, rejection);
        self.tell_refusal(self.now());
    }

    fn tell_refusal(&mut self, now: Now) {
        if let Some(refused) = self.plant.take_newest_refusal() {
            self.refusals.tell(&refused, now.steady);
        }
    }

    /// Lets time pass: samples that waited go on, the outbox and the status are kept up.
    fn pass_time(&mut self, whole_second: bool) {
        let now = self.now();
        let mut consequences = Consequences::default();
        let Self { plant, heard, voice, twins, .. } = self;
        plant.poll(now, &mut |observed| {
            twins.show(observed.machine.name(), observed.time, (observed.names, observed.values));
            consequences.add(observed, heard, voice, now);
        });
        self.draw(consequences);
        if whole_second {
            for (name, announcement) in self.plant.pass_time(now) {
                self.announce(&name, announcement);
            }
            let durability = self.outbox.maintain(now.utc);
            self.tell_durability(&durability);
            let shed = self.link.metrics().shed;
            self.plant.count_shed(shed.saturating_sub(self.shed));
            self.shed = shed;
            self.announce_again(now.steady);
            if std::mem::take(&mut self.remember_soon) {
                self.remember();
            }
            self.oversee(now);
            self.end_recall(now.steady);
        }
        self.settle();
    }

    /// Writes down what every machine remembers.
    fn remember(&mut self) {
        if let Err(error) = self.memories.save(&self.plant.memories()) {
            warn!(%error, "what machines remember is not kept; after a restart their charts would start empty");
        }
    }

    /// After a new connection, announces every machine's newest state and the newest events again.
    fn announce_again(&mut self, now: Duration) {
        let due = self.announce_again_at.iter().filter(|at| **at <= now).count();
        if due > 0 {
            self.announce_again_at.retain(|at| *at > now);
            let waiting = self.outbox.reannounce(KEPT_TAIL, self.announce_since);
            info!(waiting, "announces alarms again, in case the broker has lost what it had confirmed");
        }
    }

    /// Carries out what samples led to.
    fn draw(&mut self, consequences: Consequences) {
        for (name, fitted) in consequences.fitted {
            info!(machine = %name, rows = fitted.calibration.rows(), "has learned what is normal");
            self.tell_doubt(&name);
            self.troubles.remove(&name);
            // After a crash it is known again before it speaks.
            self.remember_soon = true;
            if let Err(error) = self.calibrations.save(&name, &fitted) {
                error!(machine = %name, %error, "its calibration is not kept; it will learn anew after a restart");
            }
        }
        for (name, lesson) in consequences.lessons {
            self.twins.learn(&name, lesson);
        }
        for (name, drift) in consequences.drifts {
            info!(machine = %name, drift = ?drift.drift, channels = ?drift.channels, "its baseline");
        }
        for (name, trouble) in consequences.troubles {
            let trouble = trouble.to_string();
            if self.troubles.get(&name) != Some(&trouble) {
                warn!(machine = %name, trouble, "is not scored");
                self.troubles.insert(name, trouble);
            }
        }
        for (name, announcement) in consequences.announcements {
            self.announce(&name, announcement);
        }
        for (name, announcement) in consequences.refreshed {
            self.refresh(&name, announcement);
        }
        for name in consequences.scored {
            self.troubles.remove(&name);
        }
        for (name, payload) in consequences.scores {
            let topic = self.voice.topics.score(&name);
            // A score that finds no room is not missed: the next one is newer.
            let _ = self.link.publish_now(Publication { topic, payload, retain: false }, Qos::AtMostOnce);
        }
    }

    /// Says something else about an alarm that stands as it stood: the retained alarm alone, under the same `seq`.
    fn refresh(&mut self, name: &Name, announcement: Announcement) {
        let Some(machine) = self.plant.machine(name.as_str()) else { return };
        let model = machine.profile().identity();
        let payload = AlarmPayload::new(announcement, name, model, &self.voice.gateway);
        let alarm = Publication { topic: self.voice.topics.alarm(name), payload: payload.to_json(), retain: true };
        if let Err(error) = self.outbox.append(self.now().utc, name.as_str(), payload.seq(), &[alarm]) {
            error!(machine = %name, %error, "the outbox refuses what is said anew about an alarm");
        }
    }

    fn announce(&mut self, name: &Name, announcement: Announcement) {
        let Some(machine) = self.plant.machine(name.as_str()) else { return };
        let model = machine.profile().identity();
        self.publish_transition(name, announcement, model);
    }

    fn publish_transition(&mut self, name: &Name, announcement: Announcement, model: ModelIdentity) {
        let now = self.now();
        let state = announcement.transition.state;
        let announced = self.annunciate(name, &announcement.transition, now);
        let payload = AlarmPayload::new(announcement, name, model, &self.voice.gateway).announced(announced);
        info!(machine = %name, seq = payload.seq(), ?state, announced, "alarm");
        let json = payload.to_json();
        let publication = |topic, retain| Publication { topic, payload: json.clone(), retain };
        let both =
            [publication(self.voice.topics.event(name), false), publication(self.voice.topics.alarm(name), true)];
        if let Err(error) = self.outbox.append(now.utc, name.as_str(), payload.seq(), &both) {
            error!(machine = %name, %error, "the outbox refuses a transition");
        }
    }

    /// Makes a batch last, then acknowledges it and sends what may be sent.
    fn settle(&mut self) {
        let durability = self.outbox.sync();
        self.tell_durability(&durability);
        if !self.unacknowledged.is_empty() {
            self.link.ack_all(std::mem::take(&mut self.unacknowledged));
        }
        while self.link.room() > 0 {
            let Some(entry) = self.outbox.next_unsent() else { break };
            let payload = match entry.first_attempt {
                true => entry.publication.payload,
                false => AlarmPayload::replayed(&entry.publication.payload),
            };
            let publication = Publication { payload, ..entry.publication };
            match self.link.publish_tracked(entry.id, publication) {
                Ok(()) => {}
                Err(Refusal::Offline(_) | Refusal::Full(_)) => {
                    self.outbox.hand_back(&[entry.id]);
                    break;
                }
                Err(refusal @ Refusal::Impossible { .. }) => {
                    error!(%refusal, machine = entry.stream, seq = entry.seq, "no broker would take this alarm");
                    self.outbox.acknowledged(entry.id);
                }
            }
        }
        // After the events that they tell of.
        self.reply();
    }

    fn connected(&mut self, session_present: bool) {
        info!(session_present, "connected to the broker");
        let now = self.now();
        self.recall.connected(now.steady, session_present);
        self.oversight.connected();
        self.oversee(now);
        if self.outbox.newest_states().next().is_none() {
            return;
        }
        // A broker that lost the session may have lost whatever it had acknowledged, and its readers have to find back to it.
        // One that kept it may have been killed and gone back to what it saved last, its readers' sessions as well.
        (self.announce_again_at, self.announce_since) = match session_present {
            false => (ANNOUNCED_AGAIN.map(|delay| now.steady + delay).to_vec(), Timestamp::MIN),
            true => (vec![now.steady], now.utc.checked_sub(SAVED_WITHIN).unwrap_or(Timestamp::MIN)),
        };
    }

    /// A clean stop publishes `offline` itself, the last will is for the others.
    async fn say_good_bye(&mut self) {
        let payload = StatusPayload::offline(&self.voice.gateway.name, Timestamp::now()).to_json();
        let publication = Publication { topic: self.voice.topics.status(), payload, retain: true };
        // Without a connection the last will says the same.
        let _ = self.link.publish_now(publication, Qos::AtLeastOnce);
        self.link.disconnect().await;
    }

    async fn close(mut self) {
        self.say_good_bye().await;
        // What the broker has not confirmed by now is sent after the next start.
        let _ = self.outbox.maintain(Timestamp::now());
        let _ = self.outbox.sync();
    }
}

impl Consequences {
    fn add(&mut self, observed: Observed<'_>, heard: &mut HashMap<Name, Heard>, voice: &Voice, now: Now) {
        let Observed { machine, time, observation, .. } = observed;
        let name = machine.name();
        if let Some(fitted) = observation.fitted {
            self.fitted.push((name.clone(), *fitted));
        }
        if let Some(lesson) = observation.lesson {
            self.lessons.push((name.clone(), lesson));
        }
        if let Some(drift) = observation.drift {
            self.drifts.push((name.clone(), *drift));
        }
        if let Some(trouble) = observation.trouble {
            self.troubles.push((name.clone(), trouble));
        }
        for announcement in observation.announcements {
            self.announcements.push((name.clone(), announcement));
        }
        if let Some(announcement) = observation.refreshed {
            self.refreshed.push((name.clone(), *announcement));
        }
        let before = heard.get_mut(name).map(|heard| {
            heard.last = now.steady;
            heard.published
        });
        let due = before.is_none_or(|last| now.steady.saturating_sub(last) >= voice.score_every);
        if due {
            let contributions = if observation.score.is_some() { machine.contributions() } else { Vec::new() };
            if observation.score.is_some() {
                self.scored.push(name.clone());
            }
            let (score, quality) = (observation.score, observation.quality);
            let judged = Judged { score, stage: machine.stage(), quality, contributions };
            let payload = ScorePayload::new(&voice.gateway.name, name, time, judged).to_json();
            self.scores.push((name.clone(), payload));
            heard.insert(name.clone(), Heard { published: now.steady, last: now.steady });
        }
    }
}

/// How often samples that wait are looked at.
const TICK: Duration = Duration::from_millis(100);
const TICKS_A_SECOND: u64 = 10;
/// Ticks: the link turns every second at least.
const LINK_STANDS_STILL: u64 = 50;
/// Five minutes: often enough for charts that remember a minute, rare enough for flash.
const TICKS_A_CHECKPOINT: u64 = 3000;
/// For what an old link has still to tell.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Messages that share one fsync.
const BATCH: usize = 256;
/// More than any command has; what stands in for an oversized one that was dropped on the way.
const OVERSIZE: usize = 64 * 1024;
/// Transitions that are announced again with a new connection.
const KEPT_TAIL: usize = 1000;
/// A reader has to find back to the broker too: at once, soon, or after its longest back-off.
const ANNOUNCED_AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(32)];
/// Brokers save what they keep every half an hour, if nothing else is said.
const SAVED_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(35);
