use std::num::NonZero;
use std::thread;

use tract_onnx::prelude::*;

use super::GeneratorKeys;
use super::manifest::NetworkEntry;
use crate::models::network::{Plan, guarded, read_graph, refuse_giants};
use crate::models::{DenseNetwork, EngineKind, InferenceError, TurnedDown};

/// A network that runs for many windows, together or in turn.
pub(super) trait BatchNetwork: Send {
    /// Takes each input of the graph, `[windows, …]`, and gives each of its outputs, `[windows, …]`.
    fn run(&mut self, windows: usize, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, InferenceError>;
}

/// One network of a generator, for any number of windows.
pub struct Stage {
    network: Box<dyn BatchNetwork>,
    turned_down: Option<TurnedDown>,
    /// The values of a window, for each input.
    inputs: Vec<usize>,
}

impl Stage {
    /// Reads a graph and holds it against the manifest.
    pub(super) fn read(onnx: &[u8], entry: &NetworkEntry, keys: &GeneratorKeys, batch: usize) -> Result<Self, String> {
        let shaped = |name: &String| (name.clone(), entry.role.shape(name, keys));
        let shapes: Vec<(String, Vec<usize>)> = entry.inputs.iter().map(shaped).collect();
        let shapes: Vec<(&str, Vec<usize>)> = shapes.iter().map(|(name, shape)| (&name[..], shape.clone())).collect();
        let promised = entry.output.iter().map(|name| entry.role.shape(name, keys));
        let dense = DenseNetwork::read(onnx, &shapes, &borrowed(&entry.output)).and_then(|network| {
            let kept = network.output_shapes().iter().cloned().eq(promised);
            kept.then_some(network).ok_or_else(|| "its outputs have other shapes than the manifest says".to_owned())
        });
        let (network, turned_down): (Box<dyn BatchNetwork>, _) = match dense {
            Ok(network) => (Box::new(Workers::new(network, batch)), None),
            Err(why) => {
                let unfit = TurnedDown { engine: EngineKind::Dense.name(), why, difference: None };
                (Box::new(guarded(|| TractNetwork::build(onnx, entry, keys, batch))?), Some(unfit))
            }
        };
        let inputs = shapes.iter().map(|(_, shape)| shape.iter().product()).collect();
        Ok(Self { network, turned_down, inputs })
    }

    /// The engine that it runs on, as shown to users.
    pub fn engine(&self) -> &'static str {
        if self.turned_down.is_none() { EngineKind::Dense.name() } else { EngineKind::Window.name() }
    }

    /// Why it does not run on own code, if it does not.
    pub fn turned_down(&self) -> Option<&TurnedDown> {
        self.turned_down.as_ref()
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
        self.network.run(windows, inputs)
    }
}

/// Own code, which goes through the windows one after another, on each core through some of them.
struct Workers {
    networks: Vec<DenseNetwork>,
}

impl Workers {
    fn new(network: DenseNetwork, batch: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self { networks: vec![network; cores.min(batch / WINDOWS_A_THREAD).max(1)] }
    }
}

impl BatchNetwork for Workers {
    fn run(&mut self, windows: usize, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let each = windows.div_ceil(self.networks.len()).max(WINDOWS_A_THREAD);
        let shapes = self.networks[0].output_shapes();
        let sizes: Vec<usize> = shapes.iter().map(|shape| shape.iter().product()).collect();
        let mut outputs: Vec<Vec<f32>> = sizes.iter().map(|size| vec![0.0; size * windows]).collect();
        let mut parts: Vec<Part> = (0..windows).step_by(each).map(|_| Part::default()).collect();
        for (output, size) in outputs.iter_mut().zip(&sizes) {
            parts
                .iter_mut()
                .zip(output.chunks_mut(size * each))
                .for_each(|(part, own)| part.outputs.push((*size, own)));
        }
        for input in inputs {
            let size = input.len() / windows.max(1);
            parts.iter_mut().zip(input.chunks(size * each)).for_each(|(part, own)| part.inputs.push((size, own)));
        }
        let mut shares = self.networks.iter_mut().zip(parts);
        let own = shares.next();
        thread::scope(|scope| {
            for (network, part) in shares {
                scope.spawn(|| part.run(network));
            }
            if let Some((network, part)) = own {
                part.run(network);
            }
        });
        Ok(outputs)
    }
}

/// Some windows: the values of one and those of all of them, for each input and each output.
#[derive(Default)]
struct Part<'a> {
    inputs: Vec<(usize, &'a [f32])>,
    outputs: Vec<(usize, &'a mut [f32])>,
}

impl Part<'_> {
    fn run(mut self, network: &mut DenseNetwork) {
        let windows = self.outputs.first().map_or(0, |(size, all)| all.len() / size);
        let mut computed = vec![0.0; self.outputs.iter().map(|(size, _)| size).sum()];
        for window in 0..windows {
            let inputs: Vec<&[f32]> = self.inputs.iter().map(|(size, all)| &all[window * size..][..*size]).collect();
            network.run(&inputs, &mut computed);
            let mut rest = &computed[..];
            for (size, all) in &mut self.outputs {
                let (own, others) = rest.split_at(*size);
                all[window * *size..][..*size].copy_from_slice(own);
                rest = others;
            }
        }
    }
}

/// A graph under tract, for a fixed number of windows at once.
struct TractNetwork {
    plan: Plan,
    state: TypedSimpleState,
    batch: usize,
    shapes: Vec<Vec<usize>>,
    padded: Vec<Vec<f32>>,
    /// The values of a window, for each output.
    outputs: Vec<usize>,
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
        let padded = shapes.iter().map(|shape| vec![0.0; shape.iter().product()]).collect();
        let outputs = entry.output.iter().map(|name| entry.role.shape(name, keys).iter().product()).collect();
        Ok(Self { plan, state, batch, shapes, padded, outputs })
    }
}

impl BatchNetwork for TractNetwork {
    fn run(&mut self, windows: usize, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut outputs: Vec<Vec<f32>> = self.outputs.iter().map(|size| Vec::with_capacity(size * windows)).collect();
        for first in (0..windows).step_by(self.batch) {
            let count = self.batch.min(windows - first);
            for (padded, input) in self.padded.iter_mut().zip(inputs) {
                let size = input.len() / windows;
                padded[..count * size].copy_from_slice(&input[first * size..(first + count) * size]);
                // What stands in the rest is a window that was computed before: finite, and nobody looks at it.
            }
            self.run_batch(count, &mut outputs)?;
        }
        Ok(outputs)
    }
}

impl TractNetwork {
    /// Computes all that is in place and appends the first `count` windows.
    fn run_batch(&mut self, count: usize, outputs: &mut [Vec<f32>]) -> Result<(), InferenceError> {
        let run = guarded(|| {
            let plain = |error: TractError| format!("{error:#}");
            let tensors = self.shapes.iter().zip(&self.padded).map(|(shape, input)| Tensor::from_shape(shape, input));
            let tensors: Result<TVec<TValue>, TractError> = tensors.map(|tensor| Ok(tensor?.into())).collect();
            let computed = self.state.run(tensors.map_err(plain)?).map_err(plain)?;
            for ((tensor, size), output) in computed.iter().zip(&self.outputs).zip(&mut *outputs) {
                let values = tensor.try_as_plain_ram().map_err(plain)?.as_slice::<f32>().map_err(plain)?;
                output.extend_from_slice(&values[..count * size]);
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

/// Fewer are done sooner than a thread is begun.
const WINDOWS_A_THREAD: usize = 8;
