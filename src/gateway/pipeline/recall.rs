use std::time::Duration;

use tracing::{error, info};

use super::Pipeline;
use crate::acquisition::Name;
use crate::outbox::Publication;
use crate::publication::AlarmPayload;
use crate::transport::{LinkEvent, Qos};

/// Asks the broker, at the start, for the retained alarms: a state folder that was lost, or a disk that was full, must cost
/// no machine its episode and use no `seq` twice.
pub(super) struct Recall {
    /// What is listened to afterwards.
    filters: Option<Vec<(String, Qos)>>,
    until: Option<Duration>,
    /// Messages that a kept session brings before the retained alarms; a machine that took them now might use a `seq` twice.
    held: Vec<LinkEvent>,
    hold_until: Option<Duration>,
}

impl Recall {
    pub fn new(filters: Vec<(String, Qos)>) -> Self {
        Self { filters: Some(filters), until: None, held: Vec::new(), hold_until: None }
    }

    /// From a connection on there is a while for them to come.
    pub fn connected(&mut self, now: Duration, session_present: bool) {
        self.until.get_or_insert(now + WHILE);
        self.hold_until = (session_present && !self.is_over()).then_some(now + HOLD);
    }

    /// What has not come by now comes with the next connection. Gives what was held and no broker brings again.
    pub fn disconnected(&mut self) -> Vec<LinkEvent> {
        self.until = None;
        let mut held = self.release();
        held.retain(|event| matches!(event, LinkEvent::Message { ack: None, .. }));
        held
    }

    /// Keeps a message back for a moment, or gives it back.
    pub fn hold(&mut self, event: LinkEvent) -> Option<LinkEvent> {
        if !self.holds() || self.held.len() >= MOST_HELD {
            return Some(event);
        }
        self.held.push(event);
        None
    }

    /// Whether messages are held at all.
    pub fn holds(&self) -> bool {
        self.hold_until.is_some()
    }

    /// What was held, once its moment is over.
    pub fn due(&mut self, now: Duration) -> Vec<LinkEvent> {
        let full = self.held.len() >= MOST_HELD;
        if full || self.hold_until.is_some_and(|until| now >= until) { self.release() } else { Vec::new() }
    }

    fn release(&mut self) -> Vec<LinkEvent> {
        self.hold_until = None;
        std::mem::take(&mut self.held)
    }

    /// What is listened to once everything has come, when that is.
    fn end(&mut self, now: Duration) -> Option<Vec<(String, Qos)>> {
        self.until.filter(|until| now >= *until).and_then(|_| self.filters.take())
    }

    /// Nothing more is expected of the broker.
    pub fn is_over(&self) -> bool {
        self.filters.is_none()
    }

    /// What is to be listened to instead of these filters: while the alarms are waited for, to them as well.
    pub fn beside(&mut self, filters: Vec<(String, Qos)>, alarms: String) -> Vec<(String, Qos)> {
        match &mut self.filters {
            Some(afterwards) => {
                *afterwards = filters.clone();
                with_alarms(filters, alarms)
            }
            None => filters,
        }
    }
}

/// These filters behind that of the retained alarms: what they tell must be known before telemetry changes it.
pub(in crate::gateway) fn with_alarms(filters: Vec<(String, Qos)>, alarms: String) -> Vec<(String, Qos)> {
    [(alarms, RECALLED_AT)].into_iter().chain(filters).collect()
}

impl Pipeline {
    /// Takes an event of the link, unless it has to wait a moment for what the broker has kept.
    pub(super) fn hear(&mut self, event: LinkEvent) {
        let topic = match &event {
            LinkEvent::Message { topic, .. } | LinkEvent::Oversize { topic, .. } => Some(topic),
            _ => None,
        };
        let heard = match topic {
            Some(topic) if self.voice.topics.alarm_of(topic).is_none() => self.recall.hold(event),
            _ => Some(event),
        };
        if let Some(event) = heard {
            // What was held came first.
            self.take_held();
            self.take(event);
        }
    }

    pub(super) fn take_held(&mut self) {
        // Nearly always, and then no clock is to be read for every message.
        if !self.recall.holds() {
            return;
        }
        for event in self.recall.due(self.started.elapsed()) {
            self.take(event);
        }
    }

    /// Takes a retained alarm of this gateway. One that tells of a newer transition than is known here is where the
    /// machine's alarm goes on; its own alarms come back too, and are nothing new.
    pub(super) fn recall(&mut self, topic: &str, payload: &[u8], retained: bool) {
        let machine = self.voice.topics.alarm_of(topic).and_then(|machine| Name::parse(machine).ok());
        let (Some(name), Some(payload)) = (machine, AlarmPayload::from_json(payload)) else { return };
        let gateway = self.voice.gateway.name.clone();
        // It may come twice, and nothing of it is in the outbox before the next transition.
        let known = self.standing(&name).map_or(0, |standing| standing.seq).max(self.outbox.seq(name.as_str()));
        let is_news = payload.seq() > known && payload.seq() <= MOST_TRANSITIONS;
        if !retained || !payload.is_of(&name, &gateway) || !is_news {
            return;
        }
        let of_gateway = name == gateway;
        if !of_gateway && !self.plant.admit(&name) {
            return;
        }
        self.keep_recalled(&name, &payload);
        let (standing, told) = payload.standing();
        self.oversight.performance().resume(&name, &standing);
        info!(machine = %name, seq = standing.seq, state = ?standing.state, "goes on with the alarm that the broker has kept");
        if of_gateway {
            self.oversight.own_mut().resume(standing);
        } else if let Some(machine) = self.plant.machine_mut(name.as_str()) {
            machine.resume(standing, told);
        }
    }

    /// Makes it the outbox's newest too: an older one there would be announced again, and stand retained in its place.
    fn keep_recalled(&mut self, name: &Name, payload: &AlarmPayload) {
        let payload_again = AlarmPayload::replayed(&payload.to_json());
        let alarm = Publication { topic: self.voice.topics.alarm(name), payload: payload_again, retain: true };
        if let Err(error) = self.outbox.append(self.now().utc, name.as_str(), payload.seq(), &[alarm]) {
            error!(machine = %name, %error, "the outbox refuses the alarm that the broker has kept");
        }
    }

    pub(super) fn end_recall(&mut self, now: Duration) {
        if let Some(filters) = self.recall.end(now) {
            self.listen(filters);
        }
    }

    pub(super) fn listen(&mut self, filters: Vec<(String, Qos)>) {
        self.oversight.asks_again();
        let filters = self.recall.beside(filters, self.voice.topics.alarms());
        if let Err(error) = self.link.listen(filters) {
            error!(%error, "the subscriptions stay as they were");
        }
    }
}

/// Beside the window of messages that wait for their acknowledgement, which may be full of what is held.
const RECALLED_AT: Qos = Qos::AtMostOnce;
/// For the retained alarms to come first.
const HOLD: Duration = Duration::from_millis(400);
const MOST_HELD: usize = 1024;
/// For the retained alarms to come.
const WHILE: Duration = Duration::from_secs(10);
/// No machine has so many; a number beyond, whoever has published it, would leave none for what follows.
const MOST_TRANSITIONS: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;

    fn filters<const N: usize>(filters: [&str; N]) -> Vec<(String, Qos)> {
        filters.map(|filter| (filter.to_owned(), Qos::AtLeastOnce)).to_vec()
    }

    #[test]
    fn what_a_kept_session_brings_waits_a_moment_for_the_retained_alarms() {
        let message = |ack| LinkEvent::Message {
            topic: "plant/m/telemetry".to_owned(),
            payload: Default::default(),
            retain: false,
            dup: false,
            qos: Qos::AtMostOnce,
            ack,
        };
        let mut recall = Recall::new(filters(["plant/+"]));
        recall.connected(WHILE, false);
        assert!(recall.hold(message(None)).is_some(), "a new session brings nothing from before");
        recall.connected(WHILE, true);
        assert!(recall.hold(message(None)).is_none());
        assert!(recall.due(WHILE).is_empty());
        assert_eq!(recall.disconnected().len(), 1, "what nobody brings again is not lost");
        recall.connected(WHILE, true);
        (0..MOST_HELD).for_each(|_| assert!(recall.hold(message(None)).is_none()));
        assert_eq!(recall.due(WHILE).len(), MOST_HELD, "no more than there is room for");
        assert!(recall.hold(message(None)).is_some());
    }

    #[test]
    fn a_reload_while_the_alarms_are_waited_for_keeps_the_asking_and_its_own_filters() {
        let alarms = || "g1/+/alarm".to_owned();
        let mut recall = Recall::new(filters(["old/+"]));
        let asked: Vec<(String, Qos)> = [(alarms(), RECALLED_AT)].into_iter().chain(filters(["new/+"])).collect();
        assert_eq!(recall.beside(filters(["new/+"]), alarms()), asked);
        assert_eq!(recall.end(WHILE), None, "there was no connection yet");
        recall.connected(WHILE, false);
        recall.disconnected();
        recall.connected(3 * WHILE, false);
        assert_eq!(recall.end(2 * WHILE), None, "the while begins anew with a connection");
        assert_eq!(recall.end(4 * WHILE), Some(filters(["new/+"])));
        assert!(recall.is_over());
        assert_eq!(recall.beside(filters(["newer/+"]), alarms()), filters(["newer/+"]));
    }
}
