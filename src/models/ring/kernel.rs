use fearless_simd::{Level, dispatch, f32x16, prelude::*};

use super::lanes::{Lanes, WIDTH};
use super::program::{Base, Cell, Combine, Convolution, Operand, Program, Step, Then};

impl Program {
    /// Runs every step on the widest registers that this processor has.
    pub(super) fn compute(&self, layers: &mut Lanes, pushed: u64) {
        let level: Level = self.level;
        dispatch!(level, simd => run(simd, self, layers, pushed));
    }
}

#[inline(always)]
fn run<S: Simd>(simd: S, program: &Program, layers: &mut [f32], pushed: u64) {
    for Step { base, then, target } in &program.steps {
        let target = &program.cells[*target];
        let (first, rows) = (target.at(pushed, 0), Cell::rows(target.width));
        match base {
            Base::Convolution(convolution) => {
                convolve(simd, program, convolution, layers, Newest { pushed, first, rows });
            }
            Base::Copy(place) => {
                let from = program.at(*place, pushed);
                layers.copy_within(from..from + rows * WIDTH, first);
            }
        }
        for then in then {
            match then {
                Then::Function(function) => {
                    for row in layers[first..first + rows * WIDTH].chunks_exact_mut(WIDTH) {
                        let value = load(simd, row);
                        function.of(simd, value).store_slice(row);
                    }
                }
                Then::Combine(combine, operand) => {
                    for row in 0..rows {
                        let other = match *operand {
                            Operand::Place(place) => &layers[program.at(place, pushed) + row * WIDTH..][..WIDTH],
                            Operand::Constant(first) => &program.constants[first + row * WIDTH..][..WIDTH],
                        };
                        let other = load(simd, other);
                        let row = &mut layers[first + row * WIDTH..][..WIDTH];
                        let value = load(simd, row);
                        combined(*combine, value, other).store_slice(row);
                    }
                }
            }
        }
    }
}

/// Where a step's newest column goes.
#[derive(Clone, Copy)]
struct Newest {
    pushed: u64,
    first: usize,
    rows: usize,
}

/// The columns that a convolution reads.
#[derive(Clone, Copy)]
struct Taps<'a> {
    source: &'a Cell,
    count: usize,
    dilation: usize,
}

#[inline(always)]
fn convolve<S: Simd>(simd: S, program: &Program, it: &Convolution, layers: &mut [f32], newest: Newest) {
    let taps = Taps { source: &program.cells[it.source], count: it.taps, dilation: it.dilation };
    let (mut done, mut constants) = (0, &program.constants[it.constants..]);
    while done < newest.rows {
        let tile = Newest { first: newest.first + done * WIDTH, ..newest };
        // So many sums run beside each other that none waits for the one before, and no more than there are registers.
        let rows = tile_rows(newest.rows - done);
        constants = match (rows, S::f32s::LEN) {
            (4, _) => tile_of::<S, 4, 1>(simd, taps, constants, layers, tile),
            (2, 4) => tile_of::<S, 2, 1>(simd, taps, constants, layers, tile),
            (2, _) => tile_of::<S, 2, 2>(simd, taps, constants, layers, tile),
            (_, 4) => tile_of::<S, 1, 2>(simd, taps, constants, layers, tile),
            _ => tile_of::<S, 1, 4>(simd, taps, constants, layers, tile),
        };
        done += rows;
    }
}

/// How many rows of outputs are summed at once when so many are left.
#[inline(always)]
pub(super) fn tile_rows(left: usize) -> usize {
    match left {
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Sums `ROWS` rows of outputs over all taps and inputs, in `PARTS` interleaved parts; gives the constants that are left.
#[inline(always)]
fn tile_of<'a, S: Simd, const ROWS: usize, const PARTS: usize>(
    simd: S,
    taps: Taps<'_>,
    constants: &'a [f32],
    layers: &mut [f32],
    tile: Newest,
) -> &'a [f32] {
    let (bias, mut constants) = constants.split_at(ROWS * WIDTH);
    let mut sums = [[f32x16::splat(simd, 0.0); ROWS]; PARTS];
    for (sum, bias) in sums[0].iter_mut().zip(bias.chunks_exact(WIDTH)) {
        *sum = load(simd, bias);
    }
    for tap in 0..taps.count {
        let first = taps.source.at(tile.pushed, tap * taps.dilation);
        let inputs = layers[first..first + taps.source.width].chunks_exact(PARTS);
        let (weights, rest) = constants.split_at(taps.source.width * ROWS * WIDTH);
        constants = rest;
        let weights = weights.chunks_exact(PARTS * ROWS * WIDTH);
        let last = inputs.remainder().iter().zip(weights.remainder().chunks_exact(ROWS * WIDTH));
        for (inputs, weights) in inputs.zip(weights) {
            let each = inputs.iter().zip(weights.chunks_exact(ROWS * WIDTH));
            for (sums, (&input, weights)) in sums.iter_mut().zip(each) {
                add(simd, sums, input, weights);
            }
        }
        for (&input, weights) in last {
            add(simd, &mut sums[0], input, weights);
        }
    }
    for row in 0..ROWS {
        let mut whole = sums[0][row];
        for part in &sums[1..] {
            whole += part[row];
        }
        whole.store_slice(&mut layers[tile.first + row * WIDTH..][..WIDTH]);
    }
    constants
}

/// Adds one input's part to each output.
#[inline(always)]
fn add<S: Simd, const ROWS: usize>(simd: S, sums: &mut [f32x16<S>; ROWS], input: f32, weights: &[f32]) {
    let input = f32x16::splat(simd, input);
    for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(WIDTH)) {
        *sum = load(simd, weights).mul_add(input, *sum);
    }
}

#[inline(always)]
fn combined<S: Simd>(combine: Combine, value: f32x16<S>, other: f32x16<S>) -> f32x16<S> {
    match combine {
        Combine::Add => value + other,
        Combine::Subtract => value - other,
        Combine::SubtractFrom => other - value,
        Combine::Multiply => value * other,
        Combine::Divide => value / other,
        Combine::DivideInto => other / value,
        Combine::Larger => value.max(other),
        Combine::Smaller => value.min(other),
    }
}

#[inline(always)]
fn load<S: Simd>(simd: S, row: &[f32]) -> f32x16<S> {
    f32x16::from_slice(simd, row)
}
