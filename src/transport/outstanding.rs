//! Which packet on the wire is which publication. The client library tells only packet ids, in request order (trap M1).

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::outbox::EntryId;

/// The publications of one connection that the broker has not confirmed.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// Taken by the client library, without a packet id so far.
    requested: VecDeque<Sent>,
    /// Held by the client library until its packet id is free (trap M3).
    colliding: Option<(u16, Sent)>,
    on_wire: BTreeMap<u16, Sent>,
}

/// One publication at QoS 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// `None`: nobody asks after it.
    pub entry: Option<EntryId>,
    pub since: Duration,
}

impl Outstanding {
    /// The client library took it.
    pub fn requested(&mut self, sent: Sent) {
        self.requested.push_back(sent);
    }

    /// The client library gave the next one its packet id; it waits for that id to be free.
    pub fn collided(&mut self, packet: u16) {
        self.colliding = self.requested.pop_front().map(|sent| (packet, sent));
    }

    /// The next one, or the one that waited for this id, is on the wire.
    pub fn sent(&mut self, packet: u16) {
        let sent = match self.colliding.take() {
            Some((id, sent)) if id == packet => Some(sent),
            other => {
                self.colliding = other;
                self.requested.pop_front()
            }
        };
        if let Some(sent) = sent {
            self.on_wire.insert(packet, sent);
        }
    }

    /// The broker confirmed this packet; `None` if there is none such, as with a confirmation that comes twice.
    pub fn confirmed(&mut self, packet: u16) -> Option<Sent> {
        self.on_wire.remove(&packet)
    }

    /// Everything that is not confirmed, as the connection goes.
    pub fn take(&mut self) -> Vec<Sent> {
        let Outstanding { requested, colliding, on_wire } = std::mem::take(self);
        on_wire.into_values().chain(colliding.map(|(_, sent)| sent)).chain(requested).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Those that somebody asks after.
    pub fn tracked(&self) -> usize {
        self.all().filter(|sent| sent.entry.is_some()).count()
    }

    /// Since when the oldest one waits.
    pub fn oldest(&self) -> Option<Duration> {
        self.all().map(|sent| sent.since).min()
    }

    fn all(&self) -> impl Iterator<Item = &Sent> {
        self.requested.iter().chain(self.colliding.iter().map(|(_, sent)| sent)).chain(self.on_wire.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(entry: u64) -> Sent {
        Sent { entry: Some(EntryId(entry)), since: Duration::from_secs(entry) }
    }

    #[test]
    fn a_confirmation_frees_the_very_publication_that_had_the_packet_id() {
        let mut outstanding = Outstanding::default();
        [1, 2, 3].into_iter().for_each(|entry| outstanding.requested(sent(entry)));
        [7, 8].into_iter().for_each(|packet| outstanding.sent(packet));
        assert_eq!(outstanding.confirmed(8), Some(sent(2)));
        assert_eq!(outstanding.confirmed(8), None);
        assert_eq!(outstanding.take(), [sent(1), sent(3)]);
    }

    #[test]
    fn a_publication_that_waits_for_its_packet_id_is_not_mixed_up() {
        let mut outstanding = Outstanding::default();
        outstanding.requested(sent(1));
        outstanding.sent(1);
        outstanding.requested(sent(2));
        outstanding.collided(1);
        assert_eq!(outstanding.oldest(), Some(Duration::from_secs(1)));
        assert_eq!(outstanding.confirmed(1), Some(sent(1)));
        outstanding.sent(1);
        assert_eq!(outstanding.confirmed(1), Some(sent(2)));
        assert!(outstanding.is_empty());
    }
}
