use std::time::Duration;

use tracing::{error, info};

use super::Pipeline;
use crate::acquisition::Name;
use crate::outbox::Publication;
use crate::publication::AlarmPayload;
use crate::transport::Qos;

/// Asks the broker, at the start, for the retained alarms: a state folder that was lost, or a disk that was full, must cost
/// no machine its episode and use no `seq` twice.
pub(super) struct Recall {
    /// What is listened to afterwards.
    filters: Option<Vec<(String, Qos)>>,
    until: Option<Duration>,
}

impl Recall {
    pub fn new(filters: Vec<(String, Qos)>) -> Self {
        Self { filters: Some(filters), until: None }
    }

    /// From the first connection on there is a while for them to come.
    pub fn connected(&mut self, now: Duration) {
        self.until.get_or_insert(now + WHILE);
    }
}

impl Pipeline {
    /// Takes a retained alarm of this gateway. One that tells of a newer transition than is known here is where the
    /// machine's alarm goes on; its own alarms come back too, and are nothing new.
    pub(super) fn recall(&mut self, topic: &str, payload: &[u8], retained: bool) {
        let machine = self.voice.topics.alarm_of(topic).and_then(|machine| Name::parse(machine).ok());
        let (Some(name), Some(payload)) = (machine, AlarmPayload::from_json(payload)) else { return };
        let gateway = &self.voice.gateway.name;
        if !retained || !payload.is_of(&name, gateway) || self.outbox.seq(name.as_str()) >= payload.seq() {
            return;
        }
        let of_gateway = name == *gateway;
        if !of_gateway && !self.plant.admit(&name) {
            return;
        }
        self.keep_recalled(&name, &payload);
        let (standing, told) = payload.standing();
        self.oversight.performance().resume(&name, &standing);
        info!(machine = %name, seq = standing.seq, state = ?standing.state, "goes on with the alarm that the broker has kept");
        if of_gateway {
            self.oversight.own().resume(standing);
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
        if self.recall.until.is_some_and(|until| now >= until)
            && let Some(filters) = self.recall.filters.take()
        {
            self.listen(filters);
        }
    }

    pub(super) fn listen(&mut self, filters: Vec<(String, Qos)>) {
        self.recall.filters = None;
        if let Err(error) = self.link.listen(filters) {
            error!(%error, "the subscriptions stay as they were");
        }
    }
}

/// For the retained alarms to come.
const WHILE: Duration = Duration::from_secs(10);
