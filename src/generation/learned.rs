use rand_chacha::ChaCha8Rng;

use super::descent::{descend, invert};
use super::noise::{stream, white};
use super::sampler::sampler;
use super::schedule::{levels, schedule};
use super::{Condition, GenerationError, Generator, Label, Layout, LayoutChannel, NoiseLevel, guide};
use crate::models::{
    GeneratorKeys, GeneratorModel, InferenceError, Networks, Prediction, SamplerName, ScheduleName, Stage,
};

/// A generator that was trained: noise becomes windows through the networks of a package.
pub struct LearnedGenerator {
    model: GeneratorModel,
    layout: Layout,
    seed: u64,
    descent: Option<Descent>,
    /// Whether each window starts from fresh noise.
    loose: bool,
    starts: Chain,
    /// For each step of a sampler that adds noise.
    steps: Vec<Chain>,
    rest: ChaCha8Rng,
}

/// How noise becomes data, where a package has a denoiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    pub schedule: ScheduleName,
    pub sampler: SamplerName,
    pub steps: usize,
    /// 1: none.
    pub guidance: f64,
    /// How much noise DDIM adds, 0 to 1.
    pub eta: f64,
    prediction: Prediction,
}

impl LearnedGenerator {
    /// `loose`: every window starts from fresh noise instead of going on from the one before.
    pub fn new(model: GeneratorModel, seed: u64, loose: bool) -> Self {
        let keys = &model.manifest().generator;
        let descent = match (keys.prediction, keys.schedule, keys.sampler, keys.steps, keys.guidance) {
            (Some(prediction), Some(schedule), Some(sampler), Some(steps), Some(guidance)) => {
                Some(Descent { schedule, sampler, steps, guidance, eta: 0.0, prediction })
            }
            _ => None,
        };
        let layout = layout(keys);
        Self {
            layout,
            seed,
            descent,
            loose,
            starts: Chain::new(seed, STARTS),
            steps: Vec::new(),
            rest: stream(seed, REST),
            model,
        }
    }

    pub fn model(&self) -> &GeneratorModel {
        &self.model
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether each window starts from fresh noise.
    pub fn is_loose(&self) -> bool {
        self.loose
    }

    pub fn descent(&self) -> Option<&Descent> {
        self.descent.as_ref()
    }

    /// To be changed before the first window.
    pub fn descent_mut(&mut self) -> Option<&mut Descent> {
        self.descent.as_mut()
    }

    /// The latent of measured windows, rows by time: `[windows, C, L]`; none where the package has no encoder.
    pub fn encode(
        &mut self,
        windows: &[Vec<f64>],
        conditions: &[Condition],
    ) -> Result<Option<Vec<f32>>, GenerationError> {
        let hats = hats(&self.layout, conditions);
        let series: Vec<f32> = windows.iter().flat_map(|window| channels_first(window, &self.layout)).collect();
        let Some(encoder) = &mut self.model.networks().encoder else { return Ok(None) };
        let mut outputs = encoder.run(windows.len(), &[&series, &hats])?;
        Ok(Some(outputs.swap_remove(0)))
    }

    /// The starting noise of latents: what [`LearnedGenerator::from_noise`] makes the windows of.
    pub fn invert(&mut self, latent: Vec<f32>, conditions: &[Condition]) -> Result<Vec<f32>, GenerationError> {
        let Some(descent) = self.descent else { return Ok(latent) };
        let hats = hats(&self.layout, conditions);
        let mut data = Guided { descent: Descent { guidance: 1.0, ..descent }, hats: &hats, count: conditions.len() };
        let Some(denoiser) = &mut self.model.networks().denoiser else { return Ok(latent) };
        let levels = levels(schedule(descent.schedule), descent.steps);
        invert(&levels, latent, &mut |x, level| data.data(denoiser, x, level))
    }

    /// The next windows go on from this starting noise, `[C, L]`.
    pub fn resume(&mut self, noise: Vec<f32>) {
        self.starts.newest = Some(noise);
    }

    /// Windows of these starting noises, `[windows, C, L]`, rows by time.
    pub fn from_noise(&mut self, start: Vec<f32>, conditions: &[Condition]) -> Result<Vec<Vec<f64>>, GenerationError> {
        let count = conditions.len();
        let hats = hats(&self.layout, conditions);
        let x = self.descended(start, &hats, count)?;
        let series_size = self.layout.channels.len() * self.layout.window;
        let noise = white(&mut self.rest, count * series_size);
        let decoder = &mut self.model.networks().decoder;
        let inputs = [&x[..], &hats, &noise];
        let mut outputs = decoder.run(count, &inputs[..decoder.inputs()])?;
        let series = outputs.swap_remove(0);
        series.chunks_exact(series_size).map(|window| rows_first(window, &self.layout)).collect()
    }

    fn descended(&mut self, start: Vec<f32>, hats: &[f32], count: usize) -> Result<Vec<f32>, GenerationError> {
        let Some(descent) = self.descent else { return Ok(start) };
        let (seed, loose) = (self.seed, self.loose);
        let steps = &mut self.steps;
        let size = start.len() / count.max(1);
        let Networks { denoiser: Some(denoiser), continuation, .. } = self.model.networks() else { return Ok(start) };
        let mut guided = Guided { descent, hats, count };
        let levels = levels(schedule(descent.schedule), descent.steps);
        let mut sampler = sampler(descent.sampler, descent.eta);
        let mut fresh = |step: usize| {
            while steps.len() <= step {
                steps.push(Chain::new(seed, STEPS + steps.len() as u64));
            }
            steps[step].next(count, size, (!loose).then_some(&mut *continuation))
        };
        descend(&levels, &mut *sampler, start, &mut |x, level| guided.data(denoiser, x, level), &mut fresh)
    }
}

impl Generator for LearnedGenerator {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn windows(&mut self, conditions: &[Condition]) -> Result<Vec<Vec<f64>>, GenerationError> {
        let size = self.model.manifest().generator.latent_size();
        let continuation = &mut self.model.networks().continuation;
        let start = self.starts.next(conditions.len(), size, (!self.loose).then_some(continuation))?;
        self.from_noise(start, conditions)
    }
}

impl From<InferenceError> for GenerationError {
    fn from(error: InferenceError) -> Self {
        Self::Network(error.0)
    }
}

impl Condition {
    /// What a network is told of it: for each label the weights of the levels that it lies between.
    pub fn hats(&self, layout: &Layout) -> Vec<f32> {
        let each = layout.labels.iter().zip(&self.levels).flat_map(|(label, &level)| {
            let place = label.place(level);
            (0..label.levels.len()).map(move |at| (1.0 - (place - at as f64).abs()).max(0.0) as f32)
        });
        each.collect()
    }
}

/// A denoiser under a condition.
struct Guided<'a> {
    descent: Descent,
    hats: &'a [f32],
    count: usize,
}

impl Guided<'_> {
    /// The data beneath `x`, guided: with one call of both the condition and none, or of the condition alone.
    fn data(&mut self, denoiser: &mut Stage, x: &[f32], level: NoiseLevel) -> Result<Vec<f32>, GenerationError> {
        let Self { descent, hats, count } = self;
        let told = vec![level.share(); *count];
        let mut predicted = if descent.guidance == 1.0 {
            denoiser.run(*count, &[x, &told, hats])?.swap_remove(0)
        } else {
            let nothing = vec![0.0; hats.len()];
            let (x, told, hats) = ([x, x].concat(), [&told[..], &told].concat(), [hats, &nothing[..]].concat());
            let mut both = denoiser.run(2 * *count, &[&x, &told, &hats])?.swap_remove(0);
            let unconditional = both.split_off(both.len() / 2);
            guide(&mut both, &unconditional, descent.guidance);
            both
        };
        descent.prediction.to_data(&mut predicted, x, level);
        Ok(predicted)
    }
}

/// Noises of which each goes on from the one before.
struct Chain {
    random: ChaCha8Rng,
    newest: Option<Vec<f32>>,
}

impl Chain {
    fn new(seed: u64, purpose: u64) -> Self {
        Self { random: stream(seed, purpose), newest: None }
    }

    /// The next `count` noises of `size` values; fresh ones where there is no continuation.
    fn next(
        &mut self,
        count: usize,
        size: usize,
        mut continuation: Option<&mut Stage>,
    ) -> Result<Vec<f32>, GenerationError> {
        let mut all = Vec::with_capacity(count * size);
        for _ in 0..count {
            let fresh = white(&mut self.random, size);
            let next = match (&mut continuation, &self.newest) {
                (Some(stage), Some(previous)) => stage.run(1, &[previous, &fresh])?.swap_remove(0),
                _ => fresh,
            };
            all.extend_from_slice(&next);
            self.newest = Some(next);
        }
        Ok(all)
    }
}

fn hats(layout: &Layout, conditions: &[Condition]) -> Vec<f32> {
    conditions.iter().flat_map(|condition| condition.hats(layout)).collect()
}

fn layout(keys: &GeneratorKeys) -> Layout {
    let channels = keys.channels.iter().map(|channel| LayoutChannel {
        name: channel.name.clone(),
        unit: channel.unit.clone(),
        resolution: channel.resolution,
        low: channel.low,
        high: channel.high,
    });
    let labels = keys.labels.iter().map(|label| Label {
        name: label.name.clone(),
        unit: label.unit.clone(),
        levels: label.levels.clone(),
    });
    let seen = keys.conditions.iter().map(|seen| (Condition { levels: seen.levels.clone() }, seen.share));
    Layout {
        channels: channels.collect(),
        labels: labels.collect(),
        cadence: keys.cadence,
        window: keys.window,
        seen: seen.collect(),
    }
}

fn channels_first(window: &[f64], layout: &Layout) -> Vec<f32> {
    let width = layout.channels.len();
    (0..width).flat_map(|channel| window.iter().skip(channel).step_by(width).map(|value| *value as f32)).collect()
}

fn rows_first(window: &[f32], layout: &Layout) -> Result<Vec<f64>, GenerationError> {
    let (width, length) = (layout.channels.len(), layout.window);
    let cells = (0..length).flat_map(|row| (0..width).map(move |channel| (channel, channel * length + row)));
    let value = |(channel, place): (usize, usize)| {
        let value = f64::from(window[place]);
        let not_finite = || GenerationError::NotFinite { channel: layout.channels[channel].name.to_string() };
        value.is_finite().then_some(value).ok_or_else(not_finite)
    };
    cells.map(value).collect()
}

/// What random numbers are drawn for.
const STARTS: u64 = 0;
const REST: u64 = 1;
const STEPS: u64 = 16;
