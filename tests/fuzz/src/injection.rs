//! Injection: a plan up to a line `---`, constraints up to another, and the rest is the recording.

use jiff::Timestamp;
use wheeltapper::generation::constraints::Constraints;
use wheeltapper::generation::injection::{
    Canvas, Event, Fault, Plan, Repair, Setting, Truth, arrivals, faults, inject, lot, resolve,
};
use wheeltapper::recording::{ReadOptions, Recording, Sheet};

use crate::scratch;

pub fn run(data: &[u8]) {
    let (plan, rest) = parted(data);
    let (rules, content) = parted(rest);
    let path = scratch::file("injected.csv", content);
    let Ok(sheet) = Sheet::open(&path, &ReadOptions::default()) else { return };
    let values = sheet.values();
    if sheet.rows() > MOST_ROWS || values.len() > MOST_CHANNELS {
        return;
    }
    let mut recording = Recording::open(&path, &ReadOptions::default()).expect("a sheet is a recording");
    for row in 0..sheet.rows() {
        let expected = recording.next_row().expect("it was read as a sheet").expect("it has as many rows");
        let same = |(one, other): (&f64, f64)| *one == other || one.is_nan() && other.is_nan();
        let found = values.iter().map(|channel| channel[row]);
        assert!(expected.values.iter().zip(found).all(same), "row {row}: {:?}", expected.values);
    }
    assert!(recording.next_row().expect("it was read as a sheet").is_none());
    assert_passed_on(&sheet, content);

    let Ok(plan) = std::str::from_utf8(plan) else { return };
    let plan = match Plan::parse(plan, "p.toml") {
        Ok(plan) => plan,
        Err(error) => return assert!(error.to_string().starts_with("p.toml"), "{error}"),
    };
    let names = &sheet.columns().channels;
    let rules = std::str::from_utf8(rules).ok().and_then(|text| Constraints::parse(text, "c.toml").ok());
    let rules = rules.unwrap_or_default().of_channels(names).bind(names).expect("the others are left out");
    let seed = plan.seed.unwrap_or(0);
    let mut first = Canvas::new(values, sheet.decimals(), seed);
    let times: Vec<Option<Timestamp>> = sheet.times().into_iter().map(|(_, time)| time).collect();
    let (events, faults) = resolved(&plan, &first, names, &times);
    for repair in [Repair::None, Repair::Clamp, Repair::Reject] {
        let mut again = Canvas::new(first.recorded().to_vec(), sheet.decimals(), seed);
        let mut canvas = Canvas::new(first.recorded().to_vec(), sheet.decimals(), seed);
        let applied = inject(&mut canvas, &events, &rules, repair);
        assert_eq!(applied, inject(&mut again, &events, &rules, repair));
        assert_eq!(bits(&canvas), bits(&again), "the same seed");
        for (row, channel) in (0..sheet.rows()).flat_map(|row| (0..names.len()).map(move |channel| (row, channel))) {
            let within = |event: &Event| event.rows.contains(&row) && event.channels.contains(&channel);
            assert!(!canvas.altered(row, channel) || events.iter().any(within), "row {row}, channel {channel}");
        }
        first = canvas;
        let Ok(arrivals) = arrivals(sheet.rows(), &faults, seed) else { return };
        let truth = Truth::new(&events, &applied, &arrivals, names, &[]);
        let injected = applied.rejected.iter().filter(|rejected| !**rejected).count();
        assert_eq!(truth.labels.len(), injected + arrivals.events.len());
        assert_eq!(truth.of_rows.len(), arrivals.order.len());
    }
}

fn resolved(
    plan: &Plan,
    canvas: &Canvas,
    channels: &[String],
    times: &[Option<Timestamp>],
) -> (Vec<Event>, Vec<Fault>) {
    let setting = Setting { channels, spreads: canvas.spreads(), rows: canvas.shifts().len(), times };
    let asked = plan.events.iter().take(MOST_EVENTS);
    let mut events: Vec<Event> =
        (1..).zip(asked).filter_map(|(id, keys)| resolve(keys, id, "event", &setting).ok()).collect();
    (1..).zip(&mut events).for_each(|(id, event)| event.id = id);
    let lot = plan.random.as_ref().filter(|keys| keys.count <= MOST_EVENTS).and_then(|keys| lot(keys, &setting).ok());
    events.extend(lot.and_then(|lot| lot.draw(canvas, &events, canvas.seed()).ok()).unwrap_or_default());
    assert!(events.iter().all(|event| !event.rows.is_empty() && event.rows.end <= setting.rows), "{events:?}");
    // Many duplicates are refused, but only once there are ten million.
    let few = |fault: &Fault| fault.burst <= 10;
    let faults = plan.faults.iter().take(3).filter_map(|keys| faults(keys, "transport", &setting).ok()).filter(few);
    (events, faults.collect())
}

fn assert_passed_on(sheet: &Sheet, content: &[u8]) {
    let mut out = Vec::new();
    sheet.write_header(&[], &mut out);
    (0..sheet.rows()).for_each(|row| sheet.write_row(row, &[], &[], &mut out));
    sheet.write_tail(&mut out);
    assert!(out == content || content.starts_with(&[0x1f, 0x8b]), "{:?}", String::from_utf8_lossy(&out));
}

fn bits(canvas: &Canvas) -> Vec<u64> {
    canvas.values().iter().flatten().chain(canvas.shifts()).map(|value| value.to_bits()).collect()
}

/// What stands before a line `---`, and what after it.
fn parted(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(LINE.len()).position(|window| window == LINE) {
        Some(place) => (&data[..place], &data[place + LINE.len()..]),
        None => (&[], data),
    }
}

const LINE: &[u8] = b"---\n";
const MOST_ROWS: usize = 2000;
const MOST_CHANNELS: usize = 20;
const MOST_EVENTS: usize = 20;
