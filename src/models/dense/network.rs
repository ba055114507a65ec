use std::sync::Arc;

use fearless_simd::Level;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::prelude::*;

use super::{Program, Sheets, compile};
use crate::models::network::{guarded, read_graph, refuse_giants};

/// A network of any inputs and outputs on own code, one window after another.
#[derive(Clone)]
pub struct DenseNetwork {
    program: Arc<Program>,
    sheets: Sheets,
    output_shapes: Vec<Vec<usize>>,
}

impl DenseNetwork {
    /// Reads a graph, whose inputs have these names and, for one window, these shapes, and proves on random inputs that
    /// it gives what tract gives; or says what in it is unknown here.
    pub fn read(onnx: &[u8], inputs: &[(&str, Vec<usize>)], outputs: &[&str]) -> Result<Self, String> {
        let (network, largest) = Self::compared(onnx, inputs, outputs, Level::new())?;
        if largest > LARGEST_DIFFERENCE {
            tracing::warn!(engine = "dense", largest, "a network's outputs differ from those of tract");
            return Err(format!("its outputs differ from those of tract by up to {largest:e}"));
        }
        Ok(network)
    }

    /// The network on registers of that kind, and by how much it differs from tract.
    fn compared(
        onnx: &[u8],
        inputs: &[(&str, Vec<usize>)],
        outputs: &[&str],
        level: Level,
    ) -> Result<(Self, f32), String> {
        guarded(|| {
            let plain = |error: TractError| format!("{error:#}");
            let names: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
            let mut model = read_graph(onnx, &names, outputs)?;
            for (place, (_, shape)) in inputs.iter().enumerate() {
                let shape = [&[1], shape.as_slice()].concat();
                model.set_input_fact(place, f32::fact(shape).into()).map_err(plain)?;
            }
            let model = model.into_typed().map_err(plain)?;
            refuse_giants(&model)?;
            let model = model.into_decluttered().map_err(plain)?;
            let program = Arc::new(compile(&model, level)?);
            let output_shapes = shapes(&model, &model.outputs)?.into_iter().map(|shape| shape[1..].to_vec()).collect();
            let mut network = Self { sheets: program.sheets(), program, output_shapes };
            let largest = network.largest_difference(model)?;
            Ok((network, largest))
        })
    }

    /// Takes each input of one window, value by value in the order of its axes, and writes its outputs one after another.
    pub fn run(&mut self, inputs: &[&[f32]], outputs: &mut [f32]) {
        for (place, input) in inputs.iter().enumerate() {
            self.program.set_input(&mut self.sheets, place, input);
        }
        self.program.compute(&mut self.sheets);
        let mut rest = outputs;
        for (place, size) in self.program.output_sizes().enumerate() {
            let (own, others) = rest.split_at_mut(size);
            self.program.output(&self.sheets, place, own);
            rest = others;
        }
    }

    /// Of each output of one window.
    pub fn output_shapes(&self) -> &[Vec<usize>] {
        &self.output_shapes
    }

    /// Of values beyond one as a share of them.
    fn largest_difference(&mut self, model: TypedModel) -> Result<f32, String> {
        let plain = |error: TractError| format!("{error:#}");
        let shapes = shapes(&model, &model.inputs)?;
        let plan = model.into_optimized().and_then(TypedModel::into_runnable).map_err(plain)?;
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut found = vec![0.0; self.program.output_sizes().sum()];
        let mut largest: f32 = 0.0;
        // Levels of noise and conditions lie between 0 and 1, whatever is standardised around 0.
        for range in [0.0..=1.0, 0.0..=1.0, -1.0..=1.0, -3.0..=3.0] {
            let mut values = |shape: &Vec<usize>| -> Vec<f32> {
                (0..shape.iter().product()).map(|_| random.random_range(range.clone())).collect()
            };
            let inputs: Vec<Vec<f32>> = shapes.iter().map(&mut values).collect();
            let tensors = shapes.iter().zip(&inputs).map(|(shape, input)| Ok(Tensor::from_shape(shape, input)?.into()));
            let expected = plan.run(tensors.collect::<TractResult<_>>().map_err(plain)?).map_err(plain)?;
            let borrowed: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            self.run(&borrowed, &mut found);
            let mut rest = &found[..];
            for tensor in &expected {
                let view = tensor.try_as_plain_ram().map_err(plain)?;
                let expected = view.as_slice::<f32>().map_err(plain)?;
                let (own, others) = rest.split_at_checked(expected.len()).ok_or("an output has another size")?;
                rest = others;
                for (found, expected) in own.iter().zip(expected) {
                    let difference = (found - expected).abs() / expected.abs().max(1.0);
                    largest = largest.max(if difference.is_nan() { f32::INFINITY } else { difference });
                }
            }
        }
        Ok(largest)
    }
}

fn shapes(model: &TypedModel, outlets: &[OutletId]) -> Result<Vec<Vec<usize>>, String> {
    let of = |outlet: &OutletId| -> Result<Vec<usize>, String> {
        let fact = model.outlet_fact(*outlet).map_err(|error| format!("{error:#}"))?;
        fact.shape.as_concrete().map(<[usize]>::to_vec).ok_or_else(|| "a tensor has no fixed size".to_owned())
    };
    outlets.iter().map(of).collect()
}

/// Between its outputs and those of tract.
const LARGEST_DIFFERENCE: f32 = 1e-4;
/// Fixed, so that a network runs on own code always or never.
const SEED: u64 = 0x7a9;

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
