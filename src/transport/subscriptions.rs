//! Which topic filters the broker has confirmed, and which it is to be asked for (traps M1 and M10).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{LinkEvent, Qos};

/// The topic filters of a link.
#[derive(Debug)]
pub(super) struct Subscriptions {
    filters: Vec<Filter>,
    requested: VecDeque<Asked>,
    on_wire: BTreeMap<u16, Asked>,
    /// No longer wanted; a session that the broker keeps may still have them.
    unwanted: Vec<String>,
    /// Unsubscriptions that wait for their answers, which come in the order of the questions.
    leaving: VecDeque<(String, Duration)>,
}

#[derive(Debug)]
struct Filter {
    wanted: (String, Qos),
    /// This session has it.
    confirmed: bool,
}

/// The filters of one SUBSCRIBE packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    filters: Vec<(String, Qos)>,
    since: Duration,
}

impl Subscriptions {
    pub fn new(wanted: Vec<(String, Qos)>, unwanted: Vec<String>) -> Self {
        let filters = wanted.into_iter().map(|wanted| Filter { wanted, confirmed: false }).collect();
        let (requested, on_wire, leaving) = Default::default();
        Subscriptions { filters, requested, on_wire, unwanted, leaving }
    }

    /// Wants these and no others from now on.
    pub fn want(&mut self, wanted: Vec<(String, Qos)>) {
        let before = std::mem::take(&mut self.filters);
        let had = |wanted: &(String, Qos)| before.iter().any(|had| had.wanted == *wanted && had.confirmed);
        self.filters = wanted.into_iter().map(|wanted| Filter { confirmed: had(&wanted), wanted }).collect();
        let is_wanted = |filter: &String| self.filters.iter().any(|wanted| wanted.wanted.0 == *filter);
        self.unwanted.extend(before.into_iter().map(|filter| filter.wanted.0));
        self.unwanted.retain(|filter| !is_wanted(filter));
    }

    /// What to ask for on a new connection: everything if the session is new, else what it does not have.
    pub fn missing(&mut self, session_present: bool) -> Vec<Vec<(String, Qos)>> {
        if !session_present {
            self.filters.iter_mut().for_each(|filter| filter.confirmed = false);
            self.unwanted.clear();
        }
        self.unasked()
    }

    /// What is wanted and was not asked for on this connection.
    pub fn unasked(&self) -> Vec<Vec<(String, Qos)>> {
        let asked = |wanted: &(String, Qos)| {
            self.requested.iter().chain(self.on_wire.values()).any(|asked| asked.filters.contains(wanted))
        };
        let missing = self.filters.iter().filter(|filter| !filter.confirmed && !asked(&filter.wanted));
        let missing: Vec<_> = missing.map(|filter| filter.wanted.clone()).collect();
        missing.chunks(AT_ONCE).map(<[_]>::to_vec).collect()
    }

    /// What this session may have and nobody wants, and was not asked to be ended on this connection.
    pub fn unwanted(&self) -> Vec<String> {
        let asked = |filter: &&String| self.leaving.iter().any(|(leaving, _)| leaving == *filter);
        self.unwanted.iter().filter(|filter| !asked(filter)).cloned().collect()
    }

    /// The client library took the next SUBSCRIBE packet of [`missing`](Subscriptions::missing).
    pub fn requested(&mut self, now: Duration, filters: &[(String, Qos)]) {
        self.requested.push_back(Asked { filters: filters.to_vec(), since: now });
    }

    /// The client library took an UNSUBSCRIBE packet.
    pub fn leaving(&mut self, now: Duration, filter: String) {
        self.leaving.push_back((filter, now));
    }

    /// The broker has ended the oldest of them.
    pub fn left(&mut self) {
        if let Some((left, _)) = self.leaving.pop_front() {
            self.unwanted.retain(|filter| *filter != left);
        }
    }

    /// The next one is on the wire.
    pub fn sent(&mut self, packet: u16) {
        if let Some(asked) = self.requested.pop_front() {
            self.on_wire.insert(packet, asked);
        }
    }

    /// The broker answered, filter by filter; `None` stands for a refusal.
    pub fn answered(&mut self, packet: u16, granted: &[Option<Qos>]) -> Vec<LinkEvent> {
        let Some(asked) = self.on_wire.remove(&packet) else { return Vec::new() };
        let answers = granted.iter().copied().chain(std::iter::repeat(None));
        let mut events = Vec::new();
        for ((filter, wanted), granted) in asked.filters.into_iter().zip(answers) {
            let asked = self.filters.iter_mut().find(|known| known.wanted.0 == filter && known.wanted.1 == wanted);
            // One that is no longer wanted is of no interest to anybody.
            let Some(asked) = asked else { continue };
            asked.confirmed = granted.is_some();
            match granted {
                None => events.push(LinkEvent::SubscriptionRefused { filter }),
                Some(granted) if granted < wanted => {
                    events.push(LinkEvent::SubscriptionDowngraded { filter, granted });
                }
                Some(_) => {}
            }
        }
        events
    }

    /// How many the broker has granted.
    pub fn granted(&self) -> usize {
        self.filters.iter().filter(|filter| filter.confirmed).count()
    }

    /// The connection is gone, and with it every question.
    pub fn lost(&mut self) {
        self.requested.clear();
        self.on_wire.clear();
        self.leaving.clear();
    }

    /// Since when the oldest question waits.
    pub fn oldest(&self) -> Option<Duration> {
        let asked = self.requested.iter().chain(self.on_wire.values()).map(|asked| asked.since);
        asked.chain(self.leaving.iter().map(|(_, since)| *since)).min()
    }
}

/// Some brokers take no more filters in one packet.
const AT_ONCE: usize = 8;
