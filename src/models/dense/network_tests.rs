//! Whole windows on own code, beside tract.

use proptest::prelude::*;
use tract_onnx::pb::AttributeProto;

use super::*;
use crate::models::sketch::{Kernel, Sketch, float, int, ints, text};

/// A graph from `x`, `[channels, time]`, to `y`.
struct Case {
    onnx: Vec<u8>,
    shape: Vec<usize>,
}

impl Case {
    fn new(sketch: Sketch, output: &str, (channels, time): (usize, usize)) -> Self {
        Self { onnx: sketch.onnx(output), shape: vec![channels, time] }
    }

    fn read(&self) -> Result<DenseNetwork, String> {
        DenseNetwork::read(&self.onnx, &[("x", self.shape.clone())], &["y"])
    }

    /// The largest difference from tract on any of the registers that this processor has.
    fn difference(&self) -> Result<f32, String> {
        let mut levels = vec![Level::baseline(), Level::new()];
        #[cfg(target_arch = "x86_64")]
        levels.extend(Level::new().as_avx2().map(Level::Avx2));
        let of = |level| DenseNetwork::compared(&self.onnx, &[("x", self.shape.clone())], &["y"], level);
        levels.into_iter().try_fold(0.0, |largest: f32, level| Ok(largest.max(of(level)?.1)))
    }
}

type Draw = fn(&mut Sketch) -> String;

fn assert_same(case: &Case) {
    let difference = case.difference().expect("all of it is known");
    assert!(difference <= SAME, "{difference:e}");
}

/// Downwards by two, with every second row.
fn halved(sketch: &mut Sketch, input: &str, (inputs, outputs): (usize, usize)) -> String {
    strided(sketch, input, (inputs, outputs), (3, 2))
}

fn strided(
    sketch: &mut Sketch,
    input: &str,
    (inputs, outputs): (usize, usize),
    (taps, stride): (usize, usize),
) -> String {
    let weights = sketch.weights(&[outputs, inputs, taps], inputs * taps);
    let bias = sketch.weights(&[outputs], 4);
    let around = [taps / 2, taps / 2];
    sketch.node("Conv", &[input, &weights, &bias], vec![ints("strides", &[stride]), ints("pads", &around)])
}

fn same(sketch: &mut Sketch, input: &str, widths: (usize, usize)) -> String {
    sketch.convolution(input, widths, Kernel { pads: (1, 1), ..Kernel::causal(3, 1) })
}

fn doubled(sketch: &mut Sketch, input: &str) -> String {
    let scales = sketch.constant(&[3], vec![1.0, 1.0, 2.0]);
    let nearest: Vec<AttributeProto> = vec![
        text("mode", "nearest"),
        text("nearest_mode", "floor"),
        text("coordinate_transformation_mode", "asymmetric"),
    ];
    sketch.node("Resize", &[input, "", &scales], nearest)
}

fn silu(sketch: &mut Sketch, input: &str) -> String {
    let gate = sketch.node("Sigmoid", &[input], vec![]);
    sketch.node("Mul", &[input, &gate], vec![])
}

#[test]
fn a_unet_is_as_under_tract() {
    let mut sketch = Sketch::new(10, 1);
    let wide = same(&mut sketch, "x", (10, 24));
    let wide = silu(&mut sketch, &wide);
    let low = halved(&mut sketch, &wide, (24, 40));
    let [scale, shift, mean] = [(); 3].map(|()| sketch.weights(&[40], 1));
    let variance = sketch.constant(&[40], (1..=40).map(|value| value as f32 / 20.0).collect());
    let low = sketch.node("BatchNormalization", &[&low, &scale, &shift, &mean, &variance], vec![]);
    let low = silu(&mut sketch, &low);
    let low = same(&mut sketch, &low, (40, 24));
    let up = doubled(&mut sketch, &low);
    let both = sketch.node("Concat", &[&up, &wide], vec![int("axis", 1)]);
    let last = same(&mut sketch, &both, (48, 10));
    assert_same(&Case::new(sketch, &last, (10, 60)));
}

#[test]
fn what_a_transposed_convolution_widens_is_as_under_tract() {
    for (taps, stride, before, more) in [(5, 2, 2, 1), (4, 2, 1, 0), (3, 3, 0, 0), (2, 3, 0, 1), (7, 1, 3, 0)] {
        let mut sketch = Sketch::new(6, 2);
        let weights = sketch.weights(&[6, 12, taps], 6 * taps / stride);
        let bias = sketch.weights(&[12], 4);
        let attributes =
            vec![ints("strides", &[stride]), ints("pads", &[before, before]), ints("output_padding", &[more])];
        let wide = sketch.node("ConvTranspose", &["x", &weights, &bias], attributes);
        let active = sketch.node("LeakyRelu", &[&wide], vec![float("alpha", 0.1)]);
        let last = same(&mut sketch, &active, (12, 6));
        assert_same(&Case::new(sketch, &last, (6, 16)));
    }
}

#[test]
fn a_product_with_the_whole_window_is_as_under_tract() {
    let mut sketch = Sketch::new(8, 3);
    let low = halved(&mut sketch, "x", (8, 20));
    let flat = sketch.node("Flatten", &[&low], vec![int("axis", 1)]);
    let matrix = sketch.weights(&[200, 7], 200);
    let squeezed = sketch.node("MatMul", &[&flat, &matrix], vec![]);
    let squeezed = sketch.node("Tanh", &[&squeezed], vec![]);
    let matrix = sketch.weights(&[7, 160], 7);
    let bias = sketch.weights(&[160], 1);
    let wide = sketch.node("Gemm", &[&squeezed, &matrix, &bias], vec![]);
    let shape = sketch.indices(&[1, 8, 20]);
    let last = sketch.node("Reshape", &[&wide, &shape], vec![]);
    assert_same(&Case::new(sketch, &last, (8, 20)));
}

#[test]
fn what_all_of_time_gives_meets_each_row_as_under_tract() {
    let mut sketch = Sketch::new(5, 4);
    let mean = sketch.node("ReduceMean", &["x"], vec![ints("axes", &[2]), int("keepdims", 1)]);
    let less = sketch.node("Sub", &["x", &mean], vec![]);
    let shift = same(&mut sketch, &less, (5, 16));
    let last = same(&mut sketch, &shift, (16, 5));
    assert_same(&Case::new(sketch, &last, (5, 33)));
}

#[test]
fn one_window_leaves_nothing_behind_for_the_next() {
    let mut sketch = Sketch::new(4, 5);
    let low = halved(&mut sketch, "x", (4, 9));
    let up = doubled(&mut sketch, &low);
    let both = sketch.node("Concat", &[&up, "x"], vec![int("axis", 1)]);
    let last = same(&mut sketch, &both, (13, 4));
    let case = Case::new(sketch, &last, (4, 12));
    let (mut used, mut fresh) = (case.read().expect("it is known"), case.read().expect("it is known"));
    let window = |rate: f32| -> Vec<f32> { (0..48).map(|value| (rate * value as f32).sin()).collect() };
    let (mut found, mut expected) = ([0.0; 48], [0.0; 48]);
    used.run(&[&window(3.0)], &mut found);
    used.run(&[&[f32::MAX; 48]], &mut found);
    used.run(&[&window(0.7)], &mut found);
    fresh.run(&[&window(0.7)], &mut expected);
    assert_eq!(found, expected);
}

#[test]
fn what_is_unknown_is_named() {
    let refusals: [(Draw, &str); 3] = [
        (
            |sketch| sketch.convolution("x", (4, 4), Kernel { groups: 2, pads: (1, 1), ..Kernel::causal(3, 1) }),
            "one group",
        ),
        (|sketch| sketch.node("Softmax", &["x"], vec![int("axis", 2)]), "Softmax"),
        (|sketch| sketch.node("LpNormalization", &["x"], vec![]), "LpNormalization"),
    ];
    for (draw, expected) in refusals {
        let mut sketch = Sketch::new(4, 6);
        let last = draw(&mut sketch);
        let refused = Case::new(sketch, &last, (4, 16)).read().err();
        assert!(refused.as_ref().is_some_and(|why| why.contains(expected)), "{expected}: {refused:?}");
    }
}

#[derive(Clone, Debug)]
struct Layer {
    width: usize,
    taps: usize,
    stride: usize,
    activation: Option<&'static str>,
    added: bool,
}

fn layer() -> impl Strategy<Value = Layer> {
    let activation = prop::option::of(prop::sample::select(vec!["Relu", "Tanh", "Sigmoid", "HardSwish", "Erf"]));
    (1usize..=50, 0usize..=3, 1usize..=3, activation, any::<bool>()).prop_map(
        |(width, reach, stride, activation, added)| Layer { width, taps: 2 * reach + 1, stride, activation, added },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_chain_of_convolutions_is_as_under_tract(
        channels in 1usize..=20, time in 30usize..=70, layers in prop::collection::vec(layer(), 1..=4), seed: u64
    ) {
        let mut sketch = Sketch::new(channels, seed);
        let (mut last, mut width) = ("x".to_owned(), channels);
        for Layer { width: next, taps, stride, activation, added } in layers {
            let (next, stride) = if added { (width, 1) } else { (next, stride) };
            let mut new = strided(&mut sketch, &last, (width, next), (taps, stride));
            if let Some(op) = activation {
                new = sketch.node(op, &[&new], vec![]);
            }
            if added {
                new = sketch.node("Add", &[&last, &new], vec![]);
            }
            (last, width) = (new, next);
        }
        let difference = Case::new(sketch, &last, (channels, time)).difference();
        prop_assert!(difference.as_ref().is_ok_and(|difference| *difference <= SAME), "{difference:?}");
    }
}

/// What it may differ from tract by, of values beyond one as a share of them.
const SAME: f32 = 1e-5;
