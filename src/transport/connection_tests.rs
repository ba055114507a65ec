//! The state machine against a model broker, without sockets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn options() -> LinkOptions {
    let mut options = LinkOptions::new("broker", 1883, "g1");
    options.inflight = 8;
    options.subscriptions = vec![("a/#".into(), Qos::AtLeastOnce), ("b".into(), Qos::AtMostOnce)];
    options
}

fn publication() -> Publication {
    Publication { topic: "t".into(), payload: vec![1], retain: false }
}

fn inbound(packet: u16, qos: Qos) -> Inbound {
    Inbound { topic: "a/b".into(), payload: Bytes::from_static(b"1"), retain: false, dup: false, qos, packet }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn events(connection: &mut Connection) -> Vec<LinkEvent> {
    std::iter::from_fn(|| connection.next_event()).collect()
}

fn offered(connection: &mut Connection, now: Duration) -> Vec<Request> {
    let mut requests = Vec::new();
    connection.offer(now, |request| {
        requests.push(request.clone());
        true
    });
    requests
}

fn online(connection: &mut Connection, now: Duration, session_present: bool) -> Vec<Request> {
    connection.attempt();
    connection.connected(now, session_present);
    offered(connection, now)
}

#[test]
fn an_acknowledgement_of_an_earlier_connection_is_never_sent() {
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), false);
    connection.message(inbound(7, Qos::AtLeastOnce));
    let Some(LinkEvent::Message { ack: Some(token), .. }) = events(&mut connection).pop() else { panic!("no token") };
    connection.lost(at(1), Fault::HungUp, 0.5);
    online(&mut connection, at(2), true);
    connection.ack(token);
    assert_eq!(offered(&mut connection, at(2)), []);
    assert_eq!(connection.metrics().acks_stale, 1);
}

#[test]
fn an_acknowledgement_that_finds_no_room_is_offered_again() {
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), false);
    for packet in [1, 2] {
        connection.message(inbound(packet, Qos::AtLeastOnce));
    }
    for event in events(&mut connection) {
        if let LinkEvent::Message { ack: Some(token), .. } = event {
            connection.ack(token);
        }
    }
    connection.offer(at(0), |_| false);
    let again = offered(&mut connection, at(0));
    assert_eq!(again, [1, 2].map(|packet| Request::Ack { packet, exactly_once: false }));
}

#[test]
fn messages_left_by_a_dead_connection_are_delivered_without_a_token_only_if_the_session_is_gone() {
    for session_present in [false, true] {
        let mut connection = Connection::new(&options());
        online(&mut connection, at(0), false);
        connection.message_left(inbound(3, Qos::AtLeastOnce));
        connection.lost(at(1), Fault::HungUp, 0.5);
        events(&mut connection);
        online(&mut connection, at(2), session_present);
        let delivered = events(&mut connection);
        let left = delivered.iter().filter(|event| matches!(event, LinkEvent::Message { ack: None, .. })).count();
        assert_eq!(left, usize::from(!session_present), "{delivered:?}");
    }
}

#[test]
fn subscriptions_are_renewed_when_the_session_is_gone_and_only_then() {
    let mut connection = Connection::new(&options());
    let first = online(&mut connection, at(0), true);
    assert!(matches!(&first[..], [Request::Subscribe(filters)] if filters.len() == 2), "the first start asks for all");
    connection.subscription_sent(1);
    connection.subscription_answered(1, &[Some(Qos::AtLeastOnce), Some(Qos::AtMostOnce)]);
    connection.lost(at(1), Fault::HungUp, 0.5);
    assert_eq!(online(&mut connection, at(2), true), []);
    connection.lost(at(3), Fault::HungUp, 0.5);
    assert!(matches!(&online(&mut connection, at(4), false)[..], [Request::Subscribe(_)]));
}

#[test]
fn other_filters_on_a_running_link_are_asked_for_and_old_ones_ended_on_whichever_connection_comes() {
    let wanted = |filter: &str| (filter.to_owned(), Qos::AtLeastOnce);
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), false);
    connection.subscription_sent(1);
    connection.subscription_answered(1, &[Some(Qos::AtLeastOnce), Some(Qos::AtMostOnce)]);
    connection.listen(vec![wanted("a/#"), wanted("c")]);
    let (end, ask) = (Request::Unsubscribe("b".into()), Request::Subscribe(vec![wanted("c")]));
    assert_eq!(offered(&mut connection, at(1)), [end.clone(), ask.clone()]);
    connection.lost(at(2), Fault::HungUp, 0.5);
    assert_eq!(online(&mut connection, at(3), true), [end, ask], "without an answer they are asked again");
    connection.unsubscription_answered();
    connection.subscription_sent(2);
    connection.subscription_answered(2, &[Some(Qos::AtLeastOnce)]);
    connection.lost(at(4), Fault::HungUp, 0.5);
    assert_eq!(online(&mut connection, at(5), true), []);
}

#[test]
fn what_an_earlier_run_left_in_the_session_is_ended() {
    let mut connection = Connection::new(&LinkOptions { unwanted: vec!["old/#".into()], ..options() });
    assert_eq!(online(&mut connection, at(0), true)[0], Request::Unsubscribe("old/#".into()));
    let mut connection = Connection::new(&LinkOptions { unwanted: vec!["old/#".into()], ..options() });
    assert!(matches!(online(&mut connection, at(0), false)[..], [Request::Subscribe(_)]), "a new session has none");
}

#[test]
fn a_refused_or_downgraded_subscription_is_told_and_a_refused_one_asked_for_again() {
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), false);
    events(&mut connection);
    connection.subscription_sent(1);
    connection.subscription_answered(1, &[Some(Qos::AtMostOnce), None]);
    assert_eq!(connection.metrics().subscribed, 1);
    let told = events(&mut connection);
    let downgraded = LinkEvent::SubscriptionDowngraded { filter: "a/#".into(), granted: Qos::AtMostOnce };
    assert_eq!(told, [downgraded, LinkEvent::SubscriptionRefused { filter: "b".into() }]);
    connection.lost(at(1), Fault::HungUp, 0.5);
    let asked = online(&mut connection, at(2), true);
    assert_eq!(asked, [Request::Subscribe(vec![("b".into(), Qos::AtMostOnce)])]);
}

#[test]
fn a_publication_or_subscription_without_an_answer_ends_the_connection() {
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), false);
    assert_eq!(connection.overdue(at(19)), None);
    assert_eq!(connection.deadline(), Some(at(20)));
    assert_eq!(connection.overdue(at(20)), Some(Fault::NoProgress));
    connection.subscription_sent(1);
    connection.subscription_answered(1, &[Some(Qos::AtLeastOnce), Some(Qos::AtMostOnce)]);
    assert_eq!(connection.overdue(at(99)), None);
    connection.publish_tracked(EntryId(1), publication());
    offered(&mut connection, at(100));
    assert_eq!(connection.overdue(at(120)), Some(Fault::NoProgress));
}

#[test]
fn publications_beyond_half_the_window_are_handed_back_at_once() {
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), false);
    events(&mut connection);
    for entry in 1..=5 {
        connection.publish_tracked(EntryId(entry), publication());
    }
    assert_eq!(connection.metrics().outstanding, 4);
    assert_eq!(events(&mut connection), [LinkEvent::Lost(vec![EntryId(5)])]);
}

#[test]
fn a_client_id_that_two_clients_use_is_named_and_the_wait_grows() {
    let mut connection = Connection::new(&options());
    let mut told = None;
    for attempt in 1..=4 {
        online(&mut connection, at(attempt * 10), true);
        connection.lost(at(attempt * 10), Fault::HungUp, 0.5);
        told = events(&mut connection).into_iter().find(|event| matches!(event, LinkEvent::ClientIdContested { .. }));
        assert_eq!(told.is_some(), attempt == 4);
    }
    assert!(matches!(told, Some(LinkEvent::ClientIdContested { reason }) if reason.contains("\"g1\"")));
    assert!(connection.deadline() >= Some(at(70)));
}

#[test]
fn a_client_that_comes_once_leaves_no_session_behind_however_often_it_connects() {
    let mut connection = Connection::new(&LinkOptions { keep_session: false, ..options() });
    for attempt in 0..3 {
        assert!(connection.attempt().clean_session);
        connection.connected(at(attempt), false);
        assert!(matches!(&offered(&mut connection, at(attempt))[..], [Request::Subscribe(_)]));
        connection.lost(at(attempt), Fault::HungUp, 0.5);
    }
}

#[test]
fn a_message_that_breaks_three_connections_costs_the_session_and_no_more() {
    let mut connection = Connection::new(&options());
    for attempt in 0..3 {
        online(&mut connection, at(attempt), true);
        connection.lost(at(attempt), Fault::Unreadable(Unreadable::OverLimit(9_000_000)), 0.5);
    }
    assert!(events(&mut connection).iter().any(|event| matches!(event, LinkEvent::SessionDropped { .. })));
    assert!(connection.attempt().clean_session);
    connection.connected(at(4), false);
    assert_eq!(offered(&mut connection, at(4)), [Request::Disconnect]);
    connection.farewell_sent(at(4));
    assert_eq!(connection.deadline(), Some(at(4)), "and then at once back");
    assert!(!connection.attempt().clean_session);
    assert_eq!(events(&mut connection), [], "the consumer hears nothing of that connection");
}

#[test]
fn an_oversize_message_is_told_and_can_be_acknowledged() {
    let mut connection = Connection::new(&LinkOptions { max_payload: 10, ..options() });
    online(&mut connection, at(0), false);
    connection.message(Inbound { payload: vec![0; 11].into(), ..inbound(9, Qos::AtLeastOnce) });
    let Some(LinkEvent::Oversize { size: 11, ack: Some(token), .. }) = events(&mut connection).pop() else {
        panic!("not told")
    };
    connection.ack(token);
    assert_eq!(offered(&mut connection, at(0)), [Request::Ack { packet: 9, exactly_once: false }]);
}

#[test]
fn a_farewell_waits_for_confirmations_but_not_for_ever() {
    for confirmed in [true, false] {
        let mut connection = Connection::new(&LinkOptions { subscriptions: Vec::new(), ..options() });
        online(&mut connection, at(0), false);
        connection.publish_tracked(EntryId(1), publication());
        offered(&mut connection, at(0));
        connection.publication_sent(1);
        connection.close(at(0));
        assert_eq!(offered(&mut connection, at(0)), []);
        let mut now = at(0);
        if confirmed {
            connection.publication_confirmed(1);
        } else {
            now = at(1);
        }
        assert_eq!(offered(&mut connection, now), [Request::Disconnect]);
        connection.farewell_sent(now);
        assert!(connection.is_closed());
        let told = events(&mut connection);
        let lost = LinkEvent::Lost(vec![EntryId(1)]);
        let expected = if confirmed { LinkEvent::Acknowledged(EntryId(1)) } else { lost };
        assert_eq!(told.last(), Some(&expected));
    }
}

#[test]
fn what_found_no_room_before_the_farewell_is_handed_back() {
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), true);
    events(&mut connection);
    connection.publish_tracked(EntryId(1), publication());
    connection.close(at(0));
    connection.offer(at(0), |_| false);
    assert_eq!(offered(&mut connection, at(1)), [Request::Disconnect]);
    connection.farewell_sent(at(1));
    assert_eq!(events(&mut connection), [LinkEvent::Lost(vec![EntryId(1)])]);
    assert_eq!(connection.take_released().tracked, 1);
}

#[derive(Clone, Debug)]
enum Step {
    Publish,
    PublishNow,
    /// Take at most so many requests.
    Offer(usize),
    /// The library's report on the oldest request that it took.
    Sent,
    Confirm(usize),
    Message,
    Ack(usize),
    Break {
        poison: bool,
    },
    Connect {
        session_present: bool,
    },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Publish),
        1 => Just(Step::PublishNow),
        4 => (1usize..5).prop_map(Step::Offer),
        4 => Just(Step::Sent),
        4 => (0usize..8).prop_map(Step::Confirm),
        3 => Just(Step::Message),
        3 => (0usize..8).prop_map(Step::Ack),
        1 => any::<bool>().prop_map(|poison| Step::Break { poison }),
        2 => any::<bool>().prop_map(|session_present| Step::Connect { session_present }),
        1 => (0u64..40).prop_map(Step::Wait),
    ]
}

/// What the test knows of the world around the machine.
#[derive(Default)]
struct World {
    /// Requests that the library took and has not reported.
    taken: VecDeque<Option<EntryId>>,
    /// Publications on the wire, by packet id.
    wire: BTreeMap<u16, Option<EntryId>>,
    next_packet: u16,
    /// Given to the machine, nothing heard since.
    given: BTreeSet<EntryId>,
    /// Messages of the present connection that are not acknowledged.
    open: BTreeSet<u16>,
    tokens: Vec<AckToken>,
    confirmed: BTreeSet<EntryId>,
}

impl World {
    fn hear(&mut self, connection: &mut Connection) -> Result<(), TestCaseError> {
        for event in events(connection) {
            match event {
                LinkEvent::Acknowledged(entry) => {
                    prop_assert!(self.confirmed.contains(&entry), "{entry} was not confirmed");
                    prop_assert!(self.given.remove(&entry), "{entry} answered twice");
                }
                LinkEvent::Lost(entries) => {
                    for entry in entries {
                        prop_assert!(self.given.remove(&entry), "{entry} answered twice");
                    }
                }
                LinkEvent::Message { ack: Some(token), .. } => self.tokens.push(token),
                _ => {}
            }
        }
        prop_assert!(connection.metrics().outstanding <= 4);
        prop_assert_eq!(
            connection.metrics().outstanding,
            self.given.len(),
            "an entry is neither on its way nor answered"
        );
        Ok(())
    }

    fn forget_connection(&mut self) {
        (self.taken, self.wire, self.open) = Default::default();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_no_entry_is_forgotten_and_no_packet_wrongly_acknowledged(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut connection = Connection::new(&LinkOptions { subscriptions: Vec::new(), ..options() });
        let (mut world, mut now, mut entry) = (World::default(), Duration::ZERO, 0);
        for step in steps {
            match step {
                Step::Publish => {
                    entry += 1;
                    world.given.insert(EntryId(entry));
                    connection.publish_tracked(EntryId(entry), publication());
                }
                Step::PublishNow => connection.publish_now(publication(), Qos::AtLeastOnce),
                Step::Offer(mut room) => {
                    let mut wrong = None;
                    let mut left = false;
                    connection.offer(now, |request| {
                        if room == 0 {
                            return false;
                        }
                        room -= 1;
                        match request {
                            Request::Publish { entry, .. } => world.taken.push_back(*entry),
                            Request::Ack { packet, .. } if !world.open.remove(packet) => wrong = Some(*packet),
                            Request::Disconnect => left = true,
                            Request::Ack { .. } | Request::Subscribe(_) | Request::Unsubscribe(_) => {}
                        }
                        true
                    });
                    prop_assert_eq!(wrong, None, "acknowledged a packet that is not open on this connection");
                    if left {
                        connection.farewell_sent(now);
                        world.forget_connection();
                    }
                }
                Step::Sent => if let Some(entry) = world.taken.pop_front() {
                    world.next_packet = world.next_packet % 60_000 + 1;
                    world.wire.insert(world.next_packet, entry);
                    connection.publication_sent(world.next_packet);
                },
                Step::Confirm(nth) => if let Some(packet) = world.wire.keys().nth(nth).copied() {
                    world.confirmed.extend(world.wire.remove(&packet).flatten());
                    connection.publication_confirmed(packet);
                    // And once more, as some brokers do.
                    connection.publication_confirmed(packet);
                },
                Step::Message => if matches!(connection.phase, Phase::Online { .. }) {
                    // The lowest free packet id, so that ids are used again as soon as may be.
                    let packet = (1..).find(|packet| !world.open.contains(packet)).unwrap_or(1);
                    world.open.insert(packet);
                    connection.message(inbound(packet, Qos::AtLeastOnce));
                },
                Step::Ack(nth) => if nth < world.tokens.len() {
                    connection.ack(world.tokens.swap_remove(nth));
                },
                Step::Break { poison } => if !connection.is_waiting() {
                    let over = Fault::Unreadable(Unreadable::OverLimit(9_000_000));
                    connection.lost(now, if poison { over } else { Fault::HungUp }, 0.5);
                    world.forget_connection();
                },
                Step::Connect { session_present } => if connection.is_waiting() {
                    now = now.max(connection.deadline().unwrap_or(now));
                    let attempt = connection.attempt();
                    connection.connected(now, session_present && !attempt.clean_session);
                },
                Step::Wait(seconds) => {
                    now += at(seconds);
                    if let Some(fault) = connection.overdue(now) {
                        connection.lost(now, fault, 0.5);
                        world.forget_connection();
                    }
                }
            }
            world.hear(&mut connection)?;
        }
        if !connection.is_waiting() {
            connection.lost(now, Fault::HungUp, 0.5);
        }
        world.hear(&mut connection)?;
        prop_assert!(world.given.is_empty(), "never answered: {:?}", world.given);
    }
}

#[test]
fn new_certificates_end_a_connection_with_a_farewell_and_bring_another_one() {
    let [confirmed, unconfirmed, late] = [1, 2, 3].map(EntryId);
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), false);
    for (packet, entry) in [(1, confirmed), (2, unconfirmed)] {
        connection.publish_tracked(entry, publication());
        offered(&mut connection, at(11));
        connection.publication_sent(packet);
    }
    connection.renew(at(11));
    assert_eq!(offered(&mut connection, at(11)), [], "what is on its way is waited for");
    connection.publish_tracked(late, publication());
    connection.publication_confirmed(1);
    assert_eq!(connection.deadline(), Some(at(12)));
    assert_eq!(offered(&mut connection, at(12)), [Request::Disconnect]);
    assert_eq!(offered(&mut connection, at(12)), [], "and nothing comes after it");
    events(&mut connection);
    connection.farewell_sent(at(12));
    assert!(connection.is_waiting() && connection.deadline().unwrap() < at(13));
    assert_eq!(
        events(&mut connection),
        [
            LinkEvent::Lost(vec![unconfirmed]),
            LinkEvent::Disconnected { reason: "connecting anew with new certificates".to_owned() },
        ]
    );
    online(&mut connection, at(13), true);
    assert!(!connection.is_closed());
    connection.publish_tracked(late, publication());
    assert_eq!(offered(&mut connection, at(13)).len(), 1, "publications are taken again");
    assert_eq!(connection.metrics().certificates_renewed, 1);
}

#[test]
fn an_end_that_is_asked_for_during_a_renewal_is_an_end() {
    let mut connection = Connection::new(&options());
    online(&mut connection, at(0), false);
    connection.renew(at(11));
    connection.close(at(11));
    assert_eq!(offered(&mut connection, at(11)), [Request::Disconnect]);
    connection.farewell_sent(at(11));
    assert!(connection.is_closed());
}
