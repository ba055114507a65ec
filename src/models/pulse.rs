use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{EvalContext, ToDim};
use tract_pulse::model::{PulsedModel, PulsedModelExt};

use super::network::{Plan, guarded, read, refuse_giants};
use super::{Contract, Denoiser, EngineKind, InferenceError};
use crate::manipulation::Window;

/// Runs a causal network under tract one column at a time; tract keeps what its layers need of earlier ones.
pub(super) struct PulseDenoiser {
    plan: Plan,
    state: TypedSimpleState,
    /// The newest columns, which a restart needs.
    window: Window,
    output: Vec<f32>,
}

/// A plan for one column a call, or why the graph cannot be run in such.
pub(super) fn plan(onnx: &[u8], contract: &Contract) -> Result<Plan, String> {
    let plain = |error: TractError| format!("{error:#}");
    let mut model = read(onnx, contract)?;
    let time = model.symbols.new_with_prefix("time");
    let channels = contract.channels.len();
    let shape = [1.to_dim(), channels.to_dim(), time.to_dim()];
    model.set_input_fact(0, f32::fact(shape).into()).map_err(plain)?;
    // A fixed length that the file states for its output would contradict it.
    model.set_output_fact(0, InferenceFact::default()).map_err(plain)?;
    let typed = model.into_typed().map_err(plain)?.into_decluttered().map_err(plain)?;
    let pulsed = PulsedModel::new(&typed, time, &1.to_dim()).map_err(plain)?;
    let output = pulsed.output_fact(0).map_err(plain)?;
    let delay = output.stream.as_ref().map(|stream| stream.delay);
    if delay != Some(0) {
        return Err(match delay {
            Some(delay) => format!("its columns would come out {delay} late"),
            None => "its output is no stream of columns".to_owned(),
        });
    }
    if output.shape.as_concrete() != Some(&[1, channels, 1]) {
        return Err(format!("it gives {output:?} for one column"));
    }
    let typed = pulsed.into_typed().map_err(plain)?;
    refuse_giants(&typed)?;
    // A restart brings back one window of columns, and the same scores; more must not be remembered.
    let keeps = |node: &TypedNode| node.op.state(&EvalContext::out_of_plan()).map_or(true, |state| state.is_some());
    if let Some(node) = typed.nodes.iter().find(|node| keeps(node) && !BOUNDED.contains(&&*node.op.name())) {
        return Err(format!("{} ({}): it remembers more than one window", node.op.name(), node.name));
    }
    typed.into_optimized().map_err(plain)?.into_runnable().map_err(plain)
}

impl PulseDenoiser {
    pub fn new(plan: &Plan, contract: &Contract) -> Result<Self, InferenceError> {
        let channels = contract.channels.len();
        Ok(Self {
            plan: plan.clone(),
            state: plan.spawn().map_err(|error| InferenceError(format!("{error:#}")))?,
            window: Window::new(channels, contract.window).map_err(|error| InferenceError(error.to_string()))?,
            output: vec![0.0; channels],
        })
    }

    fn run(&mut self, column: &[f32]) -> Result<(), InferenceError> {
        let run = guarded(|| {
            let plain = |error: TractError| format!("{error:#}");
            let input = Tensor::from_shape(&[1, column.len(), 1], column).map_err(plain)?;
            let outputs = self.state.run(tvec!(input.into())).map_err(plain)?;
            let denoised = outputs[0].try_as_plain_ram().map_err(plain)?.as_slice::<f32>().map_err(plain)?;
            self.output.copy_from_slice(denoised);
            Ok(())
        });
        run.map_err(|error| {
            // A state that failed midway is not to be trusted.
            self.reset();
            InferenceError(error)
        })
    }
}

impl Denoiser for PulseDenoiser {
    fn push(&mut self, column: &[f32]) -> Result<Option<&[f32]>, InferenceError> {
        self.window.push(column);
        self.run(column)?;
        Ok(self.window.is_full().then_some(self.output.as_slice()))
    }

    fn memory(&self) -> Vec<f32> {
        self.window.values().collect()
    }

    /// An output depends on no more columns than a window has, and on each in the same way: the same columns give the same
    /// outputs, to the last bit.
    fn recall(&mut self, memory: &[f32]) {
        self.reset();
        for column in memory.chunks_exact(self.output.len()) {
            self.window.push(column);
            if self.run(column).is_err() {
                return;
            }
        }
    }

    fn reset(&mut self) {
        self.window.clear();
        if let Ok(state) = self.plan.spawn() {
            self.state = state;
        }
    }

    fn engine(&self) -> &'static str {
        EngineKind::Pulse.name()
    }
}

/// What keeps no more columns than its layer reaches back.
const BOUNDED: [&str; 2] = ["Delay", "PulsePad"];
