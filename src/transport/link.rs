//! The task that drives the state machine: polls, moves bytes, and decides nothing.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    select,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    AckToken, LinkEvent, LinkMetrics, LinkOptions, OptionsError, Qos, Refusal,
    connection::{Connection, Fault, tracked_limit},
    options::{check_filters, check_publication},
    rotation::{self, News},
    tls::Tls,
    tls_words,
    wire::{self, Wire},
};
use crate::outbox::{EntryId, Publication};

/// A running connection to a broker.
#[derive(Debug)]
pub struct Link {
    options: LinkOptions,
    connection: Connection,
    started: Instant,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<Queued>,
    /// Bytes of messages that may wait in `events`.
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
    metrics: watch::Sender<LinkMetrics>,
    /// Since when the consumer has taken nothing although the queue is full.
    stalled: Option<Instant>,
    farewells: Vec<oneshot::Sender<()>>,
    /// Every handle is gone, so no command will come.
    orphaned: bool,
    /// About the certificates, if there are any.
    news: Option<mpsc::Receiver<News>>,
    /// The certificates that worked before the present ones, until these have worked too.
    worked: Option<Tls>,
    /// The newest certificates, if the broker did not take them.
    turned_away: Option<Tls>,
}

/// The way in. Cheap to clone; nothing here waits or blocks, so it may be called from any thread.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    // Unbounded in type, bounded in fact: publications by `Shared`, acknowledgements by the tokens that exist.
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    metrics: watch::Receiver<LinkMetrics>,
}

/// The way out. A consumer that takes nothing makes the link stop reading.
#[derive(Debug)]
pub struct LinkEvents(mpsc::Receiver<Queued>);

#[derive(Debug)]
enum Command {
    Tracked(EntryId, Publication),
    Now(Publication, Qos),
    Acks(Vec<AckToken>),
    Listen(Vec<(String, Qos)>),
    Disconnect(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Queued {
    event: LinkEvent,
    /// Gives its bytes back when it is dropped.
    _bytes: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Shared {
    /// Publications are taken.
    online: AtomicBool,
    tracked: AtomicUsize,
    tracked_limit: usize,
    untracked: AtomicUsize,
    untracked_limit: usize,
    unconfirmed: AtomicUsize,
    largest: usize,
    /// Rises at least once a second while the task goes on.
    turns: AtomicU64,
}

impl Link {
    /// Starts the task; to be called within a tokio runtime. The broker need not be there.
    ///
    /// # Errors
    /// The first option that no connection can be made with.
    pub fn start(options: LinkOptions) -> Result<(LinkHandle, LinkEvents), OptionsError> {
        options.check()?;
        let (commands, commands_rx) = mpsc::unbounded_channel();
        let (events_tx, events) = mpsc::channel(options.queue);
        let shared = Arc::new(Shared {
            online: AtomicBool::new(false),
            tracked: AtomicUsize::new(0),
            tracked_limit: tracked_limit(options.inflight),
            untracked: AtomicUsize::new(0),
            untracked_limit: usize::from(options.inflight / 4).max(1),
            unconfirmed: AtomicUsize::new(0),
            largest: LARGEST_OUT,
            turns: AtomicU64::new(0),
        });
        let (metrics_tx, metrics) = watch::channel(LinkMetrics::default());
        let link = Link {
            connection: Connection::new(&options),
            started: Instant::now(),
            commands: commands_rx,
            events: events_tx,
            room: Arc::new(Semaphore::new(QUEUED_BYTES.max(options.max_payload))),
            shared: Arc::clone(&shared),
            metrics: metrics_tx,
            stalled: None,
            farewells: Vec::new(),
            orphaned: false,
            news: options.tls.clone().map(rotation::watch),
            worked: None,
            turned_away: None,
            options,
        };
        tokio::spawn(link.run());
        Ok((LinkHandle { commands, shared, metrics }, LinkEvents(events)))
    }

    async fn run(mut self) {
        loop {
            self.deliver().await;
            if self.connection.is_closed() {
                break;
            }
            if self.connection.is_waiting() && !self.wait().await {
                continue;
            }
            self.connect().await;
        }
        self.shared.online.store(false, Relaxed);
        self.metrics.send_replace(self.connection.metrics());
        // Dropping the farewells answers them.
    }

    /// True when the next attempt is due, as it is with new certificates, false if something else came first.
    async fn wait(&mut self) -> bool {
        let until = self.connection.deadline().map(|until| self.started + until);
        select! {
            () = sleep_until(until.unwrap_or_else(Instant::now)) => true,
            () = tokio::time::sleep(IDLE) => false,
            command = self.commands.recv(), if !self.orphaned => {
                self.orphaned |= command.is_none();
                obey(&mut self.connection, command, self.started.elapsed(), &mut self.farewells);
                false
            }
            news = hear(&mut self.news) => {
                learn(news, &mut self.options, &mut self.worked, &mut self.connection, self.started.elapsed())
            }
        }
    }

    /// One connection, from the attempt at it to its end.
    async fn connect(&mut self) {
        while let Some(news) = self.news.as_mut().and_then(|news| news.try_recv().ok()) {
            learn(news, &mut self.options, &mut self.worked, &mut self.connection, self.started.elapsed());
        }
        let mut on_trial = self.worked.is_some();
        let mut wire = Wire::open(&self.options, self.connection.attempt());
        let mut few = false;
        let fault = loop {
            self.deliver().await;
            if std::mem::take(&mut few) {
                // Not by the runtime's timer: the socket would wake the thread for every packet all the same.
                std::thread::sleep(GATHER);
            }
            let now = self.started.elapsed();
            self.connection.offer(now, |request| wire.take(request));
            if let Some(fault) = self.connection.overdue(now) {
                break Some(fault);
            }
            if self.connection.is_closed() {
                return;
            }
            let deadline = self.connection.deadline().map_or(now + IDLE, |deadline| deadline.min(now + IDLE));
            let turned = select! {
                turned = wire.turn() => turned,
                command = self.commands.recv(), if !self.orphaned => {
                    self.orphaned |= command.is_none();
                    obey(&mut self.connection, command, self.started.elapsed(), &mut self.farewells);
                    self.obey_waiting();
                    continue;
                }
                news = hear(&mut self.news) => {
                    learn(news, &mut self.options, &mut self.worked, &mut self.connection, self.started.elapsed());
                    continue;
                }
                () = sleep_until(self.started + deadline) => continue,
            };
            match turned {
                Ok(()) => {
                    if std::mem::take(&mut on_trial) {
                        (self.worked, self.turned_away) = (None, None);
                    }
                    let now = self.started.elapsed();
                    let mut events = 0;
                    while !self.connection.is_waiting()
                        && let Some(event) = wire.next_event()
                    {
                        wire::tell(event, now, &mut self.connection);
                        events += 1;
                    }
                    few = (1..FEW).contains(&events);
                    if self.connection.is_waiting() {
                        break None;
                    }
                    if self.connection.is_closed() {
                        return;
                    }
                }
                Err(error) => {
                    match tls_words::blames_certificates(&error) {
                        true if on_trial => self.fall_back(),
                        true => self.try_again(),
                        false => {}
                    }
                    break Some(wire::fault(&error, &self.options, self.connection.metrics().online));
                }
            }
        };
        let now = self.started.elapsed();
        wire.tell_rest(now, &mut self.connection);
        let Some(fault) = fault else { return };
        if self.connection.is_waiting() || self.connection.is_closed() {
            return;
        }
        if fault == Fault::NoProgress {
            tracing::warn!("mqtt: no confirmation for {:?}; connecting anew", self.options.no_progress);
        }
        self.connection.lost(now, fault, random());
    }

    /// The broker does not take the new certificates: those that it took are better.
    fn fall_back(&mut self) {
        tracing::warn!("mqtt: the broker does not take the new certificates; the old ones are in use again");
        self.connection.certificates_refused();
        let worked = self.worked.take();
        self.turned_away = std::mem::replace(&mut self.options.tls, worked);
    }

    /// The old certificates fail too: by now the broker may take the new ones, or it was not about certificates at all.
    fn try_again(&mut self) {
        if let Some(newest) = self.turned_away.take() {
            self.worked = self.options.tls.replace(newest);
        }
    }

    /// Obeys what else is waiting, so that it goes out in one piece.
    fn obey_waiting(&mut self) {
        let now = self.started.elapsed();
        while let Ok(command) = self.commands.try_recv() {
            obey(&mut self.connection, Some(command), now, &mut self.farewells);
        }
    }

    /// Hands every event on. While the queue is full nothing is polled, so nothing is read; commands are obeyed all
    /// the same, so a consumer that acknowledges before it takes the next event never waits for us.
    async fn deliver(&mut self) {
        self.shared.turns.fetch_add(1, Relaxed);
        let Link { connection, events, commands, room, stalled, shared, .. } = self;
        while let Some(event) = connection.next_event() {
            if let LinkEvent::Connected { .. } = event {
                // Before the consumer hears of it, or it would be refused at once.
                shared.online.store(true, Relaxed);
            }
            release(shared, connection);
            let (bytes, sheddable) = match &event {
                LinkEvent::Message { topic, payload, qos, .. } => {
                    (topic.len() + payload.len(), *qos == Qos::AtMostOnce)
                }
                _ => (0, false),
            };
            let bytes = bytes.min(QUEUED_BYTES) as u32;
            if let Ok(bytes) = Arc::clone(room).try_acquire_many_owned(bytes)
                && let Ok(slot) = events.try_reserve()
            {
                *stalled = None;
                slot.send(Queued { event, _bytes: Some(bytes) });
                continue;
            }
            let place = async {
                // The semaphore is never closed.
                let bytes = Arc::clone(room).acquire_many_owned(bytes).await.ok();
                (events.reserve().await, bytes)
            };
            let mut place = pin!(place);
            let patience = self.options.keep_alive / 2;
            loop {
                let shed_at = stalled.unwrap_or_else(Instant::now) + patience;
                select! {
                    biased;
                    (slot, bytes) = &mut place => {
                        *stalled = None;
                        match slot {
                            Ok(slot) => slot.send(Queued { event, _bytes: bytes }),
                            // The consumer is gone: there is nobody to work for.
                            Err(_) => connection.close(self.started.elapsed()),
                        }
                        break;
                    }
                    () = sleep_until(shed_at), if sheddable => {
                        // The keep-alive would not survive more of this; QoS 0 promises nothing.
                        stalled.get_or_insert(shed_at - patience);
                        connection.shed();
                        break;
                    }
                    command = commands.recv(), if !self.orphaned => {
                        stalled.get_or_insert_with(Instant::now);
                        self.orphaned |= command.is_none();
                        obey(connection, command, self.started.elapsed(), &mut self.farewells);
                    }
                }
            }
        }
        release(shared, connection);
        // Before a farewell too, or a consumer would offer again and again what is handed back at once.
        shared.online.store(connection.takes_publications(), Relaxed);
        self.metrics.send_replace(connection.metrics());
    }
}

impl LinkHandle {
    /// Sends a publication whose confirmation, or loss, comes back under its id.
    ///
    /// # Errors
    /// The publication, if it was not taken; then nothing comes back.
    pub fn publish_tracked(&self, entry: EntryId, publication: Publication) -> Result<(), Refusal> {
        let publication = self.admit(publication, &self.shared.tracked, self.shared.tracked_limit)?;
        self.send(Command::Tracked(entry, publication))
    }

    /// Sends a publication that may be lost: at QoS 0, or at QoS 1 without asking after it.
    ///
    /// # Errors
    /// The publication, if it was not taken.
    pub fn publish_now(&self, publication: Publication, qos: Qos) -> Result<(), Refusal> {
        let (count, limit) = match qos {
            Qos::AtMostOnce => (&self.shared.unconfirmed, UNCONFIRMED),
            Qos::AtLeastOnce | Qos::ExactlyOnce => (&self.shared.untracked, self.shared.untracked_limit),
        };
        let publication = self.admit(publication, count, limit)?;
        self.send(Command::Now(publication, qos))
    }

    /// Tells the broker that a message is done with. Without effect if its connection is gone: the broker delivers it
    /// again.
    pub fn ack(&self, token: AckToken) {
        self.ack_all(vec![token]);
    }

    /// The same for many messages, in one piece.
    pub fn ack_all(&self, tokens: Vec<AckToken>) {
        _ = self.commands.send(Command::Acks(tokens));
    }

    /// Listens to these topic filters and no others from now on.
    ///
    /// # Errors
    /// The first filter that no broker takes; then nothing changes.
    pub fn listen(&self, filters: Vec<(String, Qos)>) -> Result<(), OptionsError> {
        check_filters(&filters)?;
        // An error means that the link has ended.
        _ = self.commands.send(Command::Listen(filters));
        Ok(())
    }

    /// How many tracked publications it takes now; 0 while there is no connection.
    pub fn room(&self) -> usize {
        if !self.shared.online.load(Relaxed) {
            return 0;
        }
        self.shared.tracked_limit.saturating_sub(self.shared.tracked.load(Relaxed))
    }

    /// Ends the connection with a farewell, so that the will is not published. Waits, a second at most, until what is
    /// on its way is confirmed; the rest is reported as lost. The events end afterwards.
    pub async fn disconnect(&self) {
        let (farewell, said) = oneshot::channel();
        if self.commands.send(Command::Disconnect(farewell)).is_ok() {
            // An error means that the task is gone, which is what was asked for. The broker may be stalled.
            _ = tokio::time::timeout(FAREWELL, said).await;
        }
    }

    /// Rises at least once a second while the link goes on, connected or not; a consumer that takes nothing holds it up.
    pub fn turns(&self) -> u64 {
        self.shared.turns.load(Relaxed)
    }

    /// Counts since the start.
    pub fn metrics(&self) -> LinkMetrics {
        *self.metrics.borrow()
    }

    fn admit(&self, publication: Publication, count: &AtomicUsize, limit: usize) -> Result<Publication, Refusal> {
        if let Err(why) = check_publication(&publication, self.shared.largest) {
            return Err(Refusal::Impossible { publication, why });
        }
        if !self.shared.online.load(Relaxed) {
            return Err(Refusal::Offline(publication));
        }
        let admitted = count.fetch_update(Relaxed, Relaxed, |count| (count < limit).then_some(count + 1));
        if admitted.is_ok() { Ok(publication) } else { Err(Refusal::Full(publication)) }
    }

    fn send(&self, command: Command) -> Result<(), Refusal> {
        match self.commands.send(command) {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendError(Command::Tracked(_, publication) | Command::Now(publication, _))) => {
                Err(Refusal::Offline(publication))
            }
            // Only publications are sent this way.
            Err(mpsc::error::SendError(Command::Acks(_) | Command::Listen(_) | Command::Disconnect(_))) => Ok(()),
        }
    }
}

impl LinkEvents {
    /// The next event; `None` after the farewell. Safe to cancel.
    pub async fn recv(&mut self) -> Option<LinkEvent> {
        self.0.recv().await.map(|queued| queued.event)
    }

    /// The next event, if one is there already.
    pub fn try_recv(&mut self) -> Option<LinkEvent> {
        self.0.try_recv().ok().map(|queued| queued.event)
    }
}

fn obey(
    connection: &mut Connection,
    command: Option<Command>,
    now: Duration,
    farewells: &mut Vec<oneshot::Sender<()>>,
) {
    match command {
        Some(Command::Tracked(entry, publication)) => connection.publish_tracked(entry, publication),
        Some(Command::Now(publication, qos)) => connection.publish_now(publication, qos),
        Some(Command::Acks(tokens)) => tokens.into_iter().for_each(|token| connection.ack(token)),
        Some(Command::Listen(filters)) => connection.listen(filters),
        Some(Command::Disconnect(farewell)) => {
            farewells.push(farewell);
            connection.close(now);
        }
        // Every handle is gone: nobody could end the connection any more.
        None => connection.close(now),
    }
}

/// The next news about the certificates; never where there is none to come.
async fn hear(news: &mut Option<mpsc::Receiver<News>>) -> News {
    let heard = match news {
        Some(news) => news.recv().await,
        None => None,
    };
    match heard {
        Some(heard) => heard,
        None => std::future::pending().await,
    }
}

/// True if there are new certificates.
fn learn(
    news: News,
    options: &mut LinkOptions,
    worked: &mut Option<Tls>,
    connection: &mut Connection,
    now: Duration,
) -> bool {
    match news {
        News::Renewed(tls) => {
            tracing::info!("mqtt: new certificates; connecting anew with them");
            let before = options.tls.replace(tls);
            *worked = worked.take().or(before);
            connection.renew(now);
            true
        }
        News::Refused(why) => {
            tracing::warn!(%why, "mqtt: the new certificates cannot be used; the old ones stay in use");
            connection.certificates_refused();
            false
        }
    }
}

fn release(shared: &Shared, connection: &mut Connection) {
    let released = connection.take_released();
    shared.tracked.fetch_sub(released.tracked, Relaxed);
    shared.untracked.fetch_sub(released.untracked, Relaxed);
    shared.unconfirmed.fetch_sub(released.unconfirmed, Relaxed);
}

/// Jitter needs no better source than the seed that the standard library draws for its hash maps.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Bytes of messages that wait for the consumer.
const QUEUED_BYTES: usize = 8 << 20;
/// Bytes of a payload that goes out; the contract keeps every one of ours below 64 KiB.
const LARGEST_OUT: usize = 1 << 20;
/// Publications at QoS 0 that may wait for the socket.
const UNCONFIRMED: usize = 2048;
/// Looked at again this often, whatever happens.
const IDLE: Duration = Duration::from_secs(1);
const FAREWELL: Duration = Duration::from_secs(2);
/// After a turn that brought fewer events than this the next one is not taken at once: each wakes both threads and the
/// broker, so that messages which come one by one in quick succession are better taken together. No message and no
/// acknowledgement waits for longer than this, the first after a pause not at all, and where many come there is nothing
/// to wait for.
const FEW: usize = 16;
const GATHER: Duration = Duration::from_millis(1);
