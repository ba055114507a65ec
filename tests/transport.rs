//! The link against a broker that misbehaves (traps M1 to M13 of rumqttc 0.25.1, each provoked), and against a real one
//! that is stopped and killed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use wheeltapper::{
    outbox::{EntryId, Limits, Outbox, Publication},
    transport::{Link, LinkEvent, LinkEvents, LinkHandle, LinkOptions, OptionsError, Qos, Refusal},
};

#[path = "support/scripted_broker/real_broker.rs"]
mod real_broker;
#[path = "support/scripted_broker/mod.rs"]
mod scripted_broker;

use scripted_broker::{Script, ScriptedBroker, publish};

struct Rig {
    broker: ScriptedBroker,
    handle: LinkHandle,
    events: LinkEvents,
    ids: Vec<EntryId>,
}

impl Rig {
    async fn start(script: Script, change: impl FnOnce(&mut LinkOptions)) -> Rig {
        let broker = ScriptedBroker::start(script).await;
        let mut options = LinkOptions::new("127.0.0.1", broker.address.port(), "wheeltapper-test");
        options.subscriptions = vec![("plant/#".into(), Qos::AtLeastOnce)];
        options.inflight = 8;
        change(&mut options);
        let (handle, events) = Link::start(options).expect("the options are sound");
        Rig { broker, handle, events, ids: entry_ids(200) }
    }

    /// Connected and subscribed.
    async fn online(script: Script, change: impl FnOnce(&mut LinkOptions)) -> Rig {
        let mut rig = Rig::start(script, change).await;
        rig.connected().await;
        rig.broker.until("a subscription", |seen| !seen.subscribes.is_empty()).await;
        rig
    }

    async fn next(&mut self) -> LinkEvent {
        timeout(Duration::from_secs(20), self.events.recv())
            .await
            .expect("an event within 20 s")
            .expect("the link lives")
    }

    /// Skips events until one is of interest.
    async fn find<T>(&mut self, wanted: impl Fn(LinkEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    async fn connected(&mut self) -> bool {
        self.find(|event| match event {
            LinkEvent::Connected { session_present } => Some(session_present),
            _ => None,
        })
        .await
    }

    fn publish(&self, nth: usize) -> Result<(), Refusal> {
        self.handle.publish_tracked(self.ids[nth], message(nth))
    }
}

fn message(nth: usize) -> Publication {
    Publication { topic: "out".into(), payload: nth.to_string().into_bytes(), retain: false }
}

/// Entry ids come from an outbox and from nowhere else.
fn entry_ids(count: u64) -> Vec<EntryId> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut outbox, _) = Outbox::open(dir.path(), Limits::default()).expect("an empty directory");
    let append = |seq| outbox.append(jiff::Timestamp::now(), "m", seq, &[message(0)]).expect("a sound transition");
    (1..=count).flat_map(append).collect()
}

#[tokio::test]
async fn m1_what_was_on_its_way_is_handed_back_and_subscriptions_are_renewed_when_the_session_is_lost() {
    let mut rig = Rig::online(Script { withhold_pubacks: 4, ..Script::default() }, |_| ()).await;
    for nth in 0..4 {
        rig.publish(nth).expect("there is room");
    }
    rig.broker.until("4 publications", |seen| seen.publishes.len() == 4).await;
    rig.broker.hang_up();
    let lost = rig.find(|event| if let LinkEvent::Lost(ids) = event { Some(ids) } else { None }).await;
    assert_eq!(lost, rig.ids[..4]);
    assert!(!rig.connected().await);
    rig.broker
        .until("a second subscription", |seen| seen.subscribes.iter().any(|(connection, _)| *connection == 2))
        .await;
    for nth in 0..4 {
        rig.publish(nth).expect("there is room again");
        let expected = rig.ids[nth];
        assert_eq!(rig.next().await, LinkEvent::Acknowledged(expected));
    }
    // M4: re-sent packets do not say DUP; readers must go by id and seq, which stay the same.
    let seen = rig.broker.seen();
    assert!(seen.publishes.iter().all(|(_, published)| !published.dup));
    let payloads =
        |connection| seen.publishes.iter().filter(move |(at, _)| *at == connection).map(|(_, p)| p.payload.clone());
    assert!(payloads(1).eq(payloads(2)));
}

#[tokio::test]
async fn m1_a_publication_that_races_with_the_loss_is_handed_back_too() {
    let mut rig = Rig::online(Script::default(), |_| ()).await;
    let (mut given, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..20 {
        while rig.handle.room() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for nth in round * 4..round * 4 + 4 {
            if rig.publish(nth).is_ok() {
                given.insert(rig.ids[nth]);
            }
            // Three times: a fourth in so short a time would look like a contested client id.
            if nth % 4 == 1 && round % 7 == 0 {
                rig.broker.hang_up();
            }
        }
        while given != answered {
            match rig.next().await {
                LinkEvent::Acknowledged(id) => assert!(answered.insert(id)),
                LinkEvent::Lost(ids) => ids.into_iter().for_each(|id| assert!(answered.insert(id))),
                _ => {}
            }
        }
    }
    assert!(given.len() > 60, "{}", given.len());
}

#[tokio::test]
async fn m2_messages_buffered_from_a_dead_connection_are_never_acknowledged_on_the_next_one() {
    for session_present in [true, false] {
        let mut rig = Rig::online(Script { session_present, ..Script::default() }, |_| ()).await;
        rig.broker.send((1..=3).flat_map(|packet| publish("plant/m", &[0], 1, packet)).collect());
        let mut tokens = Vec::new();
        while tokens.len() < 3 {
            tokens.extend(
                rig.find(|event| if let LinkEvent::Message { ack, .. } = event { Some(ack) } else { None }).await,
            );
        }
        // Five more in one piece with something that is no packet: they are read, and the connection breaks at once.
        let burst = (4..=8).flat_map(|packet| publish("plant/m", &[packet as u8], 1, packet));
        rig.broker.send(burst.chain([0xf0, 1, 0]).collect());
        assert_eq!(rig.connected().await, session_present);
        tokens.into_iter().for_each(|token| rig.handle.ack(token));
        let mut left = 0;
        while let Ok(event) = timeout(Duration::from_millis(300), rig.events.recv()).await {
            assert!(matches!(event, Some(LinkEvent::Message { ack: None, .. })), "{event:?}");
            left += 1;
        }
        assert_eq!(
            left,
            if session_present { 0 } else { 5 },
            "the broker brings them again only if it kept the session"
        );
        assert_eq!(rig.broker.seen().pubacks, []);
    }
}

#[tokio::test]
async fn m3_a_packet_id_that_stays_taken_does_not_stop_the_link() {
    let quick = |options: &mut LinkOptions| {
        options.inflight = 4;
        options.no_progress = Duration::from_secs(1);
    };
    let mut rig = Rig::online(Script { withhold_pubacks: 1, ..Script::default() }, quick).await;
    let mut open: BTreeSet<EntryId> = BTreeSet::new();
    let mut queue: Vec<usize> = (0..12).rev().collect();
    let mut confirmed = BTreeSet::new();
    while confirmed.len() < 12 {
        while rig.handle.room() > 0
            && let Some(nth) = queue.pop()
        {
            match rig.publish(nth) {
                Ok(()) => _ = open.insert(rig.ids[nth]),
                Err(_) => {
                    queue.push(nth);
                    break;
                }
            }
        }
        match rig.next().await {
            LinkEvent::Acknowledged(id) => _ = confirmed.insert(id),
            LinkEvent::Lost(ids) => {
                queue.extend(ids.into_iter().filter_map(|id| rig.ids.iter().position(|known| *known == id)));
            }
            _ => {}
        }
    }
    assert_eq!(rig.handle.metrics().no_progress, 1);
}

#[tokio::test]
async fn m5_nothing_is_published_at_qos_2() {
    let mut rig = Rig::online(Script::default(), |_| ()).await;
    rig.handle.publish_now(message(1), Qos::ExactlyOnce).expect("there is room");
    rig.handle.publish_now(message(2), Qos::AtMostOnce).expect("there is room");
    rig.publish(3).expect("there is room");
    rig.find(|event| matches!(event, LinkEvent::Acknowledged(_)).then_some(())).await;
    let levels: Vec<_> = rig.broker.seen().publishes.iter().map(|(_, published)| published.qos).collect();
    assert_eq!(levels, [1, 0, 1]);
}

#[tokio::test]
async fn m6_at_most_half_the_window_is_on_its_way() {
    let rig = Rig::online(Script { withhold_pubacks: 100, ..Script::default() }, |_| ()).await;
    let taken = (0..100).filter(|nth| rig.publish(*nth).is_ok()).count();
    assert_eq!(taken, 4);
    assert!(matches!(rig.publish(5), Err(Refusal::Full(publication)) if publication == message(5)));
    rig.broker.until("4 publications", |seen| seen.publishes.len() == 4).await;
    assert_eq!(rig.handle.metrics().outstanding, 4);
}

#[tokio::test]
async fn m7_a_broker_that_hangs_up_is_not_stormed_and_the_contested_client_id_is_named() {
    let mut rig = Rig::start(Script { hang_up_at_once: true, ..Script::default() }, |_| ()).await;
    let reason =
        rig.find(|event| if let LinkEvent::ClientIdContested { reason } = event { Some(reason) } else { None }).await;
    assert!(reason.contains("wheeltapper-test"), "{reason}");
    let connects = rig.broker.seen().connects;
    assert_eq!(connects.len(), 4);
    let gaps: Vec<_> = connects.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(gaps.iter().all(|gap| *gap > Duration::from_millis(900)), "{gaps:?}");
}

#[tokio::test]
async fn m7_a_frozen_broker_is_found_within_twice_the_keep_alive() {
    let mut rig = Rig::online(Script::default(), |options| options.keep_alive = Duration::from_secs(1)).await;
    assert_eq!(LinkOptions::new("h", 1, "c").keep_alive, Duration::from_secs(7), "so that 15 s are kept by default");
    assert_eq!(rig.broker.seen().connects[0].keep_alive, 1);
    rig.broker.now(|script| script.frozen = true);
    let since = Instant::now();
    let reason =
        rig.find(|event| if let LinkEvent::Disconnected { reason } = event { Some(reason) } else { None }).await;
    assert!(since.elapsed() < Duration::from_millis(2_500), "{:?}", since.elapsed());
    assert!(reason.contains("ping"), "{reason}");
}

#[tokio::test]
async fn m7_a_broker_that_comes_back_within_seconds_is_used_within_one() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let (handle, mut events) = Link::start(LinkOptions::new("127.0.0.1", port, "g1")).expect("sound options");
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still free");
    let back = Instant::now();
    let (mut stream, _) = listener.accept().await.expect("a connection");
    assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[0x20, 2, 0, 0]).await.expect("the client reads");
    loop {
        match events.recv().await {
            Some(LinkEvent::Unreachable { reason, .. }) => assert!(reason.contains("127.0.0.1"), "{reason}"),
            event => break assert_eq!(event, Some(LinkEvent::Connected { session_present: false })),
        }
    }
    assert!(handle.metrics().attempts <= 5);
}

#[tokio::test]
async fn m8_bad_options_are_refused_and_never_panic() {
    let mut options = LinkOptions::new("localhost", 1883, "g1");
    options.keep_alive = Duration::from_millis(10);
    assert!(matches!(Link::start(options), Err(OptionsError::KeepAlive(_))));
    let mut options = LinkOptions::new("localhost", 1883, "g1");
    options.inflight = 0;
    assert!(matches!(Link::start(options), Err(OptionsError::Inflight(0))));
    assert!(matches!(Link::start(LinkOptions::new("localhost", 1883, "")), Err(OptionsError::ClientId(_))));
}

#[tokio::test]
async fn m9_a_message_of_a_megabyte_is_told_acknowledged_and_followed_by_the_next() {
    let mut rig = Rig::online(Script::default(), |options| options.max_payload = 10_000).await;
    rig.broker.send(publish("plant/a", &vec![b'x'; 1 << 20], 1, 1));
    rig.broker.send(publish("plant/b", b"1", 1, 2));
    let LinkEvent::Oversize { size, ack: Some(token), .. } = rig.next().await else { panic!("not told") };
    assert_eq!(size, 1 << 20);
    rig.handle.ack(token);
    let LinkEvent::Message { topic, ack: Some(token), .. } = rig.next().await else { panic!("not delivered") };
    assert_eq!(topic, "plant/b");
    rig.handle.ack(token);
    rig.broker.until("both acknowledged", |seen| seen.pubacks == [(1, 1), (1, 2)]).await;
    assert_eq!(rig.broker.seen().connects.len(), 1);
}

#[tokio::test]
async fn m9_a_queued_giant_costs_the_session_and_less_than_five_seconds() {
    let giant = publish("plant/a", &vec![b'x'; 3 << 20], 1, 1);
    let mut rig = Rig::start(Script { session_present: true, queued: giant, ..Script::default() }, |_| ()).await;
    let since = Instant::now();
    rig.find(|event| matches!(event, LinkEvent::SessionDropped { .. }).then_some(())).await;
    rig.broker.until("a new session", |seen| seen.connects.len() == 5 && seen.connects[3].clean_session).await;
    rig.connected().await;
    rig.broker.until("a subscription", |seen| seen.subscribes.iter().any(|(connection, _)| *connection == 5)).await;
    rig.broker.send(publish("plant/b", b"1", 0, 0));
    rig.find(|event| matches!(event, LinkEvent::Message { topic, .. } if topic == "plant/b").then_some(())).await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(!rig.broker.seen().connects[4].clean_session);
    assert_eq!(rig.handle.metrics().sessions_dropped, 1);
}

#[tokio::test]
async fn m9_a_retained_giant_is_let_pass_in_the_end() {
    let giant = publish("plant/a", &vec![b'x'; 3 << 20], 0, 0);
    let mut rig = Rig::start(Script { retained: giant, ..Script::default() }, |_| ()).await;
    let size = rig.find(|event| if let LinkEvent::Oversize { size, .. } = event { Some(size) } else { None }).await;
    assert_eq!(size, 3 << 20);
    rig.broker.send(publish("plant/b", b"1", 0, 0));
    rig.find(|event| matches!(event, LinkEvent::Message { .. }).then_some(())).await;
    let metrics = rig.handle.metrics();
    assert_eq!((metrics.sessions_dropped, metrics.limit_raised), (1, 1));
}

#[tokio::test]
async fn m10_a_refused_and_a_downgraded_subscription_are_told() {
    let two = |options: &mut LinkOptions| {
        options.subscriptions = vec![("plant/#".into(), Qos::AtLeastOnce), ("cmd/+".into(), Qos::AtLeastOnce)];
    };
    let mut rig = Rig::start(Script { suback: Some(vec![0, 0x80]), ..Script::default() }, two).await;
    rig.connected().await;
    let downgraded = LinkEvent::SubscriptionDowngraded { filter: "plant/#".into(), granted: Qos::AtMostOnce };
    assert_eq!(rig.next().await, downgraded);
    assert_eq!(rig.next().await, LinkEvent::SubscriptionRefused { filter: "cmd/+".into() });
}

#[tokio::test]
async fn m12_every_acknowledgement_arrives_however_many_come_at_once() {
    let mut rig = Rig::online(Script::default(), |options| options.queue = 4).await;
    rig.broker.send((1..=500).flat_map(|packet| publish("plant/m", b"1", 1, packet)).collect());
    for _ in 0..5 {
        let mut tokens = Vec::new();
        while tokens.len() < 100 {
            if let LinkEvent::Message { ack: Some(token), .. } = rig.next().await {
                tokens.push(token);
            }
        }
        // The way out is full, so the library takes nothing meanwhile: more pile up than its channel holds.
        tokens.into_iter().for_each(|token| rig.handle.ack(token));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.broker.until("500 acknowledgements", |seen| seen.pubacks.len() == 500).await;
    let acked: BTreeSet<_> = rig.broker.seen().pubacks.into_iter().collect();
    assert_eq!(acked.len(), 500);
    assert_eq!(rig.broker.seen().connects.len(), 1);
}

#[tokio::test]
async fn m13_a_consumer_that_pauses_holds_the_broker_back_loses_nothing_and_can_still_publish() {
    let mut rig = Rig::online(Script::default(), |options| options.queue = 2).await;
    rig.broker.send((1..=300).flat_map(|packet| publish("plant/m", &[0; 2_000], 1, packet)).collect());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(rig.handle.metrics().received < 50, "it has stopped reading: {:?}", rig.handle.metrics());
    for nth in 0..4 {
        rig.publish(nth).expect("a full way out does not stop the way in");
    }
    let (mut received, mut confirmed) = (0, 0);
    while received < 300 || confirmed < 4 {
        match rig.next().await {
            LinkEvent::Message { ack: Some(token), .. } => {
                received += 1;
                rig.handle.ack(token);
            }
            LinkEvent::Acknowledged(_) => confirmed += 1,
            event => panic!("unexpected: {event:?}"),
        }
    }
    rig.broker.until("300 acknowledgements", |seen| seen.pubacks.len() == 300).await;
}

#[tokio::test]
async fn m13_a_consumer_that_hangs_costs_qos_0_messages_but_not_the_connection() {
    let brief = |options: &mut LinkOptions| {
        options.queue = 2;
        options.keep_alive = Duration::from_secs(1);
    };
    let mut rig = Rig::online(Script::default(), brief).await;
    rig.broker.send((0..100).flat_map(|_| publish("plant/m", b"1", 0, 0)).collect());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let metrics = rig.handle.metrics();
    assert!(metrics.online && metrics.shed > 50 && metrics.connections == 1, "{metrics:?}");
    rig.find(|event| matches!(event, LinkEvent::Message { .. }).then_some(())).await;
}

#[tokio::test]
async fn half_a_packet_is_nothing() {
    let mut rig = Rig::online(Script::default(), |_| ()).await;
    let whole = publish("plant/m", b"12345", 1, 1);
    rig.broker.send(whole[..whole.len() - 2].to_vec());
    rig.broker.hang_up();
    assert!(matches!(rig.next().await, LinkEvent::Disconnected { .. }));
    assert!(matches!(rig.next().await, LinkEvent::Connected { .. }));
    assert_eq!(rig.handle.metrics().received, 0);
}

#[tokio::test]
async fn a_confirmation_that_comes_twice_confirms_nothing_else() {
    let mut rig = Rig::online(Script { duplicate_pubacks: 1, ..Script::default() }, |_| ()).await;
    rig.publish(0).expect("there is room");
    let expected = rig.ids[0];
    assert_eq!(rig.next().await, LinkEvent::Acknowledged(expected));
    // rumqttc ends the connection over it; the link goes on.
    rig.connected().await;
    rig.publish(1).expect("there is room");
    let expected = rig.ids[1];
    assert_eq!(rig.next().await, LinkEvent::Acknowledged(expected));
}

#[tokio::test]
async fn a_dropped_confirmation_is_noticed_and_the_publication_handed_back() {
    let quick = |options: &mut LinkOptions| options.no_progress = Duration::from_secs(1);
    let mut rig = Rig::online(Script { withhold_pubacks: 1, ..Script::default() }, quick).await;
    rig.publish(0).expect("there is room");
    let lost = rig.find(|event| if let LinkEvent::Lost(ids) = event { Some(ids) } else { None }).await;
    assert_eq!(lost, rig.ids[..1]);
    assert_eq!(rig.handle.metrics().no_progress, 1);
}

#[tokio::test]
async fn a_publication_that_no_broker_takes_is_refused_and_costs_no_connection() {
    let rig = Rig::online(Script::default(), |_| ()).await;
    let bad = Publication { topic: "a/+".into(), payload: Vec::new(), retain: false };
    assert!(matches!(rig.handle.publish_tracked(rig.ids[0], bad), Err(Refusal::Impossible { .. })));
    let large = Publication { topic: "a".into(), payload: vec![0; (1 << 20) + 1], retain: false };
    assert!(matches!(rig.handle.publish_tracked(rig.ids[0], large), Err(Refusal::Impossible { .. })));
    assert_eq!(rig.handle.room(), 4);
    rig.broker.hang_up();
    rig.broker.until("a second connection", |seen| seen.connects.len() == 2).await;
}

#[tokio::test]
async fn without_a_connection_publications_are_refused() {
    let (handle, _events) = Link::start(LinkOptions::new("127.0.0.1", 1, "g1")).expect("sound options");
    assert_eq!(handle.room(), 0);
    assert!(matches!(handle.publish_now(message(0), Qos::AtMostOnce), Err(Refusal::Offline(_))));
}

#[tokio::test]
async fn a_farewell_confirms_what_is_on_its_way_and_keeps_the_will_from_being_published() {
    let mut rig = Rig::online(Script::default(), |_| ()).await;
    rig.publish(0).expect("there is room");
    rig.handle.disconnect().await;
    rig.broker.until("the farewell", |seen| seen.farewells == [1]).await;
    let expected = rig.ids[0];
    assert_eq!(rig.next().await, LinkEvent::Acknowledged(expected));
    assert_eq!(rig.events.recv().await, None);
}

/// 200 publications on their way into a stopped broker, which is then killed and comes back 1.5 s later without any
/// memory. A plain client loses all 200 (`edge.md` 3.3); here every one reaches a reader that only re-subscribes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_broker_that_is_stopped_killed_and_restarted_costs_no_transition() {
    for persistence in ["persistence false", "persistence true\nautosave_interval 1800"] {
        let Some(mut broker) = real_broker::RealBroker::start(persistence) else {
            println!("skipped: no mosquitto on this machine");
            return;
        };
        let mut reader = LinkOptions::new("127.0.0.1", broker.port, "reader");
        reader.subscriptions = vec![("out".into(), Qos::AtLeastOnce)];
        let (reader, mut read) = Link::start(reader).expect("sound options");
        let seen = tokio::spawn(async move {
            let (mut distinct, mut messages) = (BTreeSet::new(), 0);
            while let Some(event) = read.recv().await {
                if let LinkEvent::Message { payload, ack, .. } = event {
                    messages += 1;
                    distinct.insert(String::from_utf8_lossy(&payload).parse::<u64>().expect("a seq"));
                    ack.into_iter().for_each(|token| reader.ack(token));
                    if distinct.len() == TRANSITIONS as usize {
                        break;
                    }
                }
            }
            (distinct, messages)
        });

        let mut options = LinkOptions::new("127.0.0.1", broker.port, "wheeltapper-g1");
        options.inflight = 400;
        let (handle, mut events) = Link::start(options).expect("sound options");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (mut outbox, _) = Outbox::open(dir.path(), Limits::default()).expect("an empty directory");
        let (mut seq, mut tick) = (0, tokio::time::interval(Duration::from_millis(2)));
        let (mut frozen, mut killed, mut in_flight, mut acked_before) = (None, None, 0, 0);
        let mut announce_at = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(40);
        while !seen.is_finished() && Instant::now() < deadline {
            tokio::select! {
                event = events.recv() => match event.expect("the link lives") {
                    LinkEvent::Acknowledged(id) => outbox.acknowledged(id),
                    LinkEvent::Lost(ids) => outbox.hand_back(&ids),
                    LinkEvent::Connected { session_present: false } => {
                        // Now, and once more when readers have had the time to come back.
                        announce_at = vec![Instant::now(), Instant::now() + Duration::from_secs(2)];
                    }
                    _ => {}
                },
                _ = tick.tick() => if seq < TRANSITIONS {
                    seq += 1;
                    let event = Publication { topic: "out".into(), payload: seq.to_string().into_bytes(), retain: false };
                    outbox.append(jiff::Timestamp::now(), "m", seq, &[event]).expect("a sound transition");
                    _ = outbox.sync();
                },
            }
            announce_at.retain(|at| {
                let due = Instant::now() >= *at;
                if due {
                    outbox.reannounce(1_000, jiff::Timestamp::MIN);
                }
                !due
            });
            while handle.room() > 0
                && let Some(entry) = outbox.next_unsent()
            {
                if handle.publish_tracked(entry.id, entry.publication).is_err() {
                    outbox.hand_back(&[entry.id]);
                    break;
                }
            }
            match (frozen, killed) {
                (None, _) if seq >= 400 => {
                    broker.freeze();
                    frozen = Some(Instant::now());
                }
                (Some(at), None)
                    if at.elapsed() >= Duration::from_millis(700) && handle.metrics().outstanding >= 200 =>
                {
                    in_flight = handle.metrics().outstanding;
                    acked_before = outbox.counters().acknowledged;
                    broker.kill();
                    killed = Some(Instant::now());
                }
                (Some(_), Some(at)) if at.elapsed() >= Duration::from_millis(1_500) => {
                    broker.restart();
                    killed = Some(at + Duration::from_secs(3_600));
                }
                _ => {}
            }
        }
        assert!(seen.is_finished(), "transitions are missing at the reader");
        let (distinct, messages) = seen.await.expect("the reader does not panic");
        println!(
            "{persistence:?}: {} of {TRANSITIONS} transitions read, {in_flight} were in flight at the kill \
             ({acked_before} confirmed before), {} duplicates",
            distinct.len(),
            messages - distinct.len()
        );
        assert_eq!(distinct.len() as u64, TRANSITIONS);
        assert!(in_flight >= 200, "the test must have something to lose: {in_flight}");
    }
}

const TRANSITIONS: u64 = 1_000;
