use std::ops::Range;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::event::{Details, Event, Unit};
use super::kind::{Kind, Measure};
use super::placement::Lot;
use super::plan::{EventKeys, FaultKeys, Length, Mark, RandomKeys, UnitKey};
use super::spread::Spread;
use super::transport::Fault;
use crate::notation::{nearest, show_duration};

/// The recording that a plan is for.
pub struct Setting<'s> {
    pub channels: &'s [String],
    pub spreads: &'s [Spread],
    pub rows: usize,
    /// A time a row, or none at all.
    pub times: &'s [Option<Timestamp>],
}

/// A plan that does not fit the recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {what}")]
pub struct Wrong {
    /// Which part of the plan.
    pub origin: String,
    pub what: String,
}

/// Turns what was asked for into an event of this recording.
pub fn resolve(keys: &EventKeys, id: u32, origin: &str, setting: &Setting<'_>) -> Result<Event, Wrong> {
    let wrong = |what: String| Wrong { origin: origin.to_owned(), what };
    event(keys, id, setting).map_err(wrong)
}

/// Turns faults of transport into those of this recording.
pub fn faults(keys: &FaultKeys, origin: &str, setting: &Setting<'_>) -> Result<Fault, Wrong> {
    let wrong = |what: String| Wrong { origin: origin.to_owned(), what };
    let FaultKeys { fault, probability, burst, from, to } = keys;
    let probability = probability.or(from.is_some().then_some(1.0)).ok_or_else(|| {
        wrong(
            "there is no probability; expected one, e.g. probability=0.01, or rows that it is certain for, e.g. from=600,to=620"
                .to_owned(),
        )
    })?;
    if !(0.0..=1.0).contains(&probability) {
        return Err(wrong(format!("probability is {probability}; expected a share from 0 to 1, e.g. 0.01")));
    }
    let burst = burst.unwrap_or(1);
    if !(1..=MOST_BURST).contains(&burst) {
        return Err(wrong(format!("burst is {burst}; expected 1 to {MOST_BURST} rows, e.g. 3")));
    }
    let start = from.map_or(Ok(0), |mark| setting.row(mark, "from", false)).map_err(wrong)?;
    let last = to.map_or(Ok(setting.rows - 1), |mark| setting.row(mark, "to", true)).map_err(wrong)?;
    if last < start {
        return Err(wrong(format!("to, row {}, lies before from, row {}", last + 1, start + 1)));
    }
    Ok(Fault { kind: *fault, probability, burst, rows: start..last + 1 })
}

/// Turns what is to be drawn by lot into what this recording allows.
pub fn lot(keys: &RandomKeys, setting: &Setting<'_>) -> Result<Lot, Wrong> {
    let wrong = |what: String| Wrong { origin: "random".to_owned(), what };
    if !(1..=MOST_EVENTS).contains(&keys.count) {
        return Err(wrong(format!("{} events; expected 1 to {MOST_EVENTS}", keys.count)));
    }
    let moving = (0..setting.channels.len()).filter(|&channel| setting.spreads[channel].deviation > 0.0);
    let channels = match &keys.channels[..] {
        [] => moving.collect(),
        named => setting.channels(named).map_err(wrong)?,
    };
    if let Some(&still) = channels.iter().find(|&&channel| setting.spreads[channel].deviation == 0.0) {
        return Err(wrong(never_changes(&setting.channels[still])));
    }
    if channels.is_empty() {
        return Err(wrong("no channel of the recording changes, so that nothing can be told apart from it".to_owned()));
    }
    let possible = |kind: &Kind| match kind {
        Kind::ClockSkew => !setting.times.is_empty(),
        kind => !kind.relates() || setting.channels.len() > 1,
    };
    let kinds: Vec<Kind> = match &keys.kinds[..] {
        [] => Kind::ALL.into_iter().filter(possible).collect(),
        named => match named.iter().find(|kind| !possible(kind)) {
            Some(Kind::ClockSkew) => return Err(wrong(no_time("clock-skew"))),
            Some(kind) => return Err(wrong(format!("{kind} needs two channels, the recording has one"))),
            None => named.to_vec(),
        },
    };
    for kind in &kinds {
        if let (Some(size), Measure::Nothing) = (keys.size, kind.measure()) {
            return Err(wrong(format!("size is {size}, but {kind} has none; leave the kind or the size out")));
        }
        if let Some((size, expected)) = keys.size.and_then(|size| Some((size, kind.wrong_size(size)?))) {
            return Err(wrong(format!("size is {size}; for {kind} expected {expected}")));
        }
    }
    let room = setting.rows.saturating_sub(keys.skip);
    // So many with as much between them as the longest has, and in no case more than a quarter of the room.
    let fitting = room / (2 * keys.count).max(4);
    let usual = [USUAL_LENGTHS.0, USUAL_LENGTHS.1].map(|rows| rows.min(fitting.max(SHORTEST_USUAL)).min(room.max(1)));
    let [fewest, most] = keys.lengths.unwrap_or(usual);
    if fewest == 0 || fewest > most || most > room {
        return Err(wrong(format!(
            "lengths are {fewest} to {most} rows; expected at least 1, and at most the {room} rows after the first {}",
            keys.skip
        )));
    }
    let distance = (!keys.overlap).then(|| keys.distance.unwrap_or(most));
    Ok(Lot { count: keys.count, kinds, channels, skip: keys.skip, distance, lengths: (fewest, most), size: keys.size })
}

/// What a kind has beside its size where nothing is said.
pub(super) fn usual_details(length: usize) -> Details {
    Details { creep: 0, context: None, transition: (length / 4).min(USUAL_TRANSITION), rate: USUAL_RATE }
}

fn event(keys: &EventKeys, id: u32, setting: &Setting<'_>) -> Result<Event, String> {
    let kind = keys.kind;
    let given: [(&str, bool); 4] = [
        ("creep", keys.creep.is_some()),
        ("context", keys.context.is_some()),
        ("transition", keys.transition.is_some()),
        ("rate", keys.rate.is_some()),
    ];
    if let Some((key, _)) = given.iter().find(|(key, given)| *given && !kind.takes().contains(key)) {
        let takes = if kind.takes().is_empty() { "no key of its own".to_owned() } else { kind.takes().join(", ") };
        return Err(format!(
            "{kind} has no {key}; beside kind, channel, from, to, length, size and unit it has {takes}"
        ));
    }
    let channels = channels(keys, setting)?;
    let rows = rows(keys, setting)?;
    let size = keys.size.unwrap_or(kind.usual_size());
    if let Some(expected) = kind.wrong_size(size) {
        return Err(format!("size is {size}; for {kind} expected {expected}"));
    }
    let own = keys.unit == Some(UnitKey::Own);
    if keys.unit.is_some() && kind.measure() != Measure::Deviations {
        let measure = Unit::of(kind.measure(), false).name();
        let measure =
            if measure.is_empty() { "it has no size".to_owned() } else { format!("its size is in {measure}") };
        return Err(format!("{kind} has no unit; {measure}"));
    }
    if kind.measure() == Measure::Deviations && !own && size != 0.0 {
        let still = channels.iter().find(|&&channel| setting.spreads[channel].deviation == 0.0);
        if let Some(&still) = still {
            return Err(never_changes(&setting.channels[still]));
        }
    }
    let usual = usual_details(rows.len());
    let details = Details {
        creep: keys.creep.unwrap_or(usual.creep).min(rows.len()),
        context: keys.context.or(usual.context),
        transition: keys.transition.unwrap_or(usual.transition),
        rate: keys.rate.unwrap_or(usual.rate),
    };
    if !(details.rate > 0.0 && details.rate <= 1.0) {
        return Err(format!("rate is {}; expected a share of the rows above 0 up to 1, e.g. 0.2", details.rate));
    }
    Ok(Event { id, kind, channels, rows, size, unit: Unit::of(kind.measure(), own), details })
}

fn channels(keys: &EventKeys, setting: &Setting<'_>) -> Result<Vec<usize>, String> {
    let (kind, names) = (keys.kind, &keys.channel.0);
    match (kind, names.is_empty()) {
        (Kind::ClockSkew, _) if setting.times.is_empty() => return Err(no_time("clock-skew")),
        (Kind::ClockSkew, true) => return Ok(Vec::new()),
        (Kind::ClockSkew, false) => return Err("clock-skew has no channel: it moves the stamps of all".to_owned()),
        (_, true) => {
            let example = setting.channels.first().map_or("pressure", String::as_str);
            return Err(format!("there is no channel; expected one of {:?}, e.g. channel={example}", setting.channels));
        }
        _ => {}
    }
    let channels = setting.channels(names)?;
    if kind.relates() && channels.len() == setting.channels.len() {
        return Err(format!("{kind} needs a channel that is left as it is; all {} are named", channels.len()));
    }
    Ok(channels)
}

fn rows(keys: &EventKeys, setting: &Setting<'_>) -> Result<Range<usize>, String> {
    let start = setting.row(keys.from, "from", false)?;
    let last = match (keys.to, keys.length) {
        (Some(_), Some(_)) => return Err("there are both to and length; expected one of them".to_owned()),
        (Some(to), None) => setting.row(to, "to", true)?,
        (None, Some(Length::Rows(0))) => return Err("length is 0; expected at least 1 row, e.g. 60".to_owned()),
        (None, Some(Length::Rows(rows))) => setting.row(Mark::Row(start.saturating_add(rows)), "length", true)?,
        (None, Some(Length::Lasts(length))) => setting.row_after(start, length)?,
        (None, None) if keys.kind == Kind::Extremum => start,
        (None, None) => return Err("it has no end; expected to, e.g. to=700, or length, e.g. length=60".to_owned()),
    };
    if last < start {
        return Err(format!("to, row {}, lies before from, row {}", last + 1, start + 1));
    }
    if keys.kind == Kind::Extremum && last > start {
        let rows = last - start + 1;
        return Err(format!("an extremum is one row, found {rows}; leave to and length out, or take spike-burst"));
    }
    Ok(start..last + 1)
}

impl Setting<'_> {
    fn channels(&self, names: &[String]) -> Result<Vec<usize>, String> {
        let mut places = Vec::new();
        for name in names {
            let place = self.channels.iter().position(|channel| channel == name).ok_or_else(|| {
                let meant = nearest(name, self.channels.iter().map(String::as_str));
                let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
                format!("there is no channel {name:?} among {:?}{meant}", self.channels)
            })?;
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Ok(places)
    }

    /// The row, from 0, that a mark means: the last one up to it of an end, else the first one from it on.
    fn row(&self, mark: Mark, key: &str, is_end: bool) -> Result<usize, String> {
        match mark {
            Mark::Row(row) if (1..=self.rows).contains(&row) => Ok(row - 1),
            Mark::Row(row) => Err(format!("{key} is row {row}; the recording has rows 1 to {}", self.rows)),
            Mark::After(after) => {
                let start = self.start(key)?;
                let at = SignedDuration::try_from(after).ok().and_then(|after| start.checked_add(after).ok());
                self.at(at.unwrap_or(Timestamp::MAX), key, is_end)
            }
            Mark::At(time) => {
                self.start(key)?;
                self.at(time, key, is_end)
            }
        }
    }

    fn row_after(&self, start: usize, length: Duration) -> Result<usize, String> {
        let from = self.times.get(start).copied().flatten().ok_or_else(|| no_time(&show_duration(length)))?;
        let to = SignedDuration::try_from(length).ok().and_then(|length| from.checked_add(length).ok());
        self.at(to.unwrap_or(Timestamp::MAX), "length", true)
    }

    fn start(&self, key: &str) -> Result<Timestamp, String> {
        self.times.iter().flatten().next().copied().ok_or_else(|| no_time(key))
    }

    fn at(&self, time: Timestamp, key: &str, is_end: bool) -> Result<usize, String> {
        let there = || self.times.iter().enumerate().filter_map(|(row, stamp)| Some((row, (*stamp)?)));
        let (earliest, latest) = (there().map(|it| it.1).min(), there().map(|it| it.1).max());
        let (Some(earliest), Some(latest)) = (earliest, latest) else { return Err(no_time(key)) };
        if !(earliest..=latest).contains(&time) {
            return Err(format!("{key} is {time}; the recording goes from {earliest} to {latest}"));
        }
        let found = match is_end {
            true => there().rfind(|(_, stamp)| *stamp <= time),
            false => there().find(|(_, stamp)| *stamp >= time),
        };
        Ok(found.map_or(0, |(row, _)| row))
    }
}

fn no_time(what: &str) -> String {
    format!(
        "{what} needs times, and the recording has no time column; name it with --time, or give rows, e.g. from=600"
    )
}

fn never_changes(channel: &str) -> String {
    format!(
        "{channel} never changes, so that it has no deviation to count in; give unit = \"own\" and a size in its unit"
    )
}

/// In rows.
const USUAL_TRANSITION: usize = 10;
const USUAL_LENGTHS: (usize, usize) = (30, 120);
/// What is shorter is lost in noise: fewer events are better then.
const SHORTEST_USUAL: usize = 5;
const MOST_BURST: usize = 100_000;
/// Share of the rows of a burst that have a spike.
const USUAL_RATE: f64 = 0.2;
const MOST_EVENTS: usize = 10_000;
