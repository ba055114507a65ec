use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn aligner() -> Aligner {
    Aligner::new(Alignment { cadence: SECOND, lateness: 10 * SECOND }, Channels::default())
}

fn at(millisecond: u64) -> Now {
    let utc = Timestamp::from_millisecond(1_795_538_400_000 + millisecond as i64).unwrap();
    Now { utc, steady: Duration::from_millis(millisecond) }
}

fn arrival(millisecond: u64) -> Arrival {
    Arrival { now: at(millisecond), redelivered: false }
}

fn stamp(second: i64) -> Option<Timestamp> {
    Some(Timestamp::from_second(1_600_000_000 + second).unwrap())
}

fn message(
    aligner: &mut Aligner,
    readings: &[(&str, f64)],
    stamp: Option<Timestamp>,
    arrival: Arrival,
) -> Result<(), Rejection> {
    for (channel, value) in readings {
        aligner.reading(channel, Some(*value))?;
    }
    aligner.commit(stamp, arrival)
}

fn samples(aligner: &mut Aligner, now: Now) -> Vec<Vec<f64>> {
    let mut samples = Vec::new();
    while let Some((_, sample)) = aligner.next_sample(now) {
        samples.push(sample.values.to_vec());
    }
    samples
}

#[test]
fn a_whole_message_is_a_sample_at_once_when_the_channels_are_known() {
    let known = Channels::fixed(["a", "b"].map(|name| Name::parse(name).unwrap()));
    let mut aligner = Aligner::new(Alignment { cadence: SECOND, lateness: 10 * SECOND }, known);
    message(&mut aligner, &[("b", 2.0), ("a", 1.0), ("other", 3.0)], None, arrival(0)).unwrap();
    assert_eq!(aligner.take_refused(), Some(Rejection::UnknownChannel));
    assert_eq!(samples(&mut aligner, at(0)), [[1.0, 2.0]]);
}

#[test]
fn one_value_a_topic_becomes_whole_samples_at_any_speed() {
    let mut aligner = aligner();
    let mut seen = Vec::new();
    for tick in 0..5u64 {
        for (index, channel) in ["a", "b", "c"].into_iter().enumerate() {
            message(&mut aligner, &[(channel, (tick * 10 + index as u64) as f64)], None, arrival(tick)).unwrap();
            seen.extend(samples(&mut aligner, at(tick)));
        }
    }
    assert_eq!(
        seen,
        (0..5).map(|t| vec![t as f64 * 10.0, t as f64 * 10.0 + 1.0, t as f64 * 10.0 + 2.0]).collect::<Vec<_>>()
    );
}

#[test]
fn readings_with_one_stamp_make_one_sample_even_when_a_sender_lags() {
    let mut aligner = aligner();
    message(&mut aligner, &[("a", 1.0)], stamp(1), arrival(0)).unwrap();
    message(&mut aligner, &[("a", 2.0)], stamp(2), arrival(10)).unwrap();
    message(&mut aligner, &[("b", 1.5)], stamp(1), arrival(20)).unwrap();
    message(&mut aligner, &[("b", 2.5)], stamp(2), arrival(30)).unwrap();
    assert_eq!(samples(&mut aligner, at(30)), [[1.0, 1.5], [2.0, 2.5]]);
}

#[test]
fn a_channel_that_falls_silent_holds_nothing_up_for_long() {
    let mut aligner = aligner();
    for tick in 0..3 {
        message(&mut aligner, &[("a", 1.0), ("b", 1.0)], stamp(tick), arrival(tick as u64)).unwrap();
        samples(&mut aligner, at(tick as u64));
    }
    let mut delays = Vec::new();
    for tick in 3..40u64 {
        message(&mut aligner, &[("a", 1.0)], stamp(tick as i64), arrival(tick * 1000)).unwrap();
        delays.push(samples(&mut aligner, at(tick * 1000)).len());
    }
    assert_eq!(delays.iter().sum::<usize>(), 37, "every sample is let go in the end");
    assert!(delays[20..].iter().all(|&count| count == 1), "and soon without waiting: {delays:?}");
}

#[test]
fn an_incomplete_sample_goes_on_after_its_time_is_up() {
    let mut aligner = aligner();
    for tick in 0..2 {
        message(&mut aligner, &[("a", 1.0), ("b", 1.0)], None, arrival(tick)).unwrap();
        samples(&mut aligner, at(tick));
    }
    message(&mut aligner, &[("a", 5.0)], None, arrival(2000)).unwrap();
    assert!(samples(&mut aligner, at(2900)).is_empty());
    let late = samples(&mut aligner, at(3000));
    assert_eq!((late.len(), late[0][0], late[0][1].is_nan()), (1, 5.0, true));
}

#[test]
fn a_channel_that_comes_now_and_then_delays_nothing_and_is_not_lost() {
    let mut aligner = aligner();
    let (mut seen, mut slow) = (Vec::new(), 0);
    for second in 0..200u64 {
        message(&mut aligner, &[("a", second as f64)], stamp(second as i64), arrival(second * 1000)).unwrap();
        seen.extend(samples(&mut aligner, at(second * 1000)));
        if second % 20 == 5 {
            let told = message(&mut aligner, &[("b", second as f64)], stamp(second as i64), arrival(second * 1000));
            assert_eq!(told, Ok(()), "second {second}");
            slow += 1;
        }
    }
    assert!(seen.len() >= 195, "{} of 200 without waiting", seen.len());
    let kept = seen.iter().filter(|row| row.get(1).is_some_and(|value| !value.is_nan())).count();
    assert!(kept >= slow - 1, "{kept} of {slow}");
}

#[test]
fn a_message_that_is_refused_leaves_no_channel_behind() {
    let mut aligner = aligner();
    aligner.reading("a", Some(1.0)).unwrap();
    aligner.reading("b", Some(1.0)).unwrap();
    aligner.drop_staged();
    assert!(aligner.channels().is_empty());
}

#[test]
fn duplicated_late_and_future_samples_are_refused() {
    let mut aligner = aligner();
    for second in [5, 6] {
        message(&mut aligner, &[("a", 1.0)], stamp(second), arrival(0)).unwrap();
    }
    samples(&mut aligner, at(0));
    assert_eq!(message(&mut aligner, &[("a", 1.0)], stamp(6), arrival(0)), Err(Rejection::Duplicate));
    assert_eq!(message(&mut aligner, &[("a", 1.0)], stamp(4), arrival(0)), Err(Rejection::Late));
    let future = at(6_000).utc;
    assert_eq!(message(&mut aligner, &[("a", 1.0)], Some(future), arrival(0)), Err(Rejection::Future));
    assert_eq!(message(&mut aligner, &[("a", 1.0)], Some(future), arrival(1_000)), Ok(()));
}

#[test]
fn a_recording_played_a_second_time_is_a_new_time_line_but_redelivery_is_not() {
    let mut aligner = aligner();
    let mut play = |redelivered| {
        let mut taken = 0;
        for second in 0..100 {
            let arrival = Arrival { now: at(0), redelivered };
            taken += usize::from(message(&mut aligner, &[("a", 1.0)], stamp(second), arrival).is_ok());
            samples(&mut aligner, at(0));
        }
        taken
    };
    assert_eq!(play(false), 100);
    assert_eq!(play(true), 0);
    assert_eq!(play(false), 100 - (NEW_TIME_LINE as usize - 1));
}

proptest! {
    #[test]
    fn samples_leave_in_the_order_of_their_stamps_and_none_is_lost(
        order in Just((0i64..40).collect::<Vec<_>>()).prop_shuffle(),
        half in any::<bool>(),
    ) {
        let mut aligner = aligner();
        message(&mut aligner, &[("a", -1.0), ("b", -1.0)], stamp(-10), arrival(0)).unwrap();
        let (mut taken, mut times) = (1, Vec::new());
        for second in order {
            let readings: &[(&str, f64)] = if half { &[("a", 1.0)] } else { &[("a", 1.0), ("b", 2.0)] };
            taken += usize::from(message(&mut aligner, readings, stamp(second), arrival(0)).is_ok());
            while let Some((_, sample)) = aligner.next_sample(at(0)) {
                times.push(sample.time);
            }
        }
        while let Some((_, sample)) = aligner.next_sample(at(60_000)) {
            times.push(sample.time);
        }
        prop_assert!(times.is_sorted());
        prop_assert_eq!(times.len(), taken);
    }
}
