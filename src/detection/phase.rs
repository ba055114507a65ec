use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// Where in its cycle a machine is, told by its rows and by no clock.
///
/// Every phase is a hypothesis with an error that forgets: how badly the newest steps from row to row fit the template's.
/// From one row to the next each hypothesis moves on by one phase, or, at a price, by none or two, so that cycles may be a
/// little longer or shorter than usual.
pub struct PhaseTracker {
    fitted: FittedPhases,
    state: PhaseMemory,
    /// The errors after the newest row, while they are worked out.
    next: Vec<f64>,
}

/// The steps that tell the phases apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedPhases {
    period: usize,
    /// The channels whose steps are looked at.
    channels: Vec<usize>,
    /// The step into each phase, channel by channel, over what is left unexplained of that channel's steps.
    steps: Vec<f64>,
    /// What is left unexplained of each channel's steps, as a standard deviation.
    spreads: Vec<f64>,
    explained: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseMemory {
    /// Of each hypothesis, by the phase that it says the newest row has.
    errors: Vec<f64>,
    newest: Vec<f64>,
    /// Rows since it began.
    seen: usize,
    phase: usize,
}

impl PhaseTracker {
    pub fn new(fitted: FittedPhases) -> Self {
        let state = PhaseMemory {
            errors: vec![0.0; fitted.period],
            newest: vec![f64::NAN; fitted.channels.len()],
            seen: 0,
            phase: 0,
        };
        Self { next: vec![0.0; fitted.period], state, fitted }
    }

    /// Takes the newest row and tells its phase; `None` until the rows fit one phase and its neighbours far better than all
    /// others, or a whole cycle was seen.
    pub fn observe(&mut self, row: &[f64]) -> Option<usize> {
        let Self { fitted, state, next } = self;
        let FittedPhases { period, channels, steps, spreads, .. } = fitted;
        let (period, width) = (*period, channels.len());
        for (phase, next) in next.iter_mut().enumerate() {
            let on = state.errors[(phase + period - 1) % period];
            let rested = state.errors[phase] + PRICE;
            let hurried = state.errors[(phase + period - 2) % period] + PRICE;
            *next = on.min(rested).min(hurried);
        }
        for (place, &channel) in channels.iter().enumerate() {
            let step = (row[channel] - state.newest[place]) / spreads[place];
            state.newest[place] = row[channel];
            if step.is_nan() {
                continue;
            }
            for (error, expected) in next.iter_mut().zip(steps[place..].iter().step_by(width)) {
                *error += ((step - expected).powi(2)).min(MOST_ERROR) / width as f64;
            }
        }
        let forget = 1.0 - 1.0 / period as f64;
        next.iter_mut().for_each(|error| *error *= forget);
        std::mem::swap(&mut state.errors, next);
        state.phase = (state.phase + 1) % period;
        state.seen = state.seen.saturating_add(1);
        let best = (0..period).min_by(|&one, &other| state.errors[one].total_cmp(&state.errors[other]))?;
        if state.errors[best] + MARGIN < state.errors[state.phase] || state.seen <= period {
            state.phase = best;
        }
        (state.seen > period || self.is_decided()).then_some(self.state.phase)
    }

    fn is_decided(&self) -> bool {
        let PhaseMemory { errors, phase: told, .. } = &self.state;
        let period = errors.len();
        errors.iter().enumerate().all(|(phase, error)| {
            let ahead = (phase + period - told) % period;
            ahead.min(period - ahead) <= NEIGHBOURS || *error > errors[*told] + DECISIVE
        })
    }

    /// Starts anew: the cycle may be anywhere.
    pub fn reset(&mut self) {
        self.state.errors.fill(0.0);
        self.state.newest.fill(f64::NAN);
        self.state.seen = 0;
    }

    pub fn memory(&self) -> PhaseMemory {
        self.state.clone()
    }

    /// Takes back what it remembered; what belongs to another cycle is left alone.
    pub fn recall(&mut self, memory: &PhaseMemory) {
        let alike = memory.errors.len() == self.fitted.period && memory.newest.len() == self.fitted.channels.len();
        if alike && memory.phase < self.fitted.period && memory.errors.iter().all(|error| error.is_finite()) {
            self.state.clone_from(memory);
        }
    }
}

impl FittedPhases {
    /// `rows` are standardised, `[time, channel]`, the first of them in phase 0. `None` if no channel's steps repeat.
    pub fn fit(rows: &Array2<f64>, period: usize) -> Option<Self> {
        let mut channels: Vec<Repeated> =
            (0..rows.ncols()).filter_map(|channel| Repeated::of(rows, channel, period)).collect();
        channels.sort_by(|one, other| one.unexplained.total_cmp(&other.unexplained));
        channels.truncate(MOST_CHANNELS.min(rows.ncols().div_ceil(4)));
        if channels.is_empty() {
            return None;
        }
        let steps = (0..period).flat_map(|phase| channels.iter().map(move |known| known.steps[phase])).collect();
        Some(Self {
            period,
            steps,
            explained: channels.iter().map(|known| 1.0 - known.unexplained).sum::<f64>() / channels.len() as f64,
            spreads: channels.iter().map(|known| known.spread).collect(),
            channels: channels.iter().map(|known| known.channel).collect(),
        })
    }

    /// The share of the steps' power that the phase explains, on average over the channels that are looked at.
    pub fn explained(&self) -> f64 {
        self.explained
    }

    pub fn period(&self) -> usize {
        self.period
    }

    /// Whether all of its pieces fit together, as they must when it was read from a file.
    pub fn is_whole(&self, width: usize) -> bool {
        (2..=1_000_000).contains(&self.period)
            && self.channels.iter().all(|channel| *channel < width)
            && self.spreads.len() == self.channels.len()
            && self.spreads.iter().all(|spread| *spread > 0.0)
            && self.steps.len() == self.period * self.channels.len()
    }
}

/// One channel's steps, phase by phase.
struct Repeated {
    channel: usize,
    steps: Vec<f64>,
    spread: f64,
    /// The share of the steps' power that the phase leaves unexplained.
    unexplained: f64,
}

impl Repeated {
    fn of(rows: &Array2<f64>, channel: usize, period: usize) -> Option<Self> {
        let column = rows.column(channel);
        let steps =
            || (1..column.len()).map(|t| (t % period, column[t] - column[t - 1])).filter(|(_, step)| !step.is_nan());
        let (mut sums, mut counts) = (vec![0.0; period], vec![0.0f64; period]);
        for (phase, step) in steps() {
            sums[phase] += step;
            counts[phase] += 1.0;
        }
        let means: Vec<f64> = sums.iter().zip(&counts).map(|(sum, count)| sum / count.max(1.0)).collect();
        let (whole, left) = steps().fold((0.0, 0.0), |(whole, left), (phase, step)| {
            (whole + step * step, left + (step - means[phase]).powi(2))
        });
        // The means were taken from the very steps that they explain.
        let count = steps().count() as f64;
        let left = left * count / (count - period as f64).max(1.0);
        let unexplained = left / whole;
        if unexplained.is_nan() || unexplained >= MOST_UNEXPLAINED {
            return None;
        }
        let spread = (left / count).sqrt().max(1e-6);
        Some(Self { channel, steps: means.iter().map(|mean| mean / spread).collect(), spread, unexplained })
    }
}

/// The price of a phase that lasts two rows, or that is left out.
const PRICE: f64 = 3.0;
/// The phase changes its mind only for so much less error; less than the price, for that is all that a neighbour differs by.
const MARGIN: f64 = 1.5;
/// A step that fits nothing says no more than this against a hypothesis.
const MOST_ERROR: f64 = 9.0;
/// As bad as a step that fits nothing: by so much all other phases must be worse before a whole cycle was seen.
const DECISIVE: f64 = MOST_ERROR;
/// Phases beside another that may pass for it.
const NEIGHBOURS: usize = 2;
/// Channels whose steps are looked at; more tell no more.
const MOST_CHANNELS: usize = 4;
const MOST_UNEXPLAINED: f64 = 0.8;

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn load(phase: usize) -> [f64; 2] {
        let square = f64::from(u8::from(phase < 13)) + f64::from(u8::from((30..33).contains(&phase)));
        [3.0 * square, (phase as f64 / 7.0).sin()]
    }

    fn noisy(phase: usize, t: usize) -> [f64; 2] {
        let mut random = ChaCha8Rng::seed_from_u64(t as u64);
        load(phase).map(|value| value + random.random_range(-0.2..0.2))
    }

    /// Not further apart than a stretch without steps leaves open.
    fn near(one: usize, other: usize) -> bool {
        let ahead = (one + 40 - other) % 40;
        ahead.min(40 - ahead) <= 3
    }

    fn fitted() -> FittedPhases {
        FittedPhases::fit(&Array2::from_shape_fn((40 * 8, 2), |(t, channel)| noisy(t % 40, t)[channel]), 40).unwrap()
    }

    #[test]
    fn the_phase_is_found_to_within_a_few_rows_wherever_the_machine_starts() {
        for start in [0, 11, 39] {
            let mut tracker = PhaseTracker::new(fitted());
            for t in 0..400 {
                let phase = (start + t) % 40;
                let told = tracker.observe(&noisy(phase, t + 13));
                assert!(told.map_or(t < 40, |told| near(told, phase)), "row {t}: {told:?}, {phase}");
            }
        }
    }

    #[test]
    fn the_phase_is_told_before_a_whole_cycle_was_seen_where_the_rows_leave_no_doubt() {
        for start in [0, 11, 29] {
            let mut tracker = PhaseTracker::new(fitted());
            let told = (0..40).find(|&t| tracker.observe(&noisy((start + t) % 40, t + 13)).is_some());
            assert!(told.is_some_and(|row| row < 36), "{start}: {told:?}");
        }
    }

    #[test]
    fn cycles_that_last_a_little_longer_are_followed() {
        let mut tracker = PhaseTracker::new(fitted());
        let mut wrong = 0;
        for t in 0..820 {
            // Each cycle of 41 rows rests for one row in its 20th phase.
            let phase = (t % 41) - usize::from(t % 41 > 20);
            let told = tracker.observe(&noisy(phase, t));
            wrong += usize::from(t > 82 && told.is_none_or(|told| !near(told, phase)));
        }
        assert!(wrong < 74, "{wrong} of 738");
    }

    #[test]
    fn a_level_that_is_off_does_not_disturb_the_phase() {
        let mut tracker = PhaseTracker::new(fitted());
        for t in 0..400 {
            let [one, other] = noisy(t % 40, t);
            let off = if t > 200 { 5.0 } else { 0.0 };
            let told = tracker.observe(&[one + off, other - off]);
            assert!(t < 40 || told.is_some_and(|told| near(told, t % 40)), "row {t}: {told:?}");
        }
    }
}
