//! Judges scores by labels: point by point, without a threshold, and by events; never "point-adjusted".

use std::ops::Range;

/// How often an alarm was right, point by point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Confusion {
    pub hits: f64,
    pub false_alarms: f64,
    pub misses: f64,
    pub correct_silences: f64,
}

impl Confusion {
    pub fn of(labels: &[bool], alarms: &[bool]) -> Self {
        let count = |label, alarm| labels.iter().zip(alarms).filter(|pair| pair == &(&label, &alarm)).count() as f64;
        Self {
            hits: count(true, true),
            false_alarms: count(false, true),
            misses: count(true, false),
            correct_silences: count(false, false),
        }
    }

    pub fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.false_alarms += other.false_alarms;
        self.misses += other.misses;
        self.correct_silences += other.correct_silences;
    }

    pub fn f1(&self) -> f64 {
        2.0 * self.hits / (2.0 * self.hits + self.false_alarms + self.misses).max(1.0)
    }

    /// Share of the normal rows in alarm, in percent.
    pub fn far(&self) -> f64 {
        100.0 * self.false_alarms / (self.false_alarms + self.correct_silences).max(1.0)
    }

    /// Share of the anomalous rows without alarm, in percent.
    pub fn mar(&self) -> f64 {
        100.0 * self.misses / (self.misses + self.hits).max(1.0)
    }
}

/// Area under the curve of precision over recall, as the average of the precision at each step of recall.
pub fn auprc(labels: &[bool], scores: &[f64]) -> f64 {
    let positives = labels.iter().filter(|label| **label).count() as f64;
    let (mut seen, mut hits, mut area, mut recall) = (0.0, 0.0, 0.0, 0.0);
    for tied in steps(scores) {
        seen += tied.len() as f64;
        hits += tied.iter().filter(|row| labels[**row]).count() as f64;
        area += (hits / positives - recall) * hits / seen;
        recall = hits / positives;
    }
    area
}

/// Volume under the surface of precision, recall and buffer length (Paparrizos and others, VLDB 2022), in the definition of
/// the benchmark TSB-AD: buffers of 0 to `widest` rows, 250 thresholds.
pub fn vus_pr(labels: &[bool], scores: &[f64], widest: usize) -> f64 {
    let events = events(labels);
    if events.is_empty() {
        return f64::NAN;
    }
    let order: Vec<usize> = steps(scores).concat();
    let thresholds: Vec<f64> =
        (0..THRESHOLDS).map(|k| scores[order[k * (scores.len() - 1) / (THRESHOLDS - 1)]]).collect();
    let areas = (0..=widest).map(|width| range_ap(labels, scores, &order, &thresholds, (&events, width)));
    areas.sum::<f64>() / (widest + 1) as f64
}

/// What a plant's operator sees.
#[derive(Clone, Debug, Default)]
pub struct Events {
    pub there: usize,
    pub found: usize,
    /// Seconds from an event's start to the first alarm in it.
    pub delays: Vec<f64>,
    /// Alarms that begin in normal rows; gaps up to a minute are bridged.
    pub false_alarms: usize,
    pub days: f64,
}

impl Events {
    /// `seconds` are the rows' times.
    pub fn of(labels: &[bool], alarms: &[bool], seconds: &[f64]) -> Self {
        let there = events(labels);
        let found =
            there.iter().filter_map(|event| event.clone().find(|&row| alarms[row]).map(|row| (event.start, row)));
        let delays: Vec<f64> = found.map(|(start, row)| seconds[row] - seconds[start]).collect();
        let mut false_alarms = 0;
        let mut last: Option<f64> = None;
        for row in (0..alarms.len()).filter(|&row| alarms[row]) {
            let begins = last.is_none_or(|last| seconds[row] - last > 60.0);
            false_alarms += usize::from(begins && !labels[row]);
            last = Some(seconds[row]);
        }
        let normal = labels.iter().filter(|label| !**label).count() as f64 / labels.len().max(1) as f64;
        let span = seconds.last().zip(seconds.first()).map_or(0.0, |(last, first)| last - first);
        Self { there: there.len(), found: delays.len(), delays, false_alarms, days: normal * span / 86_400.0 }
    }

    pub fn add(&mut self, other: Self) {
        self.there += other.there;
        self.found += other.found;
        self.delays.extend(other.delays);
        self.false_alarms += other.false_alarms;
        self.days += other.days;
    }

    pub fn delay(&self, quantile: f64) -> f64 {
        let mut sorted = self.delays.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get((quantile * sorted.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn false_alarms_a_day(&self) -> f64 {
        self.false_alarms as f64 / self.days
    }
}

/// Holds the yardstick itself against figures of the benchmark's own code on made-up series.
pub fn check_the_yardstick() {
    type Fixture = (usize, &'static [(usize, usize)], usize, f64);
    let fixtures: [Fixture; 3] = [
        (400, &[(100, 140)], 20, 0.552_398_135_763_054_2),
        (600, &[(50, 90), (300, 330), (345, 400)], 40, 0.676_522_324_021_762_2),
        (300, &[(0, 25), (280, 300)], 100, 0.699_464_225_503_258_8),
    ];
    for (rows, there, widest, expected) in fixtures {
        let labels: Vec<bool> = (0..rows).map(|t| there.iter().any(|&(from, to)| (from..to).contains(&t))).collect();
        let tail = there[0].1..there[0].1 + 9;
        let score = |t: usize| {
            let raised = if labels[t] { 0.35 } else { 0.0 } + if tail.contains(&t) { 0.2 } else { 0.0 };
            ((t * 7919) % 1009) as f64 / 1009.0 + raised
        };
        let scores: Vec<f64> = (0..rows).map(score).collect();
        let measured = vus_pr(&labels, &scores, widest);
        assert!((measured - expected).abs() < 1e-6, "VUS-PR {measured}, the benchmark's own code gives {expected}");
    }
    let labels = [false, true, false, true];
    assert!((auprc(&labels, &[0.1, 0.4, 0.35, 0.8]) - 1.0).abs() < 1e-12);
    assert!((auprc(&labels, &[0.8, 0.4, 0.35, 0.1]) - 0.5).abs() < 1e-12);
    assert!((auprc(&labels, &[0.5; 4]) - 0.5).abs() < 1e-12, "ties are one step");
    let confusion = Confusion::of(&labels, &[true, true, false, false]);
    assert_eq!((confusion.f1(), confusion.far(), confusion.mar()), (0.5, 50.0, 50.0));
}

/// The runs of anomalous rows.
fn events(labels: &[bool]) -> Vec<Range<usize>> {
    let mut events: Vec<Range<usize>> = Vec::new();
    for row in (0..labels.len()).filter(|&row| labels[row]) {
        match events.last_mut() {
            Some(event) if event.end == row => event.end = row + 1,
            _ => events.push(row..row + 1),
        }
    }
    events
}

/// The rows from the highest score to the lowest, those with the same score together.
fn steps(scores: &[f64]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
    let mut steps: Vec<Vec<usize>> = Vec::new();
    for row in order {
        match steps.last_mut() {
            Some(step) if scores[step[0]] == scores[row] => step.push(row),
            _ => steps.push(vec![row]),
        }
    }
    steps
}

/// Average precision with labels that fade out over `width / 2` rows around each event.
fn range_ap(
    labels: &[bool],
    scores: &[f64],
    order: &[usize],
    thresholds: &[f64],
    (events, width): (&[Range<usize>], usize),
) -> f64 {
    let half = width / 2;
    let mut soft: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
    for event in events {
        let last = event.end - 1;
        let fading = |distance: usize| (1.0 - distance as f64 / width as f64).sqrt();
        let after = event.end..(last + half + 1).min(labels.len());
        soft[after].iter_mut().zip(1..).for_each(|(soft, distance)| *soft += fading(distance));
        let before = event.start.saturating_sub(half)..event.start;
        soft[before].iter_mut().rev().zip(1..).for_each(|(soft, distance)| *soft += fading(distance));
    }
    soft.iter_mut().for_each(|soft| *soft = soft.min(1.0));
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for event in events {
        let wide = event.start.saturating_sub(half)..(event.end + half).min(labels.len());
        match ranges.last_mut() {
            Some(range) if range.end > wide.start => range.end = wide.end,
            _ => ranges.push(wide),
        }
    }
    let peaks: Vec<f64> =
        ranges.iter().map(|range| scores[range.clone()].iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect();
    let positives = labels.iter().filter(|label| **label).count() as f64;
    let (mut taken, mut soft_hits, mut hits) = (0, 0.0, 0.0);
    let (mut area, mut before) = (0.0, 0.0);
    for &threshold in thresholds {
        while taken < order.len() && scores[order[taken]] >= threshold {
            soft_hits += soft[order[taken]];
            hits += f64::from(u8::from(labels[order[taken]]));
            taken += 1;
        }
        let found = peaks.iter().filter(|peak| **peak >= threshold).count() as f64 / ranges.len() as f64;
        let in_all = (positives + positives + soft_hits - hits) / 2.0;
        let recall = (soft_hits / in_all).min(1.0) * found;
        area += (recall - before) * soft_hits / taken as f64;
        before = recall;
    }
    area
}

const THRESHOLDS: usize = 250;
