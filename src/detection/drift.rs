use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use crate::acquisition::Name;

/// Whether a machine still is what it was calibrated on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    #[default]
    None,
    /// Sound rows lie elsewhere, scatter otherwise or come above the limit more often than the calibration lets expect.
    Drifted,
    /// Most rows lie above the limit: a regime that the calibration does not know, or a fault that lasts.
    UnknownRegime,
}

/// What the newest whole window said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftReport {
    pub drift: Drift,
    /// Of a window.
    pub window_rows: u64,
    /// The share of the newest window's rows outside episodes that lay above the limit; none before the first window, or
    /// where an alarm stood all the time.
    pub realised_rate: Option<f64>,
    /// Those that moved furthest for what the calibration lets expect, the worst first; none while nothing has drifted.
    pub channels: Vec<DriftedChannel>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftedChannel {
    pub channel: Name,
    /// How far its mean has moved, in standard deviations of the calibration.
    pub level: f64,
    /// Its standard deviation within the window, times that of the calibration; none where no rows outside episodes tell.
    pub scatter: Option<f64>,
}

/// Compares long windows of rows with the calibration. It is slow on purpose: what comes and goes within an hour is the
/// charts' business, and what it says raises no alarm.
///
/// A window is as long as the calibration was, so that it holds the same variety, and an hour at least. Two in a row must
/// agree before anything is said or taken back.
pub(super) struct DriftMonitor {
    fitted: FittedDrift,
    /// Rows of a window.
    window: u64,
    state: DriftMemory,
}

/// What a calibration tells of how far its own means stray.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedDrift {
    /// Of each scored channel, standardised: how far the mean of a quarter of the calibration lies from the whole's.
    wander: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DriftMemory {
    /// Of the window that is open.
    rows: u64,
    /// Those of them in an episode or above the limit.
    outside: u64,
    /// Those outside episodes.
    sound: u64,
    /// Those above the limit outside episodes.
    above: u64,
    channels: Vec<ChannelMemory>,
    /// What the newest whole window said.
    newest: Drift,
    drift: Drift,
    realised_rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ChannelMemory {
    /// Of the open window's rows outside episodes.
    count: u32,
    sum: f64,
    squares: f64,
    /// Of its rows in an episode.
    episode_count: u32,
    episode_sum: f64,
    /// Of the newest whole window.
    level: f32,
    scatter: f32,
}

/// Where a row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub above_limit: bool,
    pub in_episode: bool,
}

impl DriftMonitor {
    /// `window`: as many rows as the calibration had, or more.
    pub fn new(fitted: FittedDrift, window: usize) -> Self {
        let state = DriftMemory::new(fitted.wander.len());
        Self { fitted, window: (window as u64).clamp(1, MOST_ROWS), state }
    }

    /// Never looks at fewer rows than this at a time.
    pub fn look_at_least_at(&mut self, rows: u64) {
        self.window = self.window.max(rows.min(MOST_ROWS));
    }

    /// Takes the newest standardised row, NaN where a channel has no value. `nominal` is the share of sound rows that is meant
    /// to lie above the limit.
    pub fn observe(&mut self, row: &[f64], whereabouts: Whereabouts, nominal: f64) {
        let Whereabouts { above_limit, in_episode } = whereabouts;
        let state = &mut self.state;
        state.rows += 1;
        state.outside += u64::from(above_limit || in_episode);
        state.sound += u64::from(!in_episode);
        state.above += u64::from(above_limit && !in_episode);
        let values = state.channels.iter_mut().zip(row).filter(|(_, value)| !value.is_nan());
        if in_episode {
            for (channel, value) in values {
                channel.episode_count += 1;
                channel.episode_sum += value;
            }
        } else {
            for (channel, value) in values {
                channel.count += 1;
                channel.sum += value;
                channel.squares += value * value;
            }
        }
        if state.rows >= self.window {
            self.close_window(nominal);
        }
    }

    pub fn drift(&self) -> Drift {
        self.state.drift
    }

    /// `names` are the scored channels.
    pub fn report<'n>(&self, names: impl Iterator<Item = &'n Name>) -> DriftReport {
        let DriftMemory { drift, realised_rate, .. } = self.state;
        let mut moved: Vec<(f64, DriftedChannel)> = names
            .zip(&self.state.channels)
            .zip(&self.fitted.wander)
            .map(|((name, channel), &wander)| (channel.far(wander), name, channel))
            .filter(|(far, _, _)| drift != Drift::None && *far >= STILL)
            .map(|(far, name, channel)| {
                let scatter = Some(f64::from(channel.scatter)).filter(|scatter| !scatter.is_nan());
                (far, DriftedChannel { channel: name.clone(), level: f64::from(channel.level), scatter })
            })
            .collect();
        moved.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let channels = moved.into_iter().take(MOST_NAMED).map(|(_, channel)| channel).collect();
        DriftReport { drift, window_rows: self.window, realised_rate, channels }
    }

    pub fn memory(&self) -> DriftMemory {
        self.state.clone()
    }

    /// Takes back what it remembered; what belongs to another machine's channels is left alone.
    pub fn recall(&mut self, memory: &DriftMemory) {
        let finite = |channel: &ChannelMemory| {
            [channel.sum, channel.squares, channel.episode_sum].iter().all(|sum| sum.is_finite())
        };
        let alike = memory.channels.len() == self.state.channels.len() && memory.channels.iter().all(finite);
        let counted = memory.rows < self.window
            && [memory.outside, memory.sound, memory.above].iter().all(|count| *count <= memory.rows)
            && memory.channels.iter().all(|it| u64::from(it.count.max(it.episode_count)) <= memory.rows);
        if alike && counted {
            self.state.clone_from(memory);
        }
    }

    fn close_window(&mut self, nominal: f64) {
        let Self { fitted, state, .. } = self;
        let mostly_outside = 2 * state.outside >= state.rows;
        for channel in &mut state.channels {
            channel.close(mostly_outside);
        }
        // What was said stays until it is clearly over.
        let bound = if state.drift == Drift::None { 1.0 } else { STILL };
        let moved = state.channels.iter().zip(&fitted.wander).any(|(channel, &wander)| channel.far(wander) >= bound);
        let most_above = (MANY_TIMES * nominal).max(LEAST_RATE) * bound;
        let rate = (state.sound > 0).then(|| state.above as f64 / state.sound as f64);
        let newest = if mostly_outside {
            Drift::UnknownRegime
        } else if moved || rate.is_some_and(|rate| rate >= most_above) {
            Drift::Drifted
        } else {
            Drift::None
        };
        let before = std::mem::replace(&mut state.newest, newest);
        state.drift = state.drift.clamp(before.min(newest), before.max(newest));
        state.realised_rate = rate;
        (state.rows, state.outside, state.above, state.sound) = (0, 0, 0, 0);
    }
}

impl FittedDrift {
    /// `rows` are standardised, `[time, channel]`.
    pub fn fit(rows: &Array2<f64>) -> Self {
        let quarter = rows.nrows().div_ceil(QUARTERS).max(1);
        let wander = rows.columns().into_iter().map(|column| {
            let means = column.axis_chunks_iter(Axis(0), quarter).map(|part| {
                let values = || part.iter().filter(|value| !value.is_nan());
                values().sum::<f64>() / (values().count() as f64).max(1.0)
            });
            (means.map(|mean| mean * mean).sum::<f64>() / (QUARTERS - 1) as f64).sqrt()
        });
        Self { wander: wander.collect() }
    }

    /// Whether it is of so many channels, as it must when it was read from a file.
    pub fn is_whole(&self, width: usize) -> bool {
        self.wander.len() == width && self.wander.iter().all(|wander| *wander >= 0.0 && wander.is_finite())
    }
}

impl DriftMemory {
    fn new(width: usize) -> Self {
        Self {
            rows: 0,
            outside: 0,
            above: 0,
            sound: 0,
            channels: vec![ChannelMemory::default(); width],
            newest: Drift::None,
            drift: Drift::None,
            realised_rate: None,
        }
    }
}

impl ChannelMemory {
    /// Ends a window. `mostly_outside`: what its episodes showed tells more than the few rows between them.
    fn close(&mut self, mostly_outside: bool) {
        let Self { count, sum, squares, episode_count, episode_sum, .. } = *self;
        let all = f64::from(count) + f64::from(episode_count);
        let (mean, scatter) = if mostly_outside {
            ((sum + episode_sum) / all.max(1.0), f64::NAN)
        } else {
            let mean = sum / f64::from(count).max(1.0);
            let variance = squares / f64::from(count).max(1.0) - mean * mean;
            (mean, if count > 1 { variance.max(0.0).sqrt() } else { f64::NAN })
        };
        *self = Self { level: mean as f32, scatter: scatter as f32, ..Self::default() };
    }

    /// How far it has moved for what the calibration lets expect: from 1 on it has drifted.
    fn far(&self, wander: f64) -> f64 {
        let level = f64::from(self.level).abs() / LEAST_LEVEL.max(WANDERS * wander);
        level.max(f64::from(self.scatter) / LEAST_SCATTER)
    }
}

const QUARTERS: usize = 4;
/// Of a window; more do not fit the counters.
const MOST_ROWS: u64 = u32::MAX as u64;
/// In standard deviations of the calibration: no smaller shift of an hour's mean is told of.
const LEAST_LEVEL: f64 = 1.0;
/// A mean may stray this many times as far as the calibration's own quarters do. Less marks sound machines that walk
/// slowly, more misses the pump that warms up for hours.
const WANDERS: f64 = 4.0;
/// Times the calibration's standard deviation. The other way round nothing is told: machines come to rest.
const LEAST_SCATTER: f64 = 2.5;
/// Times the nominal rate: the learning limit makes up for less.
const MANY_TIMES: f64 = 10.0;
/// A share of rows; fewer are chance.
const LEAST_RATE: f64 = 0.05;
/// What has drifted by 1 is over below this.
const STILL: f64 = 0.7;
const MOST_NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::made_up::normal;
    use super::*;

    const ROWS: usize = 500;
    const SOUND: Whereabouts = Whereabouts { above_limit: false, in_episode: false };
    const ALARM: Whereabouts = Whereabouts { above_limit: true, in_episode: true };

    struct Bench {
        random: ChaCha8Rng,
        monitor: DriftMonitor,
    }

    impl Bench {
        fn new() -> Self {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let rows = Array2::from_shape_fn((ROWS, 2), |_| normal(&mut random));
            Self { random, monitor: DriftMonitor::new(FittedDrift::fit(&rows), ROWS) }
        }

        /// Shows so many windows of rows with this shift and scatter of the second channel.
        fn show(&mut self, windows: usize, [shift, scatter]: [f64; 2], whereabouts: Whereabouts) -> Drift {
            for _ in 0..windows * ROWS {
                let row = [normal(&mut self.random), shift + scatter * normal(&mut self.random)];
                self.monitor.observe(&row, whereabouts, 0.01);
            }
            self.monitor.drift()
        }

        fn report(&self) -> DriftReport {
            let names = ["a", "b"].map(|name| Name::parse(name).unwrap());
            self.monitor.report(names.iter())
        }
    }

    #[test]
    fn a_level_that_has_moved_for_two_windows_is_told_with_its_channel_and_taken_back_after_two() {
        let mut bench = Bench::new();
        assert_eq!(bench.show(20, [0.0, 1.0], SOUND), Drift::None);
        assert_eq!(bench.show(1, [1.5, 1.0], SOUND), Drift::None, "one window may be chance");
        assert_eq!(bench.show(1, [1.5, 1.0], SOUND), Drift::Drifted);
        let report = bench.report();
        assert_eq!(report.channels.len(), 1);
        assert_eq!(report.channels[0].channel.as_str(), "b");
        assert!((report.channels[0].level - 1.5).abs() < 0.2);
        assert_eq!(bench.show(3, [0.85, 1.0], SOUND), Drift::Drifted, "it is not clearly over");
        assert_eq!(bench.show(1, [0.0, 1.0], SOUND), Drift::Drifted);
        assert_eq!(bench.show(1, [0.0, 1.0], SOUND), Drift::None);
        assert_eq!(bench.report().channels, []);
    }

    #[test]
    fn a_channel_that_scatters_more_and_a_rate_far_above_the_nominal_one_are_drift() {
        assert_eq!(Bench::new().show(2, [0.0, 3.0], SOUND), Drift::Drifted);
        let mut bench = Bench::new();
        for row in 0..2 * ROWS {
            let above_limit = row % 8 == 0;
            bench.monitor.observe(&[0.0, 0.0], Whereabouts { above_limit, ..SOUND }, 0.01);
        }
        assert_eq!(bench.monitor.drift(), Drift::Drifted);
        assert!(bench.report().realised_rate.is_some_and(|rate| (rate - 0.125).abs() < 0.01));
    }

    #[test]
    fn an_alarm_is_no_drift_but_one_that_stands_for_two_windows_is_an_unknown_regime() {
        let mut bench = Bench::new();
        for _ in 0..6 {
            for row in 0..ROWS {
                let (shift, whereabouts) = if row < ROWS / 3 { (20.0, ALARM) } else { (0.0, SOUND) };
                bench.monitor.observe(&[0.0, shift], whereabouts, 0.01);
            }
            assert_eq!(bench.monitor.drift(), Drift::None);
        }
        assert_eq!(bench.show(2, [20.0, 1.0], ALARM), Drift::UnknownRegime);
        let report = bench.report();
        assert_eq!((report.channels[0].channel.as_str(), report.channels[0].scatter), ("b", None));
        assert!(report.channels[0].level > 15.0);
        assert_eq!(bench.show(2, [0.0, 1.0], SOUND), Drift::None);
    }

    #[test]
    fn a_calibration_that_wanders_lets_expect_that_it_goes_on_to() {
        let walk = Array2::from_shape_fn((ROWS, 2), |(t, _)| t as f64 / ROWS as f64 * 3.46 - 1.73);
        let mut monitor = DriftMonitor::new(FittedDrift::fit(&walk), ROWS);
        (0..4 * ROWS).for_each(|_| monitor.observe(&[3.0, 3.0], SOUND, 0.01));
        assert_eq!(monitor.drift(), Drift::None);
        (0..4 * ROWS).for_each(|_| monitor.observe(&[6.0, 3.0], SOUND, 0.01));
        assert_eq!(monitor.drift(), Drift::Drifted);
    }

    #[test]
    fn what_is_recalled_goes_on_bit_by_bit_and_what_is_damaged_is_left_alone() {
        let mut whole = Bench::new();
        whole.show(3, [1.5, 1.0], SOUND);
        (0..77).for_each(|_| whole.monitor.observe(&[0.3, f64::NAN], SOUND, 0.01));
        let mut again = Bench::new();
        again.monitor.recall(&whole.monitor.memory());
        again.random = whole.random.clone();
        for bench in [&mut whole, &mut again] {
            bench.show(2, [0.2, 1.1], SOUND);
        }
        assert_eq!(whole.monitor.memory(), again.monitor.memory());
        let mut other = Bench::new();
        let channel = ChannelMemory { sum: f64::NAN, ..Default::default() };
        let damaged = DriftMemory { channels: vec![channel; 2], ..whole.monitor.memory() };
        let counted_too_far = DriftMemory { rows: u64::MAX, ..DriftMemory::new(2) };
        for memory in [damaged, counted_too_far, DriftMemory::new(3)] {
            other.monitor.recall(&memory);
            assert_eq!(other.monitor.memory(), DriftMemory::new(2));
        }
    }
}
