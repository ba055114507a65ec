use super::noise::between;
use super::{Condition, GenerationError, Generator, Layout, LearnedGenerator};

/// Windows of which each comes from a noise a little further on the way from one noise to another, so that the first window
/// turns into the last.
pub struct Between {
    generator: LearnedGenerator,
    one: Vec<f32>,
    other: Vec<f32>,
    windows: u64,
    made: u64,
}

impl Between {
    /// From the first noise of the generator's seed to that of another one, over so many windows; what comes after stays there.
    pub fn new(generator: LearnedGenerator, seed: u64, windows: u64) -> Self {
        let [one, other] = [generator.seed(), seed].map(|seed| generator.first_noise(seed));
        Self { generator, one, other, windows, made: 0 }
    }
}

impl Generator for Between {
    fn layout(&self) -> &Layout {
        self.generator.layout()
    }

    fn windows(&mut self, conditions: &[Condition]) -> Result<Vec<Vec<f64>>, GenerationError> {
        let first = self.made;
        self.made += conditions.len() as u64;
        let t = |window: u64| window as f64 / self.windows.saturating_sub(1).max(1) as f64;
        let noises = (first..self.made).flat_map(|window| between(&self.one, &self.other, t(window)));
        self.generator.from_noise(noises.collect(), conditions)
    }
}
