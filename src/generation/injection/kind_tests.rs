//! What each kind promises, measured on what it leaves behind.

use std::f64::consts::TAU;
use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::super::constraints::{Bound, Constraints};
use super::super::normal::standard_normal;
use super::*;

/// A wave, the same wave as another channel shows it, and noise about a level.
fn recorded() -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let wave = |row: usize| (row as f64 * TAU / PERIOD as f64).sin();
    let noise: Vec<[f64; 3]> = (0..ROWS).map(|_| [(); 3].map(|()| standard_normal(&mut random))).collect();
    vec![
        (0..ROWS).map(|row| 50.0 + 5.0 * wave(row) + 0.1 * noise[row][0]).collect(),
        (0..ROWS).map(|row| -3.0 + 2.0 * wave(row) + 0.1 * noise[row][1]).collect(),
        noise.iter().map(|noise| 7.0 + noise[2]).collect(),
    ]
}

fn inject_with(kind: Kind, channel: usize, more: &str) -> Canvas {
    let mut canvas = Canvas::new(recorded(), vec![None; 3], 11);
    let event = event(&canvas, kind, channel, more);
    inject(&mut canvas, &[event], &none(), Repair::None);
    canvas
}

fn event(canvas: &Canvas, kind: Kind, channel: usize, more: &str) -> Event {
    let channel = ["wave", "other", "noise"][channel];
    let to = if kind == Kind::Extremum { String::new() } else { format!(",to={}", SPAN.end) };
    let of_channel = if kind == Kind::ClockSkew { String::new() } else { format!(",channel={channel}") };
    let text = format!("kind={kind}{of_channel},from={}{to}{more}", SPAN.start + 1);
    resolve(&EventKeys::parse(&text, "event").unwrap(), 1, "event", &setting(canvas, &names(), &stamps())).unwrap()
}

fn setting<'s>(canvas: &'s Canvas, channels: &'s [String], times: &'s [Option<jiff::Timestamp>]) -> Setting<'s> {
    Setting { channels, spreads: canvas.spreads(), rows: ROWS, times }
}

fn names() -> Vec<String> {
    ["wave", "other", "noise"].map(str::to_owned).to_vec()
}

fn stamps() -> Vec<Option<jiff::Timestamp>> {
    (0..ROWS).map(|row| jiff::Timestamp::from_second(row as i64).ok()).collect()
}

fn none() -> Bound {
    Constraints::default().bind(&names()).unwrap()
}

/// The span before and after.
fn spans(canvas: &Canvas, channel: usize) -> (&[f64], &[f64]) {
    (&canvas.recorded()[channel][SPAN], &canvas.values()[channel][SPAN])
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let (a, b) = (mean(one), mean(other));
    let products = one.iter().zip(other).map(|(x, y)| (x - a) * (y - b)).sum::<f64>();
    products / one.len() as f64 / deviation(one) / deviation(other)
}

/// The period whose wave explains most of the values.
fn period(values: &[f64]) -> usize {
    let mean = mean(values);
    let power = |period: usize| {
        let turn = |row: usize| row as f64 * TAU / period as f64;
        let sum =
            |wave: fn(f64) -> f64| values.iter().enumerate().map(|(row, x)| (x - mean) * wave(turn(row))).sum::<f64>();
        sum(f64::sin).powi(2) + sum(f64::cos).powi(2)
    };
    (5..=100).max_by(|&one, &other| power(one).total_cmp(&power(other))).unwrap()
}

fn extremes(values: &[f64]) -> (f64, f64) {
    (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

fn offsets(canvas: &Canvas, channel: usize) -> Vec<f64> {
    let (before, after) = spans(canvas, channel);
    after.iter().zip(before).map(|(after, before)| after - before).collect()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9 * expected.abs().max(1.0)
}

#[test]
fn nothing_outside_of_the_span_and_of_the_channel_changes() {
    for kind in Kind::ALL {
        let canvas = inject_with(kind, 0, "");
        let altered = |row: usize| (0..3).any(|channel| canvas.altered(row, channel)) || canvas.shifts()[row] != 0.0;
        let span = if kind == Kind::Extremum { SPAN.start..SPAN.start + 1 } else { SPAN };
        assert!((0..ROWS).filter(|row| !span.contains(row)).all(|row| !altered(row)), "{kind}");
        assert!(span.clone().any(altered), "{kind}");
        assert_eq!(&canvas.values()[1..], &canvas.recorded()[1..], "{kind}");
    }
}

#[test]
fn amplitude_multiplies_the_deviation_and_leaves_the_mean() {
    let canvas = inject_with(Kind::Amplitude, 0, ",size=3");
    let (before, after) = spans(&canvas, 0);
    assert!(close(deviation(after), 3.0 * deviation(before)) && close(mean(after), mean(before)));
}

#[test]
fn an_extremum_lies_beyond_all_others_or_beyond_those_around_it() {
    let canvas = inject_with(Kind::Extremum, 0, ",size=2");
    let spread = canvas.spreads()[0];
    assert!(close(canvas.values()[0][SPAN.start], spread.highest + 2.0 * spread.deviation));
    let canvas = inject_with(Kind::Extremum, 0, ",size=-2,unit=own,context=3");
    let (lowest, _) = extremes(&canvas.recorded()[0][SPAN.start - 3..SPAN.start + 4]);
    assert!(close(canvas.values()[0][SPAN.start], lowest - 2.0));
}

#[test]
fn frequency_changes_the_period_by_its_factor() {
    for (size, expected) in [("2", PERIOD / 2), ("0.5", 2 * PERIOD)] {
        let canvas = inject_with(Kind::Frequency, 0, &format!(",size={size}"));
        let (before, after) = spans(&canvas, 0);
        let found = period(after) as f64 / expected as f64;
        assert!(period(before) == PERIOD && (found - 1.0).abs() < 0.05, "{size}: {found}");
    }
}

#[test]
fn mean_moves_every_value_alike_and_with_creep_evenly_up_to_it() {
    let canvas = inject_with(Kind::Mean, 2, ",size=-3");
    let deviation = canvas.spreads()[2].deviation;
    assert!(offsets(&canvas, 2).iter().all(|offset| close(*offset, -3.0 * deviation)));
    let canvas = inject_with(Kind::Mean, 2, ",size=8,unit=own,creep=4");
    for (offset, expected) in offsets(&canvas, 2).iter().zip([2.0, 4.0, 6.0, 8.0, 8.0]) {
        assert!(close(*offset, expected));
    }
}

#[test]
fn pattern_keeps_period_and_extremes_and_is_squarer() {
    let canvas = inject_with(Kind::Pattern, 0, ",size=10");
    let (before, after) = spans(&canvas, 0);
    assert_eq!(period(after), PERIOD);
    let ((low, high), (lower, higher)) = (extremes(before), extremes(after));
    assert!(close(low, lower) && close(high, higher));
    assert!(deviation(after) > 1.2 * deviation(before), "a square of the same height has 1.41 times its deviation");
}

#[test]
fn pattern_shift_shows_what_was_so_many_rows_before() {
    let canvas = inject_with(Kind::PatternShift, 0, ",size=7,transition=20");
    let inner = SPAN.start + 20..SPAN.end - 20;
    assert_eq!(canvas.values()[0][inner.clone()], canvas.recorded()[0][inner.start - 7..inner.end - 7]);
    let steps = |values: &[f64]| values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
    let whole = SPAN.start - 1..SPAN.end + 1;
    assert!(
        steps(&canvas.values()[0][whole.clone()]) < 2.0 * steps(&canvas.recorded()[0][whole]),
        "no jump at its ends"
    );
}

#[test]
fn platform_is_one_level_off_the_median_or_the_level_that_is_named() {
    let canvas = inject_with(Kind::Platform, 0, ",size=2");
    let level = canvas.spreads()[0].median + 2.0 * canvas.spreads()[0].deviation;
    assert!(spans(&canvas, 0).1.iter().all(|value| *value == level));
    assert!(spans(&inject_with(Kind::Platform, 0, ",size=42,unit=own"), 0).1.iter().all(|value| *value == 42.0));
}

#[test]
fn trend_grows_evenly_and_drift_unevenly_and_both_reach_their_size_in_the_last_row() {
    let grown = |kind| {
        let canvas = inject_with(kind, 0, ",size=5,unit=own");
        let offsets = offsets(&canvas, 0);
        let steps: Vec<f64> = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(close(*offsets.last().unwrap(), 5.0) && steps.iter().all(|step| *step >= 0.0), "{kind}");
        deviation(&steps) / mean(&steps)
    };
    assert!(grown(Kind::Trend) < 1e-6);
    assert!(grown(Kind::Drift) > 0.5);
}

#[test]
fn variance_of_noise_is_multiplied_by_its_factor() {
    for factor in [0.25, 4.0, 25.0] {
        let canvas = inject_with(Kind::Variance, 2, &format!(",size={factor}"));
        let (before, after) = spans(&canvas, 2);
        let found = (deviation(after) / deviation(before)).powi(2);
        assert!((found / factor - 1.0).abs() < 0.15, "{factor}: {found}");
        assert!((mean(after) - mean(before)).abs() < 0.2);
    }
}

#[test]
fn mode_correlation_turns_the_correlation_round_and_leaves_the_channel_its_mean_and_deviation() {
    let canvas = inject_with(Kind::ModeCorrelation, 0, "");
    let (before, after) = spans(&canvas, 0);
    let other = spans(&canvas, 1).1;
    assert!(correlation(before, other) > 0.95);
    assert!(close(correlation(after, other), -correlation(before, other)));
    assert!(close(mean(after), mean(before)) && close(deviation(after), deviation(before)));
}

#[test]
fn stuck_repeats_the_value_before_it() {
    let canvas = inject_with(Kind::Stuck, 0, "");
    assert!(spans(&canvas, 0).1.iter().all(|value| *value == canvas.recorded()[0][SPAN.start - 1]));
    let off = inject_with(Kind::Stuck, 0, ",size=3,unit=own");
    assert!(spans(&off, 0).1.iter().all(|value| close(*value, canvas.recorded()[0][SPAN.start - 1] + 3.0)));
}

#[test]
fn dropout_takes_the_share_of_values_and_leaves_the_others() {
    let canvas = inject_with(Kind::Dropout, 0, "");
    assert!(spans(&canvas, 0).1.iter().all(|value| value.is_nan()));
    let canvas = inject_with(Kind::Dropout, 0, ",size=0.3");
    let (before, after) = spans(&canvas, 0);
    let missing = after.iter().filter(|value| value.is_nan()).count();
    assert!((40..80).contains(&missing), "{missing} of {}", SPAN.len());
    assert!(after.iter().zip(before).all(|(after, before)| after.is_nan() || after == before));
}

#[test]
fn spikes_stand_off_by_the_size_in_the_share_of_rows_and_both_ways() {
    let offsets = offsets(&inject_with(Kind::SpikeBurst, 0, ",size=9,unit=own,rate=0.3"), 0);
    let count = |size: f64| offsets.iter().filter(|offset| close(**offset, size)).count();
    let (up, down, none) = (count(9.0), count(-9.0), count(0.0));
    assert_eq!(up + down + none, SPAN.len());
    assert!((40..80).contains(&(up + down)) && up > 10 && down > 10, "{up} {down}");
}

#[test]
fn a_skewed_clock_runs_off_evenly_and_is_right_again_after_the_span() {
    let canvas = inject_with(Kind::ClockSkew, 0, ",size=30");
    let shifts = &canvas.shifts()[SPAN];
    assert!(close(shifts[SPAN.len() - 1], 30.0) && close(shifts[0], 30.0 / SPAN.len() as f64));
    assert_eq!(canvas.shifts()[SPAN.end], 0.0);
    assert_eq!(canvas.values(), canvas.recorded());
}

#[test]
fn a_break_between_channels_leaves_each_its_own_and_takes_the_relation() {
    let canvas = inject_with(Kind::CrossChannelBreak, 0, "");
    let (before, after) = spans(&canvas, 0);
    let other = spans(&canvas, 1).1;
    assert!(correlation(before, other) > 0.95 && correlation(after, other).abs() < 0.3);
    assert!((deviation(after) / deviation(before) - 1.0).abs() < 0.1);
    let elsewhere = canvas.recorded()[0].windows(SPAN.len()).any(|stretch| stretch == after);
    assert!(elsewhere, "what it shows was measured");
}

#[test]
fn a_recording_without_room_beside_the_span_is_turned_round_within_it() {
    let mut canvas = Canvas::new(recorded(), vec![None; 3], 11);
    let names = names();
    let keys = EventKeys::parse(&format!("kind=cross-channel-break,channel=noise,from=1,to={ROWS}"), "event").unwrap();
    let event = resolve(&keys, 1, "event", &setting(&canvas, &names, &[])).unwrap();
    inject(&mut canvas, &[event], &none(), Repair::None);
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    assert_eq!(sorted(&canvas.values()[2]), sorted(&canvas.recorded()[2]));
    assert!(correlation(&canvas.values()[2], &canvas.recorded()[2]).abs() < 0.2);
}

#[test]
fn what_is_missing_stays_missing_and_makes_no_number_of_its_neighbours_disappear() {
    for kind in Kind::ALL {
        let mut gappy = recorded();
        (0..ROWS).step_by(7).for_each(|row| gappy[0][row] = f64::NAN);
        let mut canvas = Canvas::new(gappy, vec![None; 3], 11);
        let event = event(&canvas, kind, 0, "");
        inject(&mut canvas, &[event], &none(), Repair::None);
        for (row, (value, before)) in canvas.values()[0].iter().zip(&canvas.recorded()[0]).enumerate() {
            assert!(!before.is_nan() || value.is_nan(), "{kind} makes a value up in row {row}");
            assert!(kind == Kind::Dropout || before.is_nan() || !value.is_nan(), "{kind} loses row {row}");
        }
    }
}

#[test]
fn an_event_is_the_same_whatever_other_events_there_are() {
    let alone = inject_with(Kind::SpikeBurst, 0, "");
    let mut canvas = Canvas::new(recorded(), vec![None; 3], 11);
    let first = event(&canvas, Kind::SpikeBurst, 0, "");
    let second = Event { id: 2, ..event(&canvas, Kind::Drift, 1, "") };
    inject(&mut canvas, &[first, second], &none(), Repair::None);
    assert_eq!(canvas.values()[0], alone.values()[0]);
}

#[test]
fn values_have_no_more_digits_than_the_sensor_gives() {
    let mut canvas = Canvas::new(recorded(), vec![Some(1), None, None], 11);
    let event = event(&canvas, Kind::Mean, 0, ",size=1.234");
    inject(&mut canvas, &[event], &none(), Repair::None);
    assert!(spans(&canvas, 0).1.iter().all(|value| (value * 10.0 - (value * 10.0).round()).abs() < 1e-9));
}

fn between(low: f64, high: f64) -> Bound {
    let text = format!("[[range]]\nchannel = \"wave\"\nlow = {low:?}\nhigh = {high:?}\n");
    Constraints::parse(&text, "c.toml").unwrap().bind(&names()).unwrap()
}

#[test]
fn clamping_moves_injected_values_only_and_leaves_no_violation_among_them() {
    let mut canvas = Canvas::new(recorded(), vec![None; 3], 11);
    let event = event(&canvas, Kind::Mean, 0, ",size=3,unit=own");
    let applied = inject(&mut canvas, &[event], &between(40.0, 54.0), Repair::Clamp);
    let recorded_above = canvas.recorded()[0].iter().filter(|value| **value > 54.0).count();
    let outside = canvas.recorded()[0].iter().enumerate().filter(|(row, value)| !SPAN.contains(row) && **value > 54.0);
    assert_eq!(applied.before[0].rows, recorded_above);
    assert!(applied.after[0].rows > recorded_above);
    assert_eq!(applied.repaired[0].rows, outside.count());
    assert!(applied.clamped > 0 && spans(&canvas, 0).1.iter().all(|value| *value <= 54.0));
}

#[test]
fn an_event_that_breaks_a_constraint_is_left_out_whole_and_others_stay() {
    let mut canvas = Canvas::new(recorded(), vec![None; 3], 11);
    let high = event(&canvas, Kind::Mean, 0, ",size=30,unit=own");
    let fine = Event { id: 2, ..event(&canvas, Kind::Mean, 0, ",size=1,unit=own") };
    let applied = inject(&mut canvas, &[high, fine], &between(40.0, 70.0), Repair::Reject);
    assert_eq!((&applied.rejected[..], applied.changed[0]), (&[true, false][..], 0));
    assert!(offsets(&canvas, 0).iter().all(|offset| close(*offset, 1.0)));
    assert_eq!(applied.repaired[0].rows, applied.before[0].rows);
    assert!(applied.after[0].rows > 0);
}

#[test]
fn events_drawn_by_lot_keep_their_distance_and_leave_the_start_alone() {
    let canvas = Canvas::new(recorded(), vec![None; 3], 11);
    let (names, stamps) = (names(), stamps());
    let keys = RandomKeys { count: 8, skip: 200, distance: Some(20), lengths: Some([10, 40]), ..RandomKeys::default() };
    let there = event(&canvas, Kind::Mean, 0, "");
    let lot = lot(&keys, &setting(&canvas, &names, &stamps)).unwrap();
    let mut events = lot.draw(&canvas, std::slice::from_ref(&there), 5).unwrap();
    assert_eq!(events, lot.draw(&canvas, std::slice::from_ref(&there), 5).unwrap());
    assert_ne!(events, lot.draw(&canvas, std::slice::from_ref(&there), 6).unwrap());
    assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), (2..10).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event.kind == Kind::Extremum || (10..=40).contains(&event.rows.len())));
    events.push(there);
    events.sort_by_key(|event| event.rows.start);
    assert!(events[0].rows.start >= 200);
    assert!(events.windows(2).all(|pair| pair[1].rows.start >= pair[0].rows.end + 20));
    // 20 of 40 rows and 19 of 10 between them are all that there is after the first 200.
    let tight =
        RandomKeys { count: 20, distance: Some(10), lengths: Some([40, 40]), kinds: vec![Kind::Mean], ..keys.clone() };
    let packed = super::lot(&tight, &setting(&canvas, &names, &stamps)).unwrap().draw(&canvas, &[], 5).unwrap();
    assert!(packed.windows(2).all(|pair| pair[1].rows.start >= pair[0].rows.end + 10) && packed[19].rows.end <= ROWS);
    let full = RandomKeys { count: 1000, ..keys };
    let placed = super::lot(&full, &setting(&canvas, &names, &stamps)).unwrap().draw(&canvas, &[], 5).unwrap_err();
    assert!((8..1000).contains(&placed));
}

#[test]
fn each_event_that_does_not_fit_the_recording_is_answered_with_what_was_expected() {
    let canvas = Canvas::new(vec![recorded().remove(0), vec![5.0; ROWS]], vec![None; 2], 11);
    let names = ["wave", "still"].map(str::to_owned);
    let stamps = stamps();
    let refused = |text: &str, times| {
        let keys = EventKeys::parse(text, "event 1").unwrap();
        resolve(&keys, 1, "event 1", &setting(&canvas, &names, times)).unwrap_err().to_string()
    };
    for (text, expected) in [
        (
            "kind=mean,channel=wav,from=1,to=9",
            "there is no channel \"wav\" among [\"wave\", \"still\"]; did you mean \"wave\"?",
        ),
        ("kind=mean,from=1,to=9", "there is no channel; expected one of"),
        ("kind=mean,channel=wave,from=0,to=9", "from is row 0; the recording has rows 1 to 1200"),
        ("kind=mean,channel=wave,from=1,to=1201", "to is row 1201; the recording has rows 1 to 1200"),
        ("kind=mean,channel=wave,from=1,length=1201", "length is row 1201"),
        ("kind=mean,channel=wave,from=9,to=1", "to, row 1, lies before from, row 9"),
        ("kind=mean,channel=wave,from=1", "it has no end; expected to, e.g. to=700, or length"),
        ("kind=mean,channel=wave,from=1,to=9,length=3", "both to and length"),
        ("kind=mean,channel=wave,from=1,length=0", "length is 0"),
        ("kind=mean,channel=wave,from=2h,to=3h", "from is 1970-01-01T02:00:00Z; the recording goes from"),
        ("kind=mean,channel=still,from=1,to=9", "still never changes"),
        ("kind=mean,channel=wave,from=1,to=9,rate=0.5", "mean has no rate; beside kind, channel"),
        ("kind=amplitude,channel=wave,from=1,to=9,size=-1", "size is -1; for amplitude expected a factor, 0 or more"),
        ("kind=dropout,channel=wave,from=1,to=9,size=2", "expected a share of the rows"),
        ("kind=stuck,channel=wave,from=1,to=9,size=nan", "expected how far"),
        ("kind=frequency,channel=wave,from=1,to=9,unit=own", "frequency has no unit; its size is in factor"),
        ("kind=mode-correlation,channel=wave,from=1,to=9,size=2", "expected no size"),
        ("kind=mode-correlation,channel=wave,channel=still,from=1,to=9", "needs a channel that is left as it is"),
        ("kind=extremum,channel=wave,from=1,to=9", "an extremum is one row, found 9"),
        ("kind=spike-burst,channel=wave,from=1,to=9,rate=0", "rate is 0; expected a share"),
        ("kind=clock-skew,channel=wave,from=1,to=9", "clock-skew has no channel"),
    ] {
        // The short form reads "nan" as a text, as TOML does.
        let text = text.replace("size=nan", "size=1e300");
        let error = refused(&text, &stamps);
        assert!(error.starts_with("event 1: ") && error.contains(expected), "{text}: {error}");
    }
    for text in [
        "kind=clock-skew,from=1,to=9",
        "kind=mean,channel=wave,from=5m,to=6m",
        "kind=mean,channel=wave,from=1,length=5m",
    ] {
        assert!(refused(text, &[]).contains("the recording has no time column"), "{text}");
    }
}

#[test]
fn times_and_durations_mean_the_rows_within_them() {
    let canvas = Canvas::new(recorded(), vec![None; 3], 11);
    let (names, stamps) = (names(), stamps());
    for (text, expected) in [
        ("from=60s,to=90s", 60..91),
        ("from=61,length=30s", 60..91),
        ("from=1970-01-01T00:01:00.5Z,to=1970-01-01T00:01:30.5Z", 61..91),
        ("from=61,length=30", 60..90),
    ] {
        let keys = EventKeys::parse(&format!("kind=mean,channel=wave,{text}"), "event").unwrap();
        assert_eq!(resolve(&keys, 1, "event", &setting(&canvas, &names, &stamps)).unwrap().rows, expected, "{text}");
    }
}

const ROWS: usize = 1200;
const PERIOD: usize = 40;
const SPAN: Range<usize> = 600..800;
