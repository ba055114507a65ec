use std::time::Duration;

use tracing::{error, info};

use super::Pipeline;
use crate::acquisition::Name;
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

    /// From a connection on there is a while for them to come.
    pub fn connected(&mut self, now: Duration) {
        self.until.get_or_insert(now + WHILE);
    }

    /// What has not come by now comes with the next connection.
    pub fn disconnected(&mut self) {
        self.until = None;
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
                [(alarms, Qos::AtLeastOnce)].into_iter().chain(filters).collect()
            }
            None => filters,
        }
    }
}

impl Pipeline {
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
        let (standing, told) = payload.standing();
        self.oversight.performance().resume(&name, &standing);
        info!(machine = %name, seq = standing.seq, state = ?standing.state, "goes on with the alarm that the broker has kept");
        if name == gateway {
            self.oversight.own().resume(standing);
            return;
        }
        if self.plant.admit(&name)
            && let Some(machine) = self.plant.machine_mut(name.as_str())
        {
            machine.resume(standing, told);
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
    fn a_reload_while_the_alarms_are_waited_for_keeps_the_asking_and_its_own_filters() {
        let alarms = || "g1/+/alarm".to_owned();
        let mut recall = Recall::new(filters(["old/+"]));
        assert_eq!(recall.beside(filters(["new/+"]), alarms()), filters(["g1/+/alarm", "new/+"]));
        assert_eq!(recall.end(WHILE), None, "there was no connection yet");
        recall.connected(WHILE);
        recall.disconnected();
        recall.connected(3 * WHILE);
        assert_eq!(recall.end(2 * WHILE), None, "the while begins anew with a connection");
        assert_eq!(recall.end(4 * WHILE), Some(filters(["new/+"])));
        assert!(recall.is_over());
        assert_eq!(recall.beside(filters(["newer/+"]), alarms()), filters(["newer/+"]));
    }
}
