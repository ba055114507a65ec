//! Which topic filters the broker has confirmed, and which it is to be asked for (traps M1 and M10).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{LinkEvent, Qos};

/// The topic filters of a link.
#[derive(Debug)]
pub(super) struct Subscriptions {
    filters: Vec<(String, Qos)>,
    /// By filter: this session has it.
    confirmed: Vec<bool>,
    requested: VecDeque<Asked>,
    on_wire: BTreeMap<u16, Asked>,
}

/// The filters of one SUBSCRIBE packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    filters: Vec<usize>,
    since: Duration,
}

impl Subscriptions {
    pub fn new(filters: Vec<(String, Qos)>) -> Self {
        let confirmed = vec![false; filters.len()];
        Subscriptions { filters, confirmed, requested: VecDeque::new(), on_wire: BTreeMap::new() }
    }

    /// What to ask for on a new connection: everything if the session is new, else what it does not have.
    pub fn missing(&mut self, session_present: bool) -> Vec<Vec<(String, Qos)>> {
        if !session_present {
            self.confirmed.fill(false);
        }
        self.chunks().into_iter().map(|chunk| chunk.into_iter().map(|ix| self.filters[ix].clone()).collect()).collect()
    }

    /// The client library took the next SUBSCRIBE packet of [`missing`](Subscriptions::missing).
    pub fn requested(&mut self, now: Duration, filters: &[(String, Qos)]) {
        let position = |wanted: &(String, Qos)| self.filters.iter().position(|filter| filter == wanted);
        let filters = filters.iter().filter_map(position).collect();
        self.requested.push_back(Asked { filters, since: now });
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
        for (ix, granted) in asked.filters.into_iter().zip(answers) {
            let (filter, wanted) = self.filters[ix].clone();
            self.confirmed[ix] = granted.is_some();
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
        self.confirmed.iter().filter(|confirmed| **confirmed).count()
    }

    /// The connection is gone, and with it every question.
    pub fn lost(&mut self) {
        self.requested.clear();
        self.on_wire.clear();
    }

    /// Since when the oldest question waits.
    pub fn oldest(&self) -> Option<Duration> {
        self.requested.iter().chain(self.on_wire.values()).map(|asked| asked.since).min()
    }

    fn chunks(&self) -> Vec<Vec<usize>> {
        let missing: Vec<_> = (0..self.filters.len()).filter(|ix| !self.confirmed[*ix]).collect();
        missing.chunks(AT_ONCE).map(<[usize]>::to_vec).collect()
    }
}

/// Some brokers take no more filters in one packet.
const AT_ONCE: usize = 8;
