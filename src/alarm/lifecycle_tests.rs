//! The promises of an alarm's life cycle.

use proptest::prelude::*;

use super::*;

fn alarm() -> Alarm {
    Alarm::new(Name::parse("press-01").unwrap(), AlarmSettings::default())
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_538_400 + second).unwrap()
}

fn deed(deed: Deed) -> Action {
    Action { operator: "m.ito".into(), episode: None, deed }
}

fn ack(episode: Option<&str>) -> Action {
    Action { episode: episode.map(str::to_owned), ..deed(Deed::Acknowledge) }
}

fn shelve(seconds: u64) -> Action {
    deed(Deed::Shelve { until: ShelfLife::For(Duration::from_secs(seconds)), reason: "spare part".into() })
}

fn suppress(on: bool) -> Action {
    deed(Deed::Suppress { on, reason: None })
}

fn feed(alarm: &mut Alarm, score: f64, seconds: std::ops::Range<i64>) -> Vec<Transition> {
    seconds.filter_map(|second| alarm.observe(score, time(second), time(second))).collect()
}

#[test]
fn an_alarm_that_nobody_acknowledged_waits_for_it_after_the_return() {
    let mut alarm = alarm();
    let raised = feed(&mut alarm, 2.0, 0..10);
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].state, raised[0].seq), (State::Unacknowledged, 1));
    let returned = feed(&mut alarm, 0.1, 10..20);
    assert_eq!((returned[0].state, returned[0].seq), (State::ReturnedUnacknowledged, 2));
    let again = feed(&mut alarm, 2.0, 20..30);
    assert_eq!((again[0].state, &again[0].episode), (State::Unacknowledged, &raised[0].episode));
    feed(&mut alarm, 0.1, 30..40);
    let ended = alarm.act(&ack(None), time(40)).unwrap().unwrap();
    assert_eq!((ended.state, ended.seq, &ended.episode), (State::Normal, 5, &raised[0].episode));
    let next = feed(&mut alarm, 2.0, 50..60);
    assert_ne!(next[0].episode, raised[0].episode);
}

#[test]
fn an_acknowledged_alarm_returns_to_normal_by_itself() {
    let mut alarm = alarm();
    feed(&mut alarm, 2.0, 0..10);
    assert_eq!(alarm.act(&ack(None), time(10)).unwrap().map(|t| t.state), Some(State::Acknowledged));
    assert_eq!(alarm.act(&ack(None), time(11)), Ok(None), "a second time changes nothing");
    assert_eq!(feed(&mut alarm, 0.1, 12..20)[0].state, State::Normal);
    assert_eq!(alarm.act(&ack(None), time(21)), Err(Refusal::NoEpisode));
}

#[test]
fn an_acknowledgement_of_another_episode_is_refused() {
    let mut alarm = alarm();
    feed(&mut alarm, 2.0, 0..10);
    let refused = alarm.act(&ack(Some("another")), time(10));
    assert!(matches!(refused, Err(Refusal::OtherEpisode { .. })));
}

#[test]
fn severity_rises_within_an_episode_but_never_sinks() {
    let mut alarm = alarm();
    feed(&mut alarm, 1.2, 0..10);
    let risen = feed(&mut alarm, 7.0, 10..30);
    assert_eq!((risen.len(), risen[0].severity, risen[0].state), (1, Severity::Critical, State::Unacknowledged));
    assert!(feed(&mut alarm, 2.5, 30..60).is_empty());
}

#[test]
fn a_restart_goes_on_with_the_same_episode_and_the_next_seq() {
    let mut before = alarm();
    let raised = feed(&mut before, 2.0, 0..10);
    let mut after = alarm();
    after.resume(before.standing().unwrap().clone());
    assert!(feed(&mut after, 2.0, 10..20).is_empty(), "no second episode");
    let returned = feed(&mut after, 0.1, 20..30);
    assert_eq!((returned[0].seq, &returned[0].episode), (2, &raised[0].episode));
}

#[test]
fn a_clock_that_is_set_back_lets_nothing_change_before_it_was_raised() {
    let mut alarm = alarm();
    feed(&mut alarm, 2.0, 0..10);
    let acknowledged = alarm.act(&ack(None), time(-3600)).unwrap().unwrap();
    assert!(acknowledged.raised <= acknowledged.changed);
}

#[test]
fn a_shelved_alarm_keeps_silent_and_comes_back_by_itself() {
    let mut alarm = alarm();
    feed(&mut alarm, 2.0, 0..10);
    let shelved = alarm.act(&shelve(100), time(10)).unwrap().unwrap();
    assert_eq!((shelved.state, shelved.shelved_until), (State::Shelved, Some(time(110))));
    assert!(feed(&mut alarm, 0.1, 11..50).is_empty() && feed(&mut alarm, 9.0, 50..110).is_empty());
    assert_eq!(alarm.pass_time(time(110)).map(|back| back.state), Some(State::Unacknowledged));
    alarm.act(&ack(None), time(111)).unwrap();
    alarm.act(&shelve(10), time(112)).unwrap();
    assert_eq!(feed(&mut alarm, 9.0, 113..123)[0].state, State::Acknowledged, "as it was before the shelf");
    alarm.act(&shelve(10), time(124)).unwrap();
    feed(&mut alarm, 0.1, 125..131);
    let ended = alarm.act(&deed(Deed::Unshelve), time(131)).unwrap().unwrap();
    assert_eq!((ended.state, ended.operator.as_deref()), (State::Normal, Some("m.ito")));
}

#[test]
fn a_shelf_life_has_an_end_within_thirty_days() {
    let mut alarm = alarm();
    assert_eq!(alarm.act(&shelve(10), time(0)), Err(Refusal::NoEpisode));
    feed(&mut alarm, 2.0, 0..10);
    for until in [
        ShelfLife::For(Duration::from_secs(30 * 86_400 + 1)),
        ShelfLife::For(Duration::MAX),
        ShelfLife::For(Duration::ZERO),
        ShelfLife::Until(time(9)),
    ] {
        let action = deed(Deed::Shelve { until, reason: "r".into() });
        assert_eq!(alarm.act(&action, time(10)), Err(Refusal::ShelfLife), "{until:?}");
    }
    assert_eq!(alarm.act(&deed(Deed::Unshelve), time(10)), Err(Refusal::NotShelved));
    assert!(alarm.act(&shelve(30 * 86_400), time(10)).unwrap().is_some());
}

#[test]
fn a_suppressed_machine_raises_nothing_and_afterwards_what_is_still_there() {
    let mut alarm = alarm();
    assert_eq!(alarm.act(&suppress(true), time(0)), Ok(None), "without an episode only the status tells");
    assert!(feed(&mut alarm, 2.0, 1..20).is_empty() && alarm.suppression().is_on());
    assert_eq!(alarm.act(&suppress(false), time(20)), Ok(None));
    assert_eq!(feed(&mut alarm, 2.0, 21..22)[0].state, State::Unacknowledged);
    let suppressed = alarm.act(&suppress(true), time(23)).unwrap().unwrap();
    assert_eq!(suppressed.state, State::Suppressed);
    assert_eq!(alarm.act(&shelve(10), time(24)), Err(Refusal::Suppressed));
    let back = alarm.act(&suppress(false), time(25)).unwrap().unwrap();
    assert_eq!((back.state, back.episode), (State::Unacknowledged, suppressed.episode));
}

#[test]
fn a_machine_that_stands_is_silent_and_comes_back_to_where_it_was() {
    let mut alarm = alarm();
    feed(&mut alarm, 2.0, 0..10);
    let silent = alarm.excuse(Some(Excuse::Stopped), time(10)).unwrap();
    assert_eq!((silent.state, silent.reason.as_deref(), silent.operator), (State::Suppressed, Some("stopped"), None));
    assert_eq!(alarm.excuse(Some(Excuse::Starting), time(11)), None, "one transition for one silence");
    assert_eq!(alarm.act(&suppress(true), time(12)), Ok(None), "a person says so too");
    assert_eq!(alarm.excuse(None, time(13)), None, "and has yet to take it back");
    let back = alarm.act(&suppress(false), time(14)).unwrap().unwrap();
    assert_eq!((back.state, back.episode), (State::Unacknowledged, silent.episode));
}

#[test]
fn a_restart_knows_on_whose_word_an_alarm_was_suppressed() {
    for (excuse, by_operator) in [(Some(Excuse::Stopped), false), (None, true)] {
        let mut before = alarm();
        feed(&mut before, 2.0, 0..10);
        match excuse {
            Some(_) => drop(before.excuse(excuse, time(10))),
            None => drop(before.act(&suppress(true), time(10))),
        }
        let mut after = alarm();
        after.resume(before.standing().unwrap().clone());
        assert_eq!(after.suppression(), Suppression { by_operator, excuse });
        let ended = after.excuse(None, time(11)).map(|back| back.state);
        assert_eq!(ended, (!by_operator).then_some(State::Unacknowledged));
    }
}

#[test]
fn a_shelf_life_that_ends_while_the_machine_stands_leaves_it_silent() {
    let mut alarm = alarm();
    feed(&mut alarm, 2.0, 0..10);
    alarm.act(&shelve(10), time(10)).unwrap();
    assert_eq!(alarm.excuse(Some(Excuse::Stopped), time(12)), None, "shelved stays shelved");
    let back = alarm.pass_time(time(20)).unwrap();
    assert_eq!((back.state, back.reason.as_deref()), (State::Suppressed, Some("stopped")));
    assert_eq!(alarm.excuse(None, time(30)).map(|back| back.state), Some(State::Unacknowledged));
}

#[test]
fn a_latched_alarm_waits_for_a_person_whatever_its_condition_does() {
    let settings = AlarmSettings { latch: true, ..AlarmSettings::default() };
    let mut alarm = Alarm::new(Name::parse("press-01").unwrap(), settings);
    feed(&mut alarm, 2.0, 0..10);
    assert!(feed(&mut alarm, 0.1, 10..50).is_empty());
    alarm.act(&shelve(5), time(50)).unwrap();
    assert_eq!(alarm.pass_time(time(55)).map(|back| back.state), Some(State::Unacknowledged), "from the shelf too");
    assert_eq!(alarm.act(&ack(None), time(60)).unwrap().map(|t| t.state), Some(State::Normal));
}

#[test]
fn a_deficiency_has_its_own_class_and_gives_way_to_a_condition_within_the_same_episode() {
    let mut alarm = alarm();
    let dead = Deficiency { severity: Severity::Low, reason: "TS1 is frozen".into() };
    let raised = alarm.report(Some(dead.clone()), time(0)).unwrap();
    assert_eq!((raised.class, raised.state, raised.seq), (Class::DataQuality, State::Unacknowledged, 1));
    assert_eq!(raised.reason.as_deref(), Some("TS1 is frozen"));
    assert_eq!(alarm.report(Some(dead), time(1)), None);
    let worse = feed(&mut alarm, 4.0, 2..10);
    assert_eq!((worse[0].class, worse[0].severity, worse.len()), (Class::Condition, Severity::High, 1));
    assert_eq!(worse[0].episode, raised.episode);
    assert_eq!(alarm.report(None, time(10)), None, "the condition still holds");
    assert_eq!(feed(&mut alarm, 0.1, 11..20)[0].state, State::ReturnedUnacknowledged);
}

proptest! {
    #[test]
    fn whatever_happens_seq_has_no_holes_and_one_episode_is_open(
        steps in proptest::collection::vec((0.0f64..8.0, 0u8..16, any::<bool>()), 0..400),
    ) {
        let mut alarm = alarm();
        let mut seen: Vec<Transition> = Vec::new();
        for (second, (score, command, restart)) in steps.into_iter().enumerate() {
            let second = second as i64;
            if restart && let Some(standing) = alarm.standing().cloned() {
                alarm = Alarm::new(Name::parse("press-01").unwrap(), AlarmSettings::default());
                alarm.resume(standing);
            }
            for _ in 0..6 {
                seen.extend(alarm.observe(score, time(second), time(second)));
            }
            let action = match command {
                0..2 => ack(None),
                2 => shelve(7),
                3 => deed(Deed::Unshelve),
                4 => suppress(true),
                5..7 => suppress(false),
                7 => {
                    seen.extend(alarm.excuse(Some(Excuse::Stopped), time(second)));
                    continue;
                }
                8 => {
                    seen.extend(alarm.excuse(None, time(second)));
                    continue;
                }
                9 => {
                    let reason = "disk full".to_owned();
                    seen.extend(alarm.report(Some(Deficiency { severity: Severity::High, reason }), time(second)));
                    continue;
                }
                10 => {
                    seen.extend(alarm.report(None, time(second)));
                    continue;
                }
                _ => continue,
            };
            if let Ok(transition) = alarm.act(&action, time(second)) {
                seen.extend(transition);
            }
        }
        for (index, transition) in seen.iter().enumerate() {
            prop_assert_eq!(transition.seq, index as u64 + 1);
            prop_assert!(transition.raised <= transition.changed);
        }
        for pair in seen.windows(2) {
            prop_assert_eq!(pair[0].episode == pair[1].episode, pair[0].state != State::Normal);
            let place = |it: &Transition| (it.state, it.severity, it.class);
                prop_assert_ne!(place(&pair[0]), place(&pair[1]));
        }
    }
}
