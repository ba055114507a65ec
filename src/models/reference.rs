use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::vectors::Case;
use super::window::WindowDenoiser;
use super::{Contract, Denoiser, InferenceError};

/// What tract makes of whole windows: the measure for every engine that does not compute them whole.
#[derive(Default)]
pub(super) struct Reference {
    runs: Vec<Run>,
}

/// One machine's columns, and what became of some of them.
struct Run {
    columns: Vec<Vec<f32>>,
    outputs: Vec<(usize, Vec<f32>)>,
}

impl Reference {
    /// Adds a case of the package, and tells by how much its outputs differ at most; infinite where a value is not a
    /// number or no column came out at all.
    pub fn add_case(&mut self, case: &Case, denoiser: &mut WindowDenoiser) -> Result<f32, InferenceError> {
        denoiser.reset();
        let columns: Vec<Vec<f32>> = case.columns().collect();
        let mut outputs = Vec::new();
        let mut largest: Option<f32> = None;
        for (t, column) in columns.iter().enumerate() {
            let Some(output) = denoiser.push(column)? else { continue };
            let expected = case.output.iter().map(|row| row[t]);
            largest = Some(largest_difference(output, expected).max(largest.unwrap_or(0.0)));
            outputs.push((t, output.to_vec()));
        }
        self.runs.push(Run { columns, outputs });
        Ok(largest.unwrap_or(f32::INFINITY))
    }

    /// Adds random columns, enough to fill whatever an engine keeps several times over.
    pub fn add_random(&mut self, contract: &Contract, denoiser: &mut WindowDenoiser) -> Result<(), InferenceError> {
        denoiser.reset();
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let clip = contract.clip as f32;
        let mut column = |t: usize| -> Vec<f32> {
            let reach = if t.is_multiple_of(WILD_EVERY) { clip } else { clip.min(TAME) };
            contract.channels.iter().map(|_| random.random_range(-reach..=reach)).collect()
        };
        let columns: Vec<Vec<f32>> = (0..WINDOWS * contract.window + SPOTS).map(&mut column).collect();
        let step = (columns.len() - contract.window) / SPOTS;
        let mut outputs = Vec::new();
        for (t, column) in columns.iter().enumerate() {
            let spot = t + 1 >= contract.window && (columns.len() - 1 - t).is_multiple_of(step.max(1));
            if spot {
                outputs.extend(denoiser.push(column)?.map(|output| (t, output.to_vec())));
            } else {
                denoiser.skip(column);
            }
        }
        self.runs.push(Run { columns, outputs });
        Ok(())
    }

    /// The largest absolute difference of another engine's columns; infinite where a value is not a number or a column
    /// is missing.
    pub fn difference(&self, denoiser: &mut dyn Denoiser) -> Result<f32, InferenceError> {
        let mut largest: f32 = 0.0;
        for run in &self.runs {
            denoiser.reset();
            let mut outputs = run.outputs.iter().peekable();
            for (t, column) in run.columns.iter().enumerate() {
                let output = denoiser.push(column)?;
                let Some((_, expected)) = outputs.next_if(|(at, _)| *at == t) else { continue };
                let Some(output) = output else { return Ok(f32::INFINITY) };
                largest = largest.max(largest_difference(output, expected.iter().copied()));
            }
        }
        Ok(largest)
    }
}

/// Never NaN.
fn largest_difference(one: &[f32], other: impl Iterator<Item = f32>) -> f32 {
    let each = one.iter().zip(other).map(|(one, other)| (one - other).abs());
    each.map(|difference| if difference.is_nan() { f32::INFINITY } else { difference }).fold(0.0, f32::max)
}

/// Fixed, so that a package is accepted always or never.
const SEED: u64 = 0x7a9;
/// Columns in windows.
const WINDOWS: usize = 4;
/// How many whole windows of them are computed.
const SPOTS: usize = 24;
/// Most values are of the size of a sound machine's.
const TAME: f32 = 3.0;
const WILD_EVERY: usize = 7;
