use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::Workshop;
use super::refusals::RefusalLog;
use super::service::Heartbeat;
use crate::acquisition::{Name, Rejection};
use crate::checkpoint::{Calibrations, Memories};
use crate::clock::Now;
use crate::command::{Ledger, Order, Reply, Verb, Wish};
use crate::machine::{Announcement, Fitted, Trouble};
use crate::outbox::{Durability, Outbox, Publication};
use crate::plant::{Message, Observed, Plant};
use crate::publication::{
    AlarmPayload, Gateway, Judged, MachineStatus, ScorePayload, StatusPayload, Topics, show_stamp,
};
use crate::transport::{AckToken, LinkEvent, LinkEvents, LinkHandle, Qos, Refusal};

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
    /// Messages that the link has dropped so far.
    shed: u64,
    /// Something was done that no transition tells of.
    remember_soon: bool,
    /// The disk refuses the outbox, and the log says so.
    degraded: bool,
    status: Status,
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
    /// Beats while the pipeline goes on.
    pub heart: Heartbeat,
}

#[derive(Clone, Copy)]
struct Heard {
    published: Duration,
    last: Duration,
}

#[derive(Default)]
struct Status {
    /// As it was published last.
    payload: Vec<u8>,
    connected: bool,
}

/// What a batch of messages led to.
#[derive(Default)]
struct Consequences {
    announcements: Vec<(Name, Announcement)>,
    refreshed: Vec<(Name, Announcement)>,
    fitted: Vec<(Name, Fitted)>,
    troubles: Vec<(Name, Trouble)>,
    scores: Vec<(Name, Vec<u8>)>,
    /// Machines with a score published, whatever stood in its way before.
    scored: Vec<Name>,
}

impl Pipeline {
    pub fn new(parts: Parts) -> Self {
        let Parts { plant, outbox, link, voice, calibrations, memories, heart } = parts;
        Self {
            plant,
            outbox,
            link,
            voice,
            calibrations,
            memories,
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
            shed: 0,
            remember_soon: false,
            degraded: false,
            status: Status::default(),
        }
    }

    /// Works until the link ends or somebody says stop.
    pub async fn work(mut self, mut events: LinkEvents, mut stop: oneshot::Receiver<()>) {
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
                    self.heart.beat();
                    self.pass_time(ticks.is_multiple_of(TICKS_A_SECOND));
                    if ticks.is_multiple_of(TICKS_A_CHECKPOINT) {
                        self.remember();
                    }
                }
                event = events.recv() => {
                    let Some(event) = event else { break };
                    self.take(event);
                    // Whatever else has arrived shares one fsync.
                    for _ in 1..BATCH {
                        let Some(event) = events.try_recv() else { break };
                        self.take(event);
                    }
                    self.settle();
                }
            }
        }
        self.settle();
        self.remember();
        self.close().await;
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
                self.status.connected = false;
                self.unacknowledged.clear();
            }
            LinkEvent::Unreachable { reason, attempts } => {
                // The first failures of an outage are told one by one, later ones now and then.
                if attempts <= 3 || attempts.is_multiple_of(20) {
                    warn!(%reason, attempts, "the broker cannot be reached; trying on");
                }
            }
            LinkEvent::SubscriptionRefused { filter } => {
                error!(%filter, "the broker refuses this subscription: check its access rules");
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
        let Self { plant, heard, voice, .. } = self;
        plant.receive(message, now, &mut |observed| consequences.add(observed, heard, voice, now));
        self.tell_refusal(now);
        self.draw(consequences);
    }

    /// Carries out one command and prepares its answer. A verb or a machine's name that could not even be answered is
    /// nobody's command.
    fn obey(&mut self, machine: &str, verb: &str, payload: &[u8]) {
        let (Some(verb), Ok(name)) = (Verb::parse(verb), Name::parse(machine)) else { return };
        let now = self.now();
        let reply = Reply::new(verb, &name, &self.voice.gateway.name, show_stamp(now.utc));
        let topic = self.voice.topics.result(&name, verb.as_str());
        let answer = match Order::parse(verb, payload) {
            Err(error) => reply.to(error.id.clone()).refusing(error).to_json(),
            Ok(Order { id, wish }) => match self.ledger.answered(&name, &id) {
                Some((same, answer)) if same == verb => answer.to_vec(),
                Some((other, _)) => {
                    let why =
                        format!("the id was used for a command {} before; give each command its own", other.as_str());
                    reply.to(Some(id)).refusing(why).to_json()
                }
                None => {
                    let known = self.plant.machine_mut(name.as_str()).is_some();
                    let reply = self.carry_out(&name, wish, reply.to(Some(id.clone())), now);
                    let answer = reply.to_json();
                    // What was refused for want of a machine has no effect to be doubled.
                    if known {
                        self.ledger.enter(&name, verb, id, answer.clone());
                    }
                    answer
                }
            },
        };
        self.replies.push_back(Publication { topic, payload: answer, retain: false });
    }

    fn carry_out(&mut self, name: &Name, wish: Wish, reply: Reply, now: Now) -> Reply {
        let Some(machine) = self.plant.machine_mut(name.as_str()) else {
            return reply.refusing("this gateway knows no such machine");
        };
        match wish {
            Wish::Act(action) => match machine.act(&action, now) {
                Ok(announcement) => {
                    let reply = reply.with(machine.standing());
                    match announcement {
                        Some(announcement) => self.announce(name, announcement),
                        // What is no transition stands nowhere but here.
                        None => self.remember_soon = true,
                    }
                    reply
                }
                Err(refusal) => reply.with(machine.standing()).refusing(refusal),
            },
            Wish::Replay { from_seq } => {
                let reply = reply.with(machine.standing());
                if self.replays.len() >= MOST_REPLAYS {
                    return reply.refusing("as many replays as the gateway takes are under way; ask again in a minute");
                }
                self.replays.push_back((name.clone(), from_seq));
                reply
            }
        }
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
        let Self { plant, heard, voice, .. } = self;
        plant.poll(now, &mut |observed| consequences.add(observed, heard, voice, now));
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
            self.tell_status();
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
            let waiting = self.outbox.reannounce(KEPT_TAIL);
            info!(waiting, "announces alarms again, in case the broker has lost what it had confirmed");
        }
    }

    /// Carries out what samples led to.
    fn draw(&mut self, consequences: Consequences) {
        for (name, fitted) in consequences.fitted {
            info!(machine = %name, rows = fitted.calibration.rows(), "has learned what is normal");
            self.troubles.remove(&name);
            if let Err(error) = self.calibrations.save(&name, &fitted) {
                error!(machine = %name, %error, "its calibration is not kept; it will learn anew after a restart");
            }
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
        let Some(machine) = self.plant.machine_mut(name.as_str()) else { return };
        let model = machine.profile().identity();
        let payload = AlarmPayload::new(announcement, name, model, &self.voice.gateway);
        let alarm = Publication { topic: self.voice.topics.alarm(name), payload: payload.to_json(), retain: true };
        if let Err(error) = self.outbox.append(self.now().utc, name.as_str(), payload.seq(), &[alarm]) {
            error!(machine = %name, %error, "the outbox refuses what is said anew about an alarm");
        }
    }

    fn tell_durability(&mut self, durability: &Durability) {
        match (durability, self.degraded) {
            (Durability::Degraded { cause, in_memory }, false) => {
                error!(%cause, in_memory, "the disk refuses the outbox; alarms are kept in memory until it takes them");
            }
            (Durability::Synced, true) => info!("the disk takes the outbox again"),
            _ => {}
        }
        self.degraded = matches!(durability, Durability::Degraded { .. });
    }

    fn announce(&mut self, name: &Name, announcement: Announcement) {
        let Some(machine) = self.plant.machine_mut(name.as_str()) else { return };
        let model = machine.profile().identity();
        let state = announcement.transition.state;
        let payload = AlarmPayload::new(announcement, name, model, &self.voice.gateway);
        info!(machine = %name, seq = payload.seq(), ?state, "alarm");
        let json = payload.to_json();
        let publication = |topic, retain| Publication { topic, payload: json.clone(), retain };
        let both =
            [publication(self.voice.topics.event(name), false), publication(self.voice.topics.alarm(name), true)];
        if let Err(error) = self.outbox.append(Timestamp::now(), name.as_str(), payload.seq(), &both) {
            error!(machine = %name, %error, "the outbox refuses a transition");
        }
    }

    /// Makes a batch last, then acknowledges it and sends what may be sent.
    fn settle(&mut self) {
        let durability = self.outbox.sync();
        self.tell_durability(&durability);
        for token in self.unacknowledged.drain(..) {
            self.link.ack(token);
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

    /// Answers commands, then publishes what is asked for again, as much as the link takes now.
    fn reply(&mut self) {
        while let Some(reply) = self.replies.pop_front() {
            // Without a connection nobody waits for an answer any more.
            if let Err(Refusal::Full(back)) = self.link.publish_now(reply, Qos::AtLeastOnce) {
                self.replies.push_front(back);
                return;
            }
        }
        while let Some((name, from_seq)) = self.replays.pop_front() {
            let topic = self.voice.topics.event(&name);
            for entry in self.outbox.replay(name.as_str(), from_seq).filter(|entry| entry.publication.topic == topic) {
                let payload = AlarmPayload::replayed(&entry.publication.payload);
                let publication = Publication { payload, ..entry.publication };
                if let Err(Refusal::Full(_)) = self.link.publish_now(publication, Qos::AtLeastOnce) {
                    self.replays.push_front((name.clone(), entry.seq));
                    return;
                }
            }
        }
    }

    fn connected(&mut self, session_present: bool) {
        info!(session_present, "connected to the broker");
        self.status = Status { connected: true, payload: Vec::new() };
        self.tell_status();
        let told_before = self.outbox.newest_states().next().is_some();
        if told_before {
            // A broker that lost the session may have lost what it had acknowledged, too. One that was killed may have gone
            // back to what it saved last, with the session in it, and then its readers' sessions are there as well.
            let now = self.started.elapsed();
            let times = if session_present { 1 } else { ANNOUNCED_AGAIN.len() };
            self.announce_again_at = ANNOUNCED_AGAIN.iter().take(times).map(|delay| now + *delay).collect();
        }
    }

    /// Publishes the status if it has changed.
    fn tell_status(&mut self) {
        if !self.status.connected {
            return;
        }
        let now = self.started.elapsed();
        let machines = self.plant.machines().map(|machine| {
            let trouble = self.troubles.get(machine.name()).cloned();
            let silent =
                now.saturating_sub(self.heard.get(machine.name()).map_or(Duration::ZERO, |heard| heard.last)) > NO_DATA;
            let state = match machine.state() {
                state if state == "scoring" && silent => "no_data".to_owned(),
                state => state,
            };
            (machine.name().clone(), MachineStatus { state, trouble })
        });
        let gateway = &self.voice.gateway.name;
        let rejected = self.plant.rejections().clone();
        let payload = StatusPayload::online(gateway, self.voice.since, machines.collect(), rejected).to_json();
        if payload != self.status.payload {
            let publication = Publication { topic: self.voice.topics.status(), payload: payload.clone(), retain: true };
            if self.link.publish_now(publication, Qos::AtLeastOnce).is_ok() {
                self.status.payload = payload;
            }
        }
    }

    /// Says good-bye: a clean stop publishes `offline` itself, the last will is for the others.
    async fn close(mut self) {
        let payload = StatusPayload::offline(&self.voice.gateway.name, Timestamp::now()).to_json();
        let publication = Publication { topic: self.voice.topics.status(), payload, retain: true };
        // Without a connection the last will says the same.
        let _ = self.link.publish_now(publication, Qos::AtLeastOnce);
        self.link.disconnect().await;
        // What the broker has not confirmed by now is sent after the next start.
        let _ = self.outbox.maintain(Timestamp::now());
        let _ = self.outbox.sync();
    }
}

impl Consequences {
    fn add(&mut self, observed: Observed<'_>, heard: &mut HashMap<Name, Heard>, voice: &Voice, now: Now) {
        let Observed { machine, time, observation } = observed;
        let name = machine.name();
        if let Some(fitted) = observation.fitted {
            self.fitted.push((name.clone(), *fitted));
        }
        if let Some(trouble) = observation.trouble {
            self.troubles.push((name.clone(), trouble));
        }
        if let Some(announcement) = observation.announcement {
            self.announcements.push((name.clone(), *announcement));
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
            let judged = Judged { score: observation.score, quality: observation.quality, contributions };
            let payload = ScorePayload::new(&voice.gateway.name, name, time, judged).to_json();
            self.scores.push((name.clone(), payload));
            heard.insert(name.clone(), Heard { published: now.steady, last: now.steady });
        }
    }
}

/// How often samples that wait are looked at.
const TICK: Duration = Duration::from_millis(100);
const TICKS_A_SECOND: u64 = 10;
/// Five minutes: often enough for charts that remember a minute, rare enough for flash.
const TICKS_A_CHECKPOINT: u64 = 3000;
/// Messages that share one fsync.
const BATCH: usize = 256;
/// More than any command has; what stands in for an oversized one that was dropped on the way.
const OVERSIZE: usize = 64 * 1024;
/// A machine that was not heard for so long has no data.
const NO_DATA: Duration = Duration::from_secs(300);
/// Replays that may wait for each other.
const MOST_REPLAYS: usize = 16;
/// Transitions that are announced again with a new connection.
const KEPT_TAIL: usize = 1000;
/// A reader has to find back to the broker too: at once, soon, or after its longest back-off.
const ANNOUNCED_AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(32)];
