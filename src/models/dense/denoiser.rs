use std::sync::Arc;

use super::{Program, Sheets};
use crate::manipulation::Window;
use crate::models::{Contract, Denoiser, EngineKind, InferenceError};

/// Runs a whole window a sample by own code and keeps the newest output column.
pub(in crate::models) struct DenseDenoiser {
    program: Arc<Program>,
    sheets: Sheets,
    window: Window,
    columns: usize,
    input: Vec<f32>,
    denoised: Vec<f32>,
    output: Vec<f32>,
}

impl DenseDenoiser {
    pub fn new(program: &Arc<Program>, contract: &Contract) -> Result<Self, InferenceError> {
        let (channels, columns) = (contract.channels.len(), contract.window);
        Ok(Self {
            sheets: program.sheets(),
            program: program.clone(),
            window: Window::new(channels, columns).map_err(|error| InferenceError(error.to_string()))?,
            columns,
            input: vec![0.0; channels * columns],
            denoised: vec![0.0; channels * columns],
            output: vec![0.0; channels],
        })
    }
}

impl Denoiser for DenseDenoiser {
    fn push(&mut self, column: &[f32]) -> Result<Option<&[f32]>, InferenceError> {
        self.window.push(column);
        if !self.window.is_full() {
            return Ok(None);
        }
        self.window.write_channels_first(&mut self.input);
        self.program.set_input(&mut self.sheets, 0, &self.input);
        self.program.compute(&mut self.sheets);
        self.program.output(&self.sheets, 0, &mut self.denoised);
        for (value, row) in self.output.iter_mut().zip(self.denoised.chunks_exact(self.columns)) {
            *value = row[self.columns - 1];
        }
        Ok(Some(&self.output))
    }

    fn memory(&self) -> Vec<f32> {
        self.window.values().collect()
    }

    fn recall(&mut self, memory: &[f32]) {
        self.window.clear();
        for column in memory.chunks_exact(self.output.len()) {
            self.window.push(column);
        }
    }

    fn reset(&mut self) {
        self.window.clear();
    }

    fn engine(&self) -> &'static str {
        EngineKind::Dense.name()
    }
}
