//! Each engine on small graphs, against whole windows under tract.

use fearless_simd::Level;
use proptest::prelude::*;

use super::*;
use crate::models::network::network;
use crate::models::sketch::{Kernel, Sketch, float, int, ints};
use crate::models::{Model, PackageFiles, shipped};

/// A graph with its contract.
struct Case {
    onnx: Vec<u8>,
    contract: Contract,
}

/// What became of it.
struct Chosen {
    case: Case,
    engine: Engine,
    turned_down: Vec<TurnedDown>,
    reference: Reference,
}

impl Case {
    fn new(sketch: Sketch, output: &str, window: usize) -> Self {
        Self { contract: sketch.contract(window), onnx: sketch.onnx(output) }
    }

    fn network(&self) -> Network {
        network(&self.onnx, &self.contract).expect("tract reads it")
    }

    fn reference(&self, network: &Network) -> Reference {
        let mut window = WindowDenoiser::new(&network.plan, &self.contract).expect("it fits");
        let mut reference = Reference::default();
        reference.add_random(&self.contract, &mut window).expect("it runs");
        reference
    }

    fn choose(self, first: EngineKind) -> Chosen {
        let network = self.network();
        let reference = self.reference(&network);
        let (engine, turned_down) = Engine::choose(network, &self.onnx, &self.contract, &reference, first);
        Chosen { case: self, engine, turned_down, reference }
    }

    /// The largest difference of the ring on each set of registers that this processor has.
    fn ring_differences(&self) -> Vec<f32> {
        let network = self.network();
        let reference = self.reference(&network);
        let of = |level| {
            let program = ring::compile(&network.typed, &self.contract, level).expect("the ring knows all of it");
            reference.difference(&mut RingDenoiser::new(&Arc::new(program))).expect("it does not fail")
        };
        levels().into_iter().map(of).collect()
    }
}

impl Chosen {
    fn denoiser(&self) -> Box<dyn Denoiser> {
        self.engine.denoiser(&self.case.contract).expect("it was proved")
    }

    fn difference(&self) -> f32 {
        self.reference.difference(&mut *self.denoiser()).expect("it was proved")
    }

    fn why(&self) -> String {
        self.turned_down.iter().map(|it| format!("{}: {}", it.engine, it.why)).collect::<Vec<_>>().join("\n")
    }
}

fn levels() -> Vec<Level> {
    let best = Level::new();
    let mut levels = vec![Level::baseline(), best];
    #[cfg(target_arch = "x86_64")]
    {
        levels.extend(best.as_sse4_2().map(Level::Sse4_2));
        levels.extend(best.as_avx2().map(Level::Avx2));
    }
    levels
}

fn assert_ring(case: Case) {
    for difference in case.ring_differences() {
        assert!(difference <= SAME, "{difference:e}");
    }
    let chosen = case.choose(EngineKind::Ring);
    assert_eq!((chosen.engine.kind(), chosen.why()), (EngineKind::Ring, String::new()));
}

/// Two causal convolutions with something between them.
fn between(channels: usize, width: usize, middle: impl FnOnce(&mut Sketch, &str) -> String) -> Case {
    let mut sketch = Sketch::new(channels, 3);
    let first = sketch.convolution("x", (channels, width), Kernel::causal(3, 1));
    let middle = middle(&mut sketch, &first);
    let last = sketch.convolution(&middle, (width, channels), Kernel::causal(3, 2));
    Case::new(sketch, &last, WINDOW)
}

#[test]
fn every_function_of_a_value_is_as_under_tract() {
    for op in ["Sigmoid", "Tanh", "Relu", "HardSwish", "Neg", "Abs", "Erf"] {
        assert_ring(between(5, 20, |sketch, input| sketch.node(op, &[input], vec![])));
    }
    assert_ring(between(5, 20, |sketch, input| sketch.node("LeakyRelu", &[input], vec![float("alpha", 0.2)])));
    assert_ring(between(5, 20, |sketch, input| {
        let sigmoid = sketch.node("Sigmoid", &[input], vec![]);
        sketch.node("Mul", &[input, &sigmoid], vec![])
    }));
    assert_ring(between(5, 20, |sketch, input| {
        let root = sketch.constant(&[], vec![std::f32::consts::SQRT_2]);
        let scaled = sketch.node("Div", &[input, &root], vec![]);
        let erf = sketch.node("Erf", &[&scaled], vec![]);
        let [one, half] = [1.0, 0.5].map(|value| sketch.constant(&[], vec![value]));
        let sum = sketch.node("Add", &[&erf, &one], vec![]);
        let product = sketch.node("Mul", &[input, &sum], vec![]);
        sketch.node("Mul", &[&product, &half], vec![])
    }));
    assert_ring(between(5, 20, |sketch, input| {
        let constants = [3.0, 0.044715, 0.797_884_6, 1.0, 0.5];
        let [three, cubic, root, one, half] = constants.map(|value| sketch.constant(&[], vec![value]));
        let cube = sketch.node("Pow", &[input, &three], vec![]);
        let cube = sketch.node("Mul", &[&cube, &cubic], vec![]);
        let inner = sketch.node("Add", &[input, &cube], vec![]);
        let inner = sketch.node("Mul", &[&inner, &root], vec![]);
        let tanh = sketch.node("Tanh", &[&inner], vec![]);
        let sum = sketch.node("Add", &[&tanh, &one], vec![]);
        let product = sketch.node("Mul", &[input, &sum], vec![]);
        sketch.node("Mul", &[&product, &half], vec![])
    }));
}

#[test]
fn two_layers_meet_as_under_tract() {
    for op in ["Add", "Sub", "Mul", "Div", "Max", "Min"] {
        for swapped in [false, true] {
            // Both read by nothing else, one of them read again, and the input itself.
            assert_ring(between(4, 18, |sketch, input| {
                let one = sketch.convolution(input, (18, 18), Kernel::causal(2, 3));
                let other = sketch.convolution(input, (18, 18), Kernel::causal(3, 1));
                let other = sketch.node("Sigmoid", &[&other], vec![]);
                let half = sketch.constant(&[1, 1, 1], vec![0.5]);
                let other = sketch.node("Add", &[&other, &half], vec![]);
                match swapped && op != "Div" {
                    true => sketch.node(op, &[&other, &one], vec![]),
                    false => sketch.node(op, &[&one, &other], vec![]),
                }
            }));
        }
        let mut sketch = Sketch::new(6, 5);
        let values = sketch.constant(&[1, 6, 1], (1..=6).map(|value| value as f32).collect());
        let scaled = sketch.node(op, &["x", &values], vec![]);
        let convolved = sketch.convolution(&scaled, (6, 6), Kernel::causal(3, 1));
        let sum = sketch.node("Add", &[&convolved, "x"], vec![]);
        assert_ring(Case::new(sketch, &sum, WINDOW));
    }
}

#[test]
fn a_constant_less_a_layer_is_not_the_layer_less_a_constant() {
    for op in ["Sub", "Div"] {
        assert_ring(between(3, 16, |sketch, input| {
            let sigmoid = sketch.node("Sigmoid", &[input], vec![]);
            let one = sketch.constant(&[], vec![1.0]);
            let sum = sketch.node("Add", &[&sigmoid, &one], vec![]);
            let values = sketch.weights(&[1, 16, 1], 1);
            sketch.node(op, &[&values, &sum], vec![])
        }));
    }
}

#[test]
fn a_layer_that_is_read_twice_is_not_changed_in_place() {
    assert_ring(between(3, 17, |sketch, input| {
        let squared = sketch.node("Mul", &[input, input], vec![]);
        let tanh = sketch.node("Tanh", &[input], vec![]);
        let sum = sketch.node("Add", &[&tanh, &squared], vec![]);
        sketch.node("Sub", &[&sum, input], vec![])
    }));
}

#[test]
fn a_convolution_may_be_padded_on_both_sides_and_cut() {
    let mut sketch = Sketch::new(4, 8);
    let both = |taps, dilation| Kernel {
        pads: ((taps - 1) * dilation, (taps - 1) * dilation),
        ..Kernel::causal(taps, dilation)
    };
    let wide = sketch.convolution("x", (4, 24), both(3, 2));
    let cut = sketch.slice(&wide, 0, -4);
    let active = sketch.node("Relu", &[&cut], vec![]);
    let wide = sketch.convolution(&active, (24, 4), both(4, 1));
    let cut = sketch.slice(&wide, 0, -3);
    let sum = sketch.node("Add", &[&cut, "x"], vec![]);
    assert_ring(Case::new(sketch, &sum, WINDOW));
}

#[test]
fn what_is_foretold_from_the_past_alone_runs_on_the_ring() {
    let mut sketch = Sketch::new(4, 9);
    let past = sketch.pad("x", 1, 0);
    let past = sketch.slice(&past, 0, -1);
    let hidden = sketch.convolution(&past, (4, 16), Kernel::causal(3, 2));
    let hidden = sketch.node("Tanh", &[&hidden], vec![]);
    let foretold = sketch.convolution(&hidden, (16, 4), Kernel::causal(1, 1));
    let less = sketch.node("Sub", &["x", &foretold], vec![]);
    assert_ring(Case::new(sketch, &less, WINDOW));
}

#[test]
fn a_linear_layer_at_each_step_runs_on_the_ring() {
    let mut sketch = Sketch::new(5, 10);
    let turned = sketch.node("Transpose", &["x"], vec![ints("perm", &[0, 2, 1])]);
    let matrix = sketch.weights(&[5, 33], 5);
    let product = sketch.node("MatMul", &[&turned, &matrix], vec![]);
    let bias = sketch.weights(&[33], 1);
    let sum = sketch.node("Add", &[&bias, &product], vec![]);
    let active = sketch.node("Tanh", &[&sum], vec![]);
    let matrix = sketch.weights(&[33, 5], 33);
    let product = sketch.node("MatMul", &[&active, &matrix], vec![]);
    let turned = sketch.node("Transpose", &[&product], vec![ints("perm", &[0, 2, 1])]);
    let last = sketch.convolution(&turned, (5, 5), Kernel::causal(5, 3));
    assert_ring(Case::new(sketch, &last, WINDOW));
}

#[test]
fn a_batch_normalisation_is_folded() {
    assert_ring(between(4, 16, |sketch, input| {
        let [scale, shift, mean] = [(); 3].map(|()| sketch.weights(&[16], 1));
        let variance = sketch.constant(&[16], (1..=16).map(|value| value as f32 / 8.0).collect());
        sketch.node("BatchNormalization", &[input, &scale, &shift, &mean, &variance], vec![])
    }));
}

#[test]
fn one_channel_and_many_outputs_run_on_the_ring() {
    for width in [1, 15, 16, 17, 64, 100] {
        assert_ring(between(1, width, |sketch, input| sketch.node("Tanh", &[input], vec![])));
    }
}

#[test]
fn a_causal_network_that_the_ring_does_not_know_is_pulsed() {
    let grouped = between(4, 12, |sketch, input| {
        sketch.convolution(input, (12, 12), Kernel { groups: 3, ..Kernel::causal(3, 2) })
    });
    let waved = between(4, 12, |sketch, input| sketch.node("Sin", &[input], vec![]));
    for case in [grouped, waved] {
        let chosen = case.choose(EngineKind::Ring);
        assert_eq!(chosen.engine.kind(), EngineKind::Pulse, "{}", chosen.why());
        assert_eq!(chosen.denoiser().engine(), "pulse");
        assert!(chosen.why().starts_with("ring: "), "{}", chosen.why());
        assert!(chosen.difference() <= SAME, "{:e}", chosen.difference());
    }
}

#[test]
fn a_network_over_the_whole_window_runs_on_own_code_window_by_window() {
    let case = between(4, 12, |sketch, input| {
        let mean = sketch.node("ReduceMean", &[input], vec![ints("axes", &[2]), int("keepdims", 1)]);
        sketch.node("Sub", &[input, &mean], vec![])
    });
    let chosen = case.choose(EngineKind::Ring);
    assert_eq!(chosen.engine.kind(), EngineKind::Dense);
    assert_eq!(chosen.denoiser().engine(), "dense");
    assert_eq!(chosen.turned_down.iter().map(|it| it.engine).collect::<Vec<_>>(), ["ring", "pulse"]);
    assert!(chosen.turned_down.iter().all(|it| !it.why.is_empty()));
    assert!(chosen.difference() <= SAME, "{:e}", chosen.difference());
}

#[test]
fn a_network_that_no_own_code_knows_runs_as_a_window_and_says_what_it_was() {
    let case = between(4, 12, |sketch, input| {
        let grouped = Kernel { groups: 3, pads: (1, 1), ..Kernel::causal(3, 1) };
        let hidden = sketch.convolution(input, (12, 12), grouped);
        sketch.node("Softmax", &[&hidden], vec![int("axis", 2)])
    });
    let chosen = case.choose(EngineKind::Ring);
    assert_eq!(chosen.engine.kind(), EngineKind::Window, "{}", chosen.why());
    assert_eq!(chosen.turned_down.iter().map(|it| it.engine).collect::<Vec<_>>(), ["ring", "pulse", "dense"]);
    assert!(chosen.turned_down[2].why.contains("one group"), "{}", chosen.why());
    assert_eq!(chosen.difference(), 0.0);
}

#[test]
fn a_network_that_looks_ahead_runs_window_by_window() {
    let mut sketch = Sketch::new(4, 11);
    let same = Kernel { pads: (1, 1), ..Kernel::causal(3, 1) };
    let hidden = sketch.convolution("x", (4, 12), same);
    let hidden = sketch.node("Relu", &[&hidden], vec![]);
    let last = sketch.convolution(&hidden, (12, 4), same);
    let chosen = Case::new(sketch, &last, WINDOW).choose(EngineKind::Ring);
    assert_eq!(chosen.engine.kind(), EngineKind::Dense, "{}", chosen.why());
    assert!(chosen.why().contains("ring: an output column depends on 2 later ones"), "{}", chosen.why());
    assert!(chosen.why().contains("pulse: its columns would come out 2 late"), "{}", chosen.why());
}

/// Its columns may even be the same, but a restart could not bring all of the past back.
#[test]
fn a_network_that_never_forgets_runs_as_a_window() {
    let case = between(4, 6, |sketch, input| {
        let turned = sketch.node("Transpose", &[input], vec![ints("perm", &[2, 0, 1])]);
        let [inner, recurrent] = [(); 2].map(|()| sketch.weights(&[1, 18, 6], 60));
        let states = sketch.node("GRU", &[&turned, &inner, &recurrent], vec![int("hidden_size", 6)]);
        let axes = sketch.indices(&[1]);
        let states = sketch.node("Squeeze", &[&states, &axes], vec![]);
        sketch.node("Transpose", &[&states], vec![ints("perm", &[1, 2, 0])])
    });
    let chosen = case.choose(EngineKind::Ring);
    assert_eq!(chosen.engine.kind(), EngineKind::Window, "{}", chosen.why());
    assert!(chosen.why().contains("it remembers more than one window"), "{}", chosen.why());
}

#[test]
fn a_window_shorter_than_the_networks_reach_is_no_stream() {
    let mut sketch = Sketch::new(4, 12);
    let hidden = sketch.convolution("x", (4, 12), Kernel::causal(5, 4));
    let last = sketch.convolution(&hidden, (12, 4), Kernel::causal(5, 4));
    let chosen = Case::new(sketch, &last, 20).choose(EngineKind::Ring);
    assert_eq!(chosen.engine.kind(), EngineKind::Dense, "{}", chosen.why());
    assert!(chosen.why().contains("ring: an output column depends on 33 columns"), "{}", chosen.why());
    assert!(chosen.why().contains("pulse: its columns differ from those of the whole window"), "{}", chosen.why());
}

/// The window form overwrites what the stream still knows, so that only the comparison can tell.
#[test]
fn an_engine_that_gives_other_columns_is_not_used() {
    let mut sketch = Sketch::new(4, 13);
    let cut = sketch.slice("x", 5, i64::MAX);
    let blanked = sketch.pad(&cut, 5, 0);
    let last = sketch.convolution(&blanked, (4, 4), Kernel::causal(WINDOW, 1));
    let chosen = Case::new(sketch, &last, WINDOW).choose(EngineKind::Ring);
    assert_eq!(chosen.engine.kind(), EngineKind::Dense, "{}", chosen.why());
    assert!(chosen.why().contains("ring: its columns differ from those of the whole window"), "{}", chosen.why());
    let difference = chosen.turned_down.iter().find_map(|it| it.difference);
    assert!(difference.is_some_and(|difference| difference > LARGEST_DIFFERENCE), "it is counted as a fallback");
}

#[test]
fn a_network_that_would_take_too_much_memory_a_machine_is_not_taken_by_the_ring() {
    let mut sketch = Sketch::new(1, 14);
    let mut last = sketch.convolution("x", (1, 640), Kernel::causal(1, 1));
    for _ in 0..4 {
        let taken = sketch.convolution(&last, (640, 1), Kernel::causal(2, 500));
        last = sketch.convolution(&taken, (1, 640), Kernel::causal(1, 1));
    }
    let last = sketch.convolution(&last, (640, 1), Kernel::causal(1, 1));
    let case = Case::new(sketch, &last, 2001);
    let refused = ring::compile(&case.network().typed, &case.contract, Level::new()).err();
    assert!(refused.as_ref().is_some_and(|why| why.contains("a machine's layers would need")), "{refused:?}");
}

#[test]
fn a_restart_changes_no_column_on_any_engine() {
    for first in [EngineKind::Ring, EngineKind::Pulse, EngineKind::Dense, EngineKind::Window] {
        for seen in [3, WINDOW, WINDOW + 1, 2 * WINDOW + 5] {
            let case = between(4, 20, |sketch, input| sketch.node("Tanh", &[input], vec![]));
            let chosen = case.choose(first);
            assert_eq!(chosen.engine.kind(), first, "{}", chosen.why());
            let (mut whole, mut restarted) = (chosen.denoiser(), chosen.denoiser());
            let column = |t: usize| [1.0, 1.3, 1.7, 1.9].map(|rate: f32| (rate * t as f32).sin());
            for t in 0..seen {
                whole.push(&column(t)).expect("it was proved");
            }
            restarted.push(&[9.0; 4]).expect("it was proved");
            restarted.recall(&whole.memory());
            assert_eq!(restarted.memory(), whole.memory());
            for t in seen..seen + 2 * WINDOW {
                let column = column(t);
                let both = [&mut whole, &mut restarted].map(|it| it.push(&column).expect("it was proved"));
                assert_eq!(both[0], both[1], "{first:?}, column {t} after {seen}");
                assert_eq!(both[0].is_some(), t + 1 >= WINDOW);
            }
        }
    }
}

#[test]
fn what_one_engine_remembers_another_one_takes_up() {
    let chosen = |first| between(4, 20, |sketch, input| sketch.node("Tanh", &[input], vec![])).choose(first);
    let mut ring = chosen(EngineKind::Ring).denoiser();
    let mut window = chosen(EngineKind::Window).denoiser();
    for t in 0..WINDOW {
        ring.push(&[t as f32 * 0.1; 4]).expect("it was proved");
    }
    window.recall(&ring.memory());
    let both =
        [&mut ring, &mut window].map(|it| it.push(&[0.5; 4]).expect("it was proved").expect("it is full").to_vec());
    assert!(both[0].iter().zip(&both[1]).all(|(one, other)| (one - other).abs() <= SAME));
}

/// Ten thousand of them stay within the caches and the memory of a small gateway.
#[test]
fn a_machine_of_the_rig_keeps_less_than_twelve_kibibytes() {
    let package = shipped("hydraulic-dae").expect("it comes with the binary");
    let contract = Model::load(&package, false).expect("it is sound").manifest().contract.clone();
    let onnx = package.read("denoiser.onnx", u64::MAX).expect("it was read a moment ago");
    let chosen = Case { onnx, contract }.choose(EngineKind::Ring);
    assert!(chosen.difference() <= LARGEST_DIFFERENCE, "{:e}", chosen.difference());
    let Engine::Ring(program) = &chosen.engine else { panic!("it does not run on the ring: {}", chosen.why()) };
    assert!(size_of::<f32>() * program.values() < 12 * 1024, "{} values", program.values());
}

#[derive(Clone, Debug)]
struct Block {
    taps: usize,
    dilation: usize,
    width: usize,
    activation: Option<&'static str>,
    residual: bool,
    cut: bool,
}

fn block() -> impl Strategy<Value = Block> {
    let activation =
        prop::option::of(prop::sample::select(vec!["Relu", "Tanh", "Sigmoid", "HardSwish", "Silu", "Erf"]));
    (1usize..=5, 1usize..=6, 1usize..=40, activation, any::<bool>(), any::<bool>()).prop_map(
        |(taps, dilation, width, activation, residual, cut)| Block { taps, dilation, width, activation, residual, cut },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_causal_chain_is_the_same_on_the_ring(
        channels in 1usize..=9, blocks in prop::collection::vec(block(), 1..=5), spare in 0usize..3, seed: u64
    ) {
        let mut sketch = Sketch::new(channels, seed);
        let (mut last, mut width, mut window) = ("x".to_owned(), channels, 2 + spare);
        for Block { taps, dilation, width: next, activation, residual, cut } in blocks {
            let next = if residual { width } else { next };
            let causal = Kernel::causal(taps, dilation);
            let past = causal.past();
            window += past;
            let mut new = match cut && past > 0 {
                true => {
                    let wide = sketch.convolution(&last, (width, next), Kernel { pads: (past, past), ..causal });
                    sketch.slice(&wide, 0, -(past as i64))
                }
                false => sketch.convolution(&last, (width, next), causal),
            };
            new = match activation {
                Some("Silu") => {
                    let gate = sketch.node("Sigmoid", &[&new], vec![]);
                    sketch.node("Mul", &[&new, &gate], vec![])
                }
                Some(op) => sketch.node(op, &[&new], vec![]),
                None => new,
            };
            if residual {
                new = sketch.node("Add", &[&last, &new], vec![]);
            }
            (last, width) = (new, next);
        }
        let last = sketch.convolution(&last, (width, channels), Kernel::causal(1, 1));
        for difference in Case::new(sketch, &last, window).ring_differences() {
            prop_assert!(difference <= SAME, "{difference:e}");
        }
    }
}

/// What the engines may differ by on the same file.
const SAME: f32 = 1e-5;
const WINDOW: usize = 24;
