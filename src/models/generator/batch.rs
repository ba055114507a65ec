use tract_onnx::prelude::*;

use super::GeneratorKeys;
use super::manifest::NetworkEntry;
use crate::models::InferenceError;
use crate::models::network::{Plan, guarded, read_graph, refuse_giants};

/// A network that runs for a fixed number of windows at once.
pub(super) trait BatchNetwork: Send {
    /// Windows a call.
    fn batch(&self) -> usize;

    /// Takes each input of the graph, `[batch, …]`, and writes its outputs, `[batch, …]` each, one after another.
    fn run(&mut self, inputs: &[&[f32]], outputs: &mut [f32]) -> Result<(), InferenceError>;
}

/// One network of a generator, for any number of windows.
pub struct Stage {
    network: Box<dyn BatchNetwork>,
    /// The values of a window, for each input and each output.
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    padded: Vec<Vec<f32>>,
    computed: Vec<f32>,
}

impl Stage {
    /// Reads a graph and holds it against the manifest.
    pub(super) fn read(onnx: &[u8], entry: &NetworkEntry, keys: &GeneratorKeys, batch: usize) -> Result<Self, String> {
        let network = guarded(|| TractNetwork::build(onnx, entry, keys, batch))?;
        let sizes = |names: &[String]| -> Vec<usize> {
            names.iter().map(|name| entry.role.shape(name, keys).iter().product()).collect()
        };
        let (inputs, outputs) = (sizes(&entry.inputs), sizes(&entry.output));
        Ok(Self {
            padded: inputs.iter().map(|size| vec![0.0; size * batch]).collect(),
            computed: vec![0.0; outputs.iter().sum::<usize>() * batch],
            network: Box::new(network),
            inputs,
            outputs,
        })
    }

    /// How many inputs the graph has.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Takes each input, `[windows, …]`, and gives each output, `[windows, …]`.
    pub fn run(&mut self, windows: usize, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let whole = self.inputs.iter().zip(inputs).all(|(size, input)| input.len() == size * windows);
        if inputs.len() != self.inputs.len() || !whole {
            return Err(InferenceError(format!("{windows} windows do not have the sizes {:?}", self.inputs)));
        }
        let batch = self.network.batch();
        let mut outputs: Vec<Vec<f32>> = self.outputs.iter().map(|size| Vec::with_capacity(size * windows)).collect();
        for first in (0..windows).step_by(batch) {
            let count = batch.min(windows - first);
            for ((padded, size), input) in self.padded.iter_mut().zip(&self.inputs).zip(inputs) {
                padded[..count * size].copy_from_slice(&input[first * size..(first + count) * size]);
                // What stands in the rest is a window that was computed before: finite, and nobody looks at it.
            }
            let padded: Vec<&[f32]> = self.padded.iter().map(Vec::as_slice).collect();
            self.network.run(&padded, &mut self.computed)?;
            let mut rest = &self.computed[..];
            for (output, size) in outputs.iter_mut().zip(&self.outputs) {
                let (own, others) = rest.split_at(size * batch);
                output.extend_from_slice(&own[..count * size]);
                rest = others;
            }
        }
        Ok(outputs)
    }
}

/// A graph under tract.
struct TractNetwork {
    plan: Plan,
    state: TypedSimpleState,
    shapes: Vec<Vec<usize>>,
    batch: usize,
}

impl TractNetwork {
    fn build(onnx: &[u8], entry: &NetworkEntry, keys: &GeneratorKeys, batch: usize) -> Result<Self, String> {
        let plain = |error: TractError| format!("{error:#}");
        let shape = |name: &str| [vec![batch], entry.role.shape(name, keys)].concat();
        let mut model = read_graph(onnx, &borrowed(&entry.inputs), &borrowed(&entry.output))?;
        let shapes: Vec<Vec<usize>> = entry.inputs.iter().map(|name| shape(name)).collect();
        for (place, shape) in shapes.iter().enumerate() {
            model.set_input_fact(place, f32::fact(shape).into()).map_err(plain)?;
        }
        let model = model.into_typed().map_err(plain)?;
        refuse_giants(&model)?;
        let model = model.into_decluttered().map_err(plain)?.into_optimized().map_err(plain)?;
        for (place, name) in entry.output.iter().enumerate() {
            let (found, expected) = (model.output_fact(place).map_err(plain)?, shape(name));
            if found.datum_type != f32::datum_type() || found.shape.as_concrete() != Some(&expected[..]) {
                return Err(format!("the graph gives {found:?} as {name}, the manifest says {expected:?} f32"));
            }
        }
        let plan = model.into_runnable().map_err(plain)?;
        let state = plan.spawn().map_err(plain)?;
        Ok(Self { plan, state, shapes, batch })
    }
}

impl BatchNetwork for TractNetwork {
    fn batch(&self) -> usize {
        self.batch
    }

    fn run(&mut self, inputs: &[&[f32]], outputs: &mut [f32]) -> Result<(), InferenceError> {
        let run = guarded(|| {
            let plain = |error: TractError| format!("{error:#}");
            let tensors = self.shapes.iter().zip(inputs).map(|(shape, input)| Tensor::from_shape(shape, input));
            let tensors: Result<TVec<TValue>, TractError> = tensors.map(|tensor| Ok(tensor?.into())).collect();
            let computed = self.state.run(tensors.map_err(plain)?).map_err(plain)?;
            let mut rest = &mut *outputs;
            for tensor in &computed {
                let values = tensor.try_as_plain_ram().map_err(plain)?.as_slice::<f32>().map_err(plain)?;
                let (own, others) = rest.split_at_mut(values.len());
                own.copy_from_slice(values);
                rest = others;
            }
            Ok(())
        });
        run.map_err(|error| {
            // A state that failed midway is not to be trusted.
            if let Ok(state) = self.plan.spawn() {
                self.state = state;
            }
            InferenceError(error)
        })
    }
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
