//! The ring: a causal chain of convolutions, read from a typed graph, becomes a list of steps that compute one new column
//! from the newest input and what each layer remembers. What it cannot read it names, and another engine takes the graph.
//!
//! One machine's layers lie in one allocation; nothing is allocated after its start.

mod function;
mod graph;
mod kernel;
mod lanes;
mod layout;
mod program;

use std::sync::Arc;

use self::lanes::Lanes;
use super::{Denoiser, EngineKind, InferenceError};

pub(super) use self::function::Function;
pub(super) use self::graph::{Weights, combine, compile, function};
pub(super) use self::program::{Combine, Program};

/// Follows one machine by keeping what each layer has made of the newest columns.
pub(super) struct RingDenoiser {
    program: Arc<Program>,
    layers: Lanes,
    /// Columns pushed since the last reset.
    pushed: u64,
}

impl RingDenoiser {
    pub fn new(program: &Arc<Program>) -> Self {
        Self { program: program.clone(), layers: Lanes::zeroed(program.values()), pushed: 0 }
    }

    fn advance(&mut self, column: &[f32]) {
        self.program.advance(&mut self.layers, self.pushed, column);
        self.pushed += 1;
    }
}

impl Denoiser for RingDenoiser {
    fn push(&mut self, column: &[f32]) -> Result<Option<&[f32]>, InferenceError> {
        self.advance(column);
        let seen_enough = self.pushed >= self.program.columns() as u64;
        Ok(seen_enough.then(|| self.program.output(&self.layers, self.pushed - 1)))
    }

    fn memory(&self) -> Vec<f32> {
        self.program.inputs(&self.layers, self.pushed)
    }

    /// Every value in a layer is a sum over a fixed number of columns, none over all that went by: the same columns give
    /// the same layers, to the last bit.
    fn recall(&mut self, memory: &[f32]) {
        self.reset();
        for column in memory.chunks_exact(self.program.channels()) {
            self.advance(column);
        }
    }

    fn reset(&mut self) {
        self.layers.fill(0.0);
        self.pushed = 0;
    }

    fn engine(&self) -> &'static str {
        EngineKind::Ring.name()
    }
}
