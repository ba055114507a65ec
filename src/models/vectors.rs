use serde::Deserialize;

use super::{Denoiser, InferenceError};

/// Inputs with the outputs that PyTorch computed from them, `[channels][time]` each.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestVectors {
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub input: Vec<Vec<f32>>,
    pub output: Vec<Vec<f32>>,
}

impl Case {
    /// The number of columns, if input and output are whole and of `channels` rows.
    pub fn columns(&self, channels: usize) -> Option<usize> {
        let columns = self.input.first()?.len();
        let whole = |rows: &[Vec<f32>]| rows.len() == channels && rows.iter().all(|row| row.len() == columns);
        (whole(&self.input) && whole(&self.output)).then_some(columns)
    }

    /// Feeds the case column by column and tells the largest absolute difference; infinite where a value is not a
    /// number or no column came out at all.
    pub fn difference(&self, denoiser: &mut dyn Denoiser, columns: usize) -> Result<f32, InferenceError> {
        denoiser.reset();
        let mut column = vec![0.0; self.input.len()];
        let mut largest: Option<f32> = None;
        for t in 0..columns {
            for (value, row) in column.iter_mut().zip(&self.input) {
                *value = row[t];
            }
            let Some(denoised) = denoiser.push(&column)? else { continue };
            for (value, row) in denoised.iter().zip(&self.output) {
                let difference = (value - row[t]).abs();
                let difference = if difference.is_nan() { f32::INFINITY } else { difference };
                largest = Some(largest.map_or(difference, |largest| largest.max(difference)));
            }
        }
        Ok(largest.unwrap_or(f32::INFINITY))
    }
}
