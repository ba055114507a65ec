use serde::{Deserialize, Serialize};

/// A limit that goes on learning from rows outside episodes: adaptive conformal inference (Gibbs and Candès, NeurIPS 2021)
/// on the logarithm of the limit.
///
/// A row above the limit raises it by a step, a row below lowers it by the nominal rate's part of one: where it stays, rows
/// lie above it as often as they are meant to. One calibration cannot know that place; the rows that follow do.
///
/// It stands still while an alarm stands and for a while after. The steps are small, so that it does not run ahead of a fault
/// that begins, and no fault, however slowly it grows, can lead it further than [`HIGHEST`] times as far from what is usual as
/// the calibration put it.
#[derive(Clone, Debug)]
pub(super) struct LearningLimit {
    nominal: f64,
    /// The distance that half of a sound machine's rows stay below; the calibration's limit is 1.
    usual: f64,
    /// How many times as far from what is usual the limit lies as the calibration and what was learned put it.
    margin: f64,
    state: LimitMemory,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LimitMemory {
    /// Logarithm of how far the limit lies beyond what is usual, over where the calibration put it.
    log: f64,
    /// Rows until it learns again.
    guard: u32,
    /// Rows that it was told of.
    rows: u64,
    /// Those of them that lay above it.
    above: u64,
}

/// Where a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LimitReport {
    /// Times the limit that the calibration gave.
    pub factor: f64,
    /// The share of sound rows that is meant to lie above it.
    pub nominal_rate: f64,
    /// The share of the rows since the calibration that did; none before the first.
    pub realised_rate: Option<f64>,
    /// It goes on learning; not so while an alarm stands and for a while after.
    pub learning: bool,
}

impl LimitReport {
    /// To six decimals, for people.
    pub fn rounded(self) -> Self {
        let round = |value: f64| (value * 1e6).round() / 1e6;
        Self { factor: round(self.factor), realised_rate: self.realised_rate.map(round), ..self }
    }
}

impl LearningLimit {
    pub fn new(nominal: f64, usual: f64) -> Self {
        let state = LimitMemory { log: 0.0, guard: 0, rows: 0, above: 0 };
        Self { nominal, usual: usual.clamp(0.0, MOST_USUAL), margin: 1.0, state }
    }

    /// Aims at another share of sound rows above it.
    pub fn aim_at(&mut self, nominal: f64) {
        self.nominal = nominal.clamp(LEAST_NOMINAL, MOST_NOMINAL);
    }

    /// Whether rows teach it something: not so while an alarm stands and for a while after.
    pub fn learns(&self) -> bool {
        self.state.guard == 0
    }

    pub fn nominal(&self) -> f64 {
        self.nominal
    }

    /// Lies so many times as far from what is usual.
    pub fn stand_off(&mut self, margin: f64) {
        self.margin = margin;
    }

    /// Takes a distance on the calibration's scale and gives the score: 1.0 is the limit as it is now.
    ///
    /// `episode`: an alarm stands.
    pub fn observe(&mut self, distance: f64, episode: bool) -> f64 {
        let score = self.score(distance);
        let above = score > 1.0;
        let state = &mut self.state;
        state.rows += 1;
        state.above += u64::from(above);
        if episode {
            state.guard = GUARD;
        } else if state.guard > 0 {
            state.guard -= 1;
        } else {
            let step = STEP * (f64::from(u8::from(above)) - self.nominal);
            state.log = (state.log + step).clamp(LOWEST.ln(), HIGHEST.ln());
        }
        score
    }

    /// The score of a distance, and nothing learned.
    ///
    /// Distances of many channels lie close together: half of the sound rows may reach four fifths of the limit. So that an
    /// alarm clears on any machine, what is usual is always 0.4 of the limit, and the score the root of the distance beyond.
    pub fn score(&self, distance: f64) -> f64 {
        let limit = self.limit();
        let beyond = distance - self.usual;
        let usual = USUAL_SCORE * USUAL_SCORE;
        if beyond > 0.0 {
            (usual + (1.0 - usual) * beyond / (limit - self.usual)).sqrt()
        } else {
            (usual * distance / self.usual).max(0.0).sqrt()
        }
    }

    pub fn report(&self) -> LimitReport {
        let LimitMemory { rows, above, .. } = self.state;
        LimitReport {
            factor: self.limit(),
            nominal_rate: self.nominal,
            realised_rate: (rows > 0).then(|| above as f64 / rows as f64),
            learning: self.learns(),
        }
    }

    pub fn memory(&self) -> LimitMemory {
        self.state.clone()
    }

    pub fn recall(&mut self, memory: &LimitMemory) {
        if (LOWEST.ln()..=HIGHEST.ln()).contains(&memory.log) {
            self.state.clone_from(memory);
        }
    }

    /// In units of the distance.
    fn limit(&self) -> f64 {
        self.usual + (1.0 - self.usual) * self.margin * self.state.log.exp()
    }
}

/// By how much, in logarithms, a row above the limit raises it.
const STEP: f64 = 0.04;
/// Rarer than this no limit can learn within a machine's life, and more often is no limit.
const LEAST_NOMINAL: f64 = 1e-5;
const MOST_NOMINAL: f64 = 0.05;
/// How far the limit may come from where the calibration put it.
const HIGHEST: f64 = 9.0;
const LOWEST: f64 = 0.02;
/// The score that half of a sound machine's rows stay below.
const USUAL_SCORE: f64 = 0.4;
/// Of the calibration's limit.
const MOST_USUAL: f64 = 0.5;
/// Rows after an episode that teach nothing yet.
const GUARD: u32 = 60;

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn realised(scores: impl Iterator<Item = f64>) -> f64 {
        let mut limit = LearningLimit::new(0.01, 0.16);
        let over: Vec<bool> = scores.map(|score| limit.observe(score, false) > 1.0).collect();
        let later = &over[over.len() / 2..];
        later.iter().filter(|over| **over).count() as f64 / later.len() as f64
    }

    #[test]
    fn a_limit_that_was_set_too_high_or_too_low_comes_to_the_nominal_rate() {
        for scale in [0.3, 0.5, 1.0, 2.0] {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            let sound = (0..20_000).map(|_| scale * (0.6 + 0.4 * random.random::<f64>().powi(3)));
            let rate = realised(sound);
            assert!((0.005..0.02).contains(&rate), "scale {scale}: {rate}");
        }
    }

    #[test]
    fn a_smaller_budget_of_false_alarms_leads_the_limit_further_out() {
        let factor = |nominal: f64| {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            let mut limit = LearningLimit::new(0.01, 0.16);
            limit.aim_at(nominal);
            (0..50_000).for_each(|_| {
                limit.observe(0.2 - 0.2 * random.random::<f64>().ln(), false);
            });
            limit.report().factor
        };
        let factors = [0.05, 0.01, 0.001].map(factor);
        assert!(factors.is_sorted() && factors[2] > 1.3 * factors[1], "{factors:?}");
    }

    #[test]
    fn a_limit_that_stands_off_calls_less_of_what_is_unusual_a_fault_and_what_is_usual_the_same() {
        let near = LearningLimit::new(0.01, 0.16);
        let mut off = LearningLimit::new(0.001, 0.16);
        off.stand_off(2.5);
        assert_eq!(near.score(0.1), off.score(0.1));
        assert!(near.score(1.5) > 1.0 && off.score(1.5) < 1.0);
        let limit = off.report().factor;
        assert!((off.score(limit) - 1.0).abs() < 1e-12 && limit > 2.0);
    }

    #[test]
    fn a_fault_that_grows_over_hours_is_above_the_limit_in_the_end_and_stays_there() {
        for hours in [1.0, 6.0, 48.0] {
            let mut limit = LearningLimit::new(0.01, 0.16);
            let rows = (hours * 3600.0) as usize;
            let ramp = (0..2 * rows).map(|t| 0.5 + 39.5 * (t as f64 / rows as f64).min(1.0));
            let over: Vec<f64> = ramp.map(|score| limit.observe(score, false)).collect();
            let found = over.windows(5).position(|five| five.iter().all(|over| *over > 1.0));
            assert!(found.is_some_and(|row| row < rows / 2), "{hours} h: {found:?}");
            assert!(over[rows..].iter().all(|over| *over > 1.5), "{hours} h");
        }
    }

    #[test]
    fn an_episode_teaches_nothing_nor_does_the_time_right_after_it() {
        let mut limit = LearningLimit::new(0.01, 0.16);
        let before = limit.report().factor;
        (0..1000).for_each(|_| {
            limit.observe(5.0, true);
        });
        assert!(!limit.report().learning);
        (0..GUARD).for_each(|_| {
            limit.observe(5.0, false);
        });
        assert_eq!(limit.report().factor, before);
        assert!(limit.report().learning, "from the next row on");
        limit.observe(5.0, false);
        assert!(limit.report().factor > before);
    }

    #[test]
    fn what_is_recalled_goes_on_bit_by_bit() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut whole = LearningLimit::new(0.01, 0.16);
        (0..500).for_each(|_| {
            whole.observe(1.2 * random.random::<f64>(), false);
        });
        let mut again = LearningLimit::new(0.01, 0.16);
        again.recall(&whole.memory());
        for _ in 0..500 {
            let score = 1.2 * random.random::<f64>();
            assert_eq!(whole.observe(score, false).to_bits(), again.observe(score, false).to_bits());
        }
    }
}
