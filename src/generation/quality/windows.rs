use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use ndarray::Array2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Windows of one file, all of one length, with the same channels and labels.
#[derive(Clone, Debug)]
pub struct WindowSet {
    pub channels: Vec<String>,
    pub labels: Vec<String>,
    /// Rows of a window.
    pub rows: usize,
    pub windows: Vec<Window>,
}

#[derive(Clone, Debug)]
pub struct Window {
    /// Windows that belong together have the same number, such as those of one run.
    pub group: usize,
    /// In the order of [`WindowSet::labels`].
    pub labels: Vec<f64>,
    /// `[row * channels + channel]`, in the channels' units.
    pub values: Vec<f64>,
}

/// Windows that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum WindowsError {
    #[error("{who} has {found} windows of {rows} rows; {} at least are needed to say anything", FEWEST)]
    TooFew { who: &'static str, found: usize, rows: usize },
    #[error("{who} has the channels {found:?} where the real windows have {expected:?}")]
    OtherChannels { who: &'static str, found: Vec<String>, expected: Vec<String> },
    #[error("{who} has {found} rows a window where the real windows have {expected}; say --rows")]
    OtherLength { who: &'static str, found: usize, expected: usize },
    #[error("{who} has {groups} groups; windows of {} at least are needed to split them; see --group", FEWEST_GROUPS)]
    TooFewGroups { who: &'static str, groups: usize },
    #[error("{who} has the labels {found:?} where the real windows have {expected:?}; see --labels")]
    OtherLabels { who: &'static str, found: Vec<String>, expected: Vec<String> },
    #[error("{who} has windows of {rows} rows; {FEWEST_ROWS} at least are needed; see --rows")]
    TooShort { who: &'static str, rows: usize },
    #[error("a window of {rows} rows of {channels} channels has more than {WIDEST} values; say fewer --rows")]
    TooWide { rows: usize, channels: usize },
    #[error("no channel of the real windows varies, so there is nothing to compare")]
    Constant,
    #[error(
        "{shared} of the {of} windows of --holdout are windows of --real too; what the training saw says nothing of what it did not: keep whole runs apart"
    )]
    NotHeldOut { shared: usize, of: usize },
}

impl WindowSet {
    /// Values of a window.
    pub fn width(&self) -> usize {
        self.rows * self.channels.len()
    }

    pub fn groups(&self) -> usize {
        self.by_group().len()
    }

    pub(super) fn check(&self, who: &'static str, like: &Self) -> Result<(), WindowsError> {
        if self.channels != like.channels {
            return Err(WindowsError::OtherChannels {
                who,
                found: self.channels.clone(),
                expected: like.channels.clone(),
            });
        }
        if self.rows != like.rows {
            return Err(WindowsError::OtherLength { who, found: self.rows, expected: like.rows });
        }
        if self.rows < FEWEST_ROWS {
            return Err(WindowsError::TooShort { who, rows: self.rows });
        }
        if self.width() > WIDEST {
            return Err(WindowsError::TooWide { rows: self.rows, channels: self.channels.len() });
        }
        if self.windows.len() < FEWEST {
            return Err(WindowsError::TooFew { who, found: self.windows.len(), rows: self.rows });
        }
        match self.groups() {
            groups if groups < FEWEST_GROUPS => Err(WindowsError::TooFewGroups { who, groups }),
            _ => Ok(()),
        }
    }

    /// Refuses windows that can be no yardstick for what was learnt from `train`.
    pub(super) fn check_held_out(&self, train: &Self) -> Result<(), WindowsError> {
        self.check("--holdout", train)?;
        if self.labels != train.labels {
            let (found, expected) = (self.labels.clone(), train.labels.clone());
            return Err(WindowsError::OtherLabels { who: "--holdout", found, expected });
        }
        let bits = |window: &Window| window.values.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
        let seen: HashSet<Vec<u64>> = train.windows.iter().map(bits).collect();
        let shared = self.windows.iter().filter(|window| seen.contains(&bits(window))).count();
        // A machine at rest may well say the same twice.
        match 2 * shared > self.windows.len() {
            true => Err(WindowsError::NotHeldOut { shared, of: self.windows.len() }),
            false => Ok(()),
        }
    }

    /// At most `most` windows a group, evenly taken, so that no long run outweighs the others.
    pub(super) fn thinned(&self, most: usize) -> Self {
        let kept = self.by_group().into_values().flat_map(|places| evenly(&places, most));
        self.only(kept.collect())
    }

    /// As [`thinned`](Self::thinned), but other windows of each group with each draw.
    pub(super) fn drawn(&self, most: usize, random: &mut impl Rng) -> Vec<usize> {
        let mut kept = Vec::new();
        for mut places in self.by_group().into_values() {
            shuffle(&mut places, random);
            kept.extend_from_slice(&places[..places.len().min(most)]);
        }
        shuffle(&mut kept, random);
        kept
    }

    /// At most so many windows, evenly taken.
    pub(super) fn at_most(&self, most: usize) -> Self {
        let places: Vec<usize> = (0..self.windows.len()).collect();
        self.only(evenly(&places, most))
    }

    pub(super) fn only(&self, mut places: Vec<usize>) -> Self {
        places.sort_unstable();
        let windows = places.into_iter().map(|place| self.windows[place].clone()).collect();
        Self { windows, ..self.empty() }
    }

    pub(super) fn empty(&self) -> Self {
        let Self { channels, labels, rows, .. } = self;
        Self { channels: channels.clone(), labels: labels.clone(), rows: *rows, windows: Vec::new() }
    }

    /// The windows of a random half of the groups, of each condition as many as can be, and the rest.
    pub(super) fn halves(&self) -> (Self, Self) {
        let mut groups: Vec<(usize, &Vec<f64>)> =
            self.by_group().into_iter().map(|(group, places)| (group, &self.windows[places[0]].labels)).collect();
        shuffle(&mut groups, &mut ChaCha8Rng::seed_from_u64(HALVES_SEED));
        groups.sort_by(|(_, one), (_, other)| {
            let differing = one.iter().zip(other.iter()).map(|(one, other)| one.total_cmp(other));
            differing.fold(Ordering::Equal, Ordering::then)
        });
        let ranks = groups.into_iter().enumerate();
        let rank: HashMap<usize, usize> = ranks.map(|(rank, (group, _))| (group, rank)).collect();
        let half = |parity| {
            let own = |&place: &usize| rank[&self.windows[place].group] % 2 == parity;
            self.only((0..self.windows.len()).filter(own).collect())
        };
        (half(0), half(1))
    }

    /// Values of one channel, window after window.
    pub(super) fn channel(&self, channel: usize) -> Vec<f64> {
        let width = self.channels.len();
        self.windows.iter().flat_map(|window| window.values.iter().skip(channel).step_by(width).copied()).collect()
    }

    /// `[window, row * channels + channel]`.
    pub(super) fn matrix(&self) -> Array2<f64> {
        let values = self.windows.iter().flat_map(|window| &window.values).copied().collect();
        Array2::from_shape_vec((self.windows.len(), self.width()), values).expect("windows of a set have one width")
    }

    fn by_group(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, window) in self.windows.iter().enumerate() {
            groups.entry(window.group).or_default().push(place);
        }
        groups
    }
}

/// A channel's mean and deviation in the training windows: what every distance is measured in.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Scale {
    pub fn of(set: &WindowSet) -> Result<Self, WindowsError> {
        let moments = |channel| moments(&set.channel(channel));
        let (mean, deviation): (Vec<f64>, Vec<f64>) = (0..set.channels.len()).map(moments).unzip();
        match deviation.iter().all(|deviation| *deviation == 0.0) {
            true => Err(WindowsError::Constant),
            false => Ok(Self { mean, deviation }),
        }
    }

    /// The windows in deviations; a channel that never varied in training stays in its unit.
    pub fn apply(&self, set: &WindowSet) -> WindowSet {
        let mut scaled = set.clone();
        for window in &mut scaled.windows {
            for (place, value) in window.values.iter_mut().enumerate() {
                let channel = place % self.mean.len();
                let deviation = if self.deviation[channel] > 0.0 { self.deviation[channel] } else { 1.0 };
                *value = (*value - self.mean[channel]) / deviation;
            }
        }
        scaled
    }
}

/// Mean and standard deviation (of the population).
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
}

/// Fisher and Yates.
pub(super) fn shuffle<T>(items: &mut [T], random: &mut impl Rng) {
    for last in (1..items.len()).rev() {
        let other = (random.next_u64() % (last as u64 + 1)) as usize;
        items.swap(last, other);
    }
}

fn evenly(places: &[usize], most: usize) -> Vec<usize> {
    let count = places.len().min(most);
    (0..count).map(|index| places[index * places.len() / count]).collect()
}

const FEWEST: usize = 20;
const FEWEST_ROWS: usize = 4;
/// Values of a window; a covariance has their square.
const WIDEST: usize = 4096;
const FEWEST_GROUPS: usize = 5;
const HALVES_SEED: u64 = 13;
