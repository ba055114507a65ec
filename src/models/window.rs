use tract_onnx::prelude::*;

use super::network::{Plan, guarded};
use super::{Contract, Denoiser, EngineKind, InferenceError};
use crate::manipulation::Window;

/// Runs any network as a whole window under tract and keeps the newest output column.
pub(super) struct WindowDenoiser {
    plan: Plan,
    state: TypedSimpleState,
    window: Window,
    columns: usize,
    output: Vec<f32>,
}

impl WindowDenoiser {
    pub fn new(plan: &Plan, contract: &Contract) -> Result<Self, InferenceError> {
        let channels = contract.channels.len();
        Ok(Self {
            plan: plan.clone(),
            state: plan.spawn().map_err(|error| InferenceError(format!("{error:#}")))?,
            window: Window::new(channels, contract.window).map_err(|error| InferenceError(error.to_string()))?,
            columns: contract.window,
            output: vec![0.0; channels],
        })
    }

    /// Takes a column whose output nobody asks for.
    pub fn skip(&mut self, column: &[f32]) {
        self.window.push(column);
    }
}

impl Denoiser for WindowDenoiser {
    fn push(&mut self, column: &[f32]) -> Result<Option<&[f32]>, InferenceError> {
        self.skip(column);
        if !self.window.is_full() {
            return Ok(None);
        }
        let run = guarded(|| {
            let plain = |error: TractError| format!("{error:#}");
            let shape = [1, self.output.len(), self.columns];
            let mut input = Tensor::zero::<f32>(&shape).map_err(plain)?;
            self.window
                .write_channels_first(input.try_as_plain_ram_mut().map_err(plain)?.as_slice_mut().map_err(plain)?);
            let outputs = self.state.run(tvec!(input.into())).map_err(plain)?;
            let denoised = outputs[0].try_as_plain_ram().map_err(plain)?.as_slice::<f32>().map_err(plain)?;
            for (channel, value) in self.output.iter_mut().enumerate() {
                *value = denoised[channel * self.columns + self.columns - 1];
            }
            Ok(())
        });
        if let Err(error) = run {
            // A state that failed midway is not to be trusted.
            if let Ok(state) = self.plan.spawn() {
                self.state = state;
            }
            return Err(InferenceError(error));
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
        EngineKind::Window.name()
    }
}
