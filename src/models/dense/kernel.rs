use std::mem;

use fearless_simd::{Level, dispatch, f32x8, f32x16, prelude::*};

use super::program::{Convolution, LANES, Program, Region, Sheets, Step};
use crate::models::ring::{Combine, Function};

impl Program {
    /// Runs every step on the widest registers that this processor has.
    pub fn compute(&self, sheets: &mut Sheets) {
        let level: Level = self.level;
        dispatch!(level, simd => run(simd, self, &mut sheets.0));
    }
}

#[inline(always)]
fn run<S: Simd>(simd: S, program: &Program, sheets: &mut [Vec<f32>]) {
    for step in &program.steps {
        match step {
            Step::Convolution(it) => {
                let mut target = mem::take(&mut sheets[it.target]);
                convolve(simd, it, &sheets[it.source], &mut target);
                sheets[it.target] = target;
            }
            Step::Function(function, region) => apply(simd, *function, region.of_mut(&mut sheets[region.sheet])),
            Step::Scalar(scalar, region) => {
                for value in region.of_mut(&mut sheets[region.sheet]) {
                    *value = scalar(*value);
                }
            }
            Step::Combine(how, region, other) => {
                let mut target = mem::take(&mut sheets[region.sheet]);
                combine(simd, *how, (*region, &mut target), other.of(&sheets[other.sheet]));
                sheets[region.sheet] = target;
            }
            Step::Copy { target: region, blank, sources } => {
                let mut target = mem::take(&mut sheets[region.sheet]);
                if *blank {
                    region.of_mut(&mut target).fill(0.0);
                }
                for (source, runs) in sources {
                    let source = &sheets[*source];
                    runs.iter().for_each(|run| run.copy(source, &mut target));
                }
                sheets[region.sheet] = target;
            }
            Step::Total { source, target: region } => {
                let mut target = mem::take(&mut sheets[region.sheet]);
                let total = region.of_mut(&mut target);
                total.fill(0.0);
                for row in source.of(&sheets[source.sheet]).chunks_exact(source.stride) {
                    total.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                sheets[region.sheet] = target;
            }
        }
    }
}

#[inline(always)]
fn apply<S: Simd>(simd: S, function: Function, values: &mut [f32]) {
    let (whole, rest) = values.as_chunks_mut::<{ 2 * LANES }>();
    for values in whole {
        function.of(simd, f32x16::from_slice(simd, values)).store_slice(values);
    }
    if !rest.is_empty() {
        let mut values = [0.0; 2 * LANES];
        values[..rest.len()].copy_from_slice(rest);
        function.of(simd, f32x16::from_slice(simd, &values)).store_slice(&mut values);
        rest.copy_from_slice(&values[..rest.len()]);
    }
}

#[inline(always)]
fn combine<S: Simd>(simd: S, how: Combine, (region, sheet): (Region, &mut [f32]), other: &[f32]) {
    for (row, values) in region.of_mut(sheet).chunks_exact_mut(region.stride).enumerate() {
        let first = if other.len() > region.stride { row * region.stride } else { 0 };
        let other = &other[first..first + region.stride];
        for (values, other) in values.as_chunks_mut::<LANES>().0.iter_mut().zip(other.as_chunks::<LANES>().0) {
            let (value, other) = (f32x8::from_slice(simd, values), f32x8::from_slice(simd, other));
            let met = match how {
                Combine::Add => value + other,
                Combine::Subtract => value - other,
                Combine::SubtractFrom => other - value,
                Combine::Multiply => value * other,
                Combine::Divide => value / other,
                Combine::DivideInto => other / value,
                Combine::Larger => value.max(other),
                Combine::Smaller => value.min(other),
            };
            met.store_slice(values);
        }
    }
}

#[inline(always)]
fn convolve<S: Simd>(simd: S, it: &Convolution, source: &[f32], target: &mut [f32]) {
    let (mut done, mut constants) = (0, &it.constants[..]);
    while done < it.vectors {
        let vectors = tile_vectors(it.vectors - done);
        let (own, rest) = constants.split_at((1 + it.taps * it.run) * vectors * LANES);
        constants = rest;
        let mut position = 0;
        while position < it.positions {
            let positions = (it.positions - position).min(POSITIONS);
            let tile = Tile { position, vector: done, constants: own };
            match (positions, vectors) {
                (4, 3) => tile.sum::<S, 4, 3>(simd, it, source, target),
                (3, 3) => tile.sum::<S, 3, 3>(simd, it, source, target),
                (2, 3) => tile.sum::<S, 2, 3>(simd, it, source, target),
                (_, 3) => tile.sum_one::<S, 3>(simd, it, source, target),
                (4, 2) => tile.sum::<S, 4, 2>(simd, it, source, target),
                (3, 2) => tile.sum::<S, 3, 2>(simd, it, source, target),
                (2, 2) => tile.sum::<S, 2, 2>(simd, it, source, target),
                (_, 2) => tile.sum_one::<S, 2>(simd, it, source, target),
                (4, _) => tile.sum::<S, 4, 1>(simd, it, source, target),
                (3, _) => tile.sum::<S, 3, 1>(simd, it, source, target),
                (2, _) => tile.sum::<S, 2, 1>(simd, it, source, target),
                _ => tile.sum_one::<S, 1>(simd, it, source, target),
            }
            position += positions;
        }
        done += vectors;
    }
}

/// How many vectors of outputs are summed at once when so many are left: three, with four positions, fill AVX2's registers.
pub(super) fn tile_vectors(left: usize) -> usize {
    match left {
        4 => 2,
        3.. => 3,
        _ => left,
    }
}

/// Some outputs at some positions.
struct Tile<'a> {
    position: usize,
    vector: usize,
    constants: &'a [f32],
}

impl Tile<'_> {
    #[inline(always)]
    fn sum<S: Simd, const POSITIONS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        it: &Convolution,
        source: &[f32],
        target: &mut [f32],
    ) {
        let (bias, weights) = self.constants.as_chunks::<LANES>().0.split_at(VECTORS);
        let (bias, mut weights) = (bias.as_chunks::<VECTORS>().0, weights.as_chunks::<VECTORS>().0);
        let mut sums = [[f32x8::splat(simd, 0.0); VECTORS]; POSITIONS];
        for sums in &mut sums {
            for (sum, bias) in sums.iter_mut().zip(&bias[0]) {
                *sum = f32x8::from_slice(simd, bias);
            }
        }
        for tap in 0..it.taps {
            let mut rows: [&[[f32; LANES]]; POSITIONS] = [&[]; POSITIONS];
            for (index, row) in rows.iter_mut().enumerate() {
                let first = it.first + (self.position + index) * it.step + tap * it.tap;
                *row = source[first..first + it.run].as_chunks::<LANES>().0;
            }
            for block in 0..it.run / LANES {
                let (own, rest) = weights.split_at(LANES);
                weights = rest;
                let mut inputs = [&[0.0; LANES]; POSITIONS];
                for (input, row) in inputs.iter_mut().zip(&rows) {
                    *input = &row[block];
                }
                for (lane, own) in own.iter().enumerate() {
                    let mut weights = [f32x8::splat(simd, 0.0); VECTORS];
                    for (weight, own) in weights.iter_mut().zip(own) {
                        *weight = f32x8::from_slice(simd, own);
                    }
                    for (sums, input) in sums.iter_mut().zip(&inputs) {
                        let input = f32x8::splat(simd, input[lane]);
                        for (sum, weight) in sums.iter_mut().zip(&weights) {
                            *sum = weight.mul_add(input, *sum);
                        }
                    }
                }
            }
        }
        for (index, sums) in sums.iter().enumerate() {
            let first = it.target_first + (self.position + index) * it.target_step + self.vector * LANES;
            let row = &mut target[first..first + VECTORS * LANES];
            for (sum, values) in sums.iter().zip(row.as_chunks_mut::<LANES>().0) {
                sum.store_slice(values);
            }
        }
    }

    /// The same at one position, whose sums would wait for each other: each is made in parts.
    #[inline(always)]
    fn sum_one<S: Simd, const VECTORS: usize>(&self, simd: S, it: &Convolution, source: &[f32], target: &mut [f32]) {
        let (bias, weights) = self.constants.as_chunks::<LANES>().0.split_at(VECTORS);
        let mut weights = weights.as_chunks::<VECTORS>().0;
        let mut sums = [[f32x8::splat(simd, 0.0); VECTORS]; PARTS];
        for (sum, bias) in sums[0].iter_mut().zip(bias) {
            *sum = f32x8::from_slice(simd, bias);
        }
        for tap in 0..it.taps {
            let first = it.first + self.position * it.step + tap * it.tap;
            for inputs in source[first..first + it.run].as_chunks::<PARTS>().0 {
                let (own, rest) = weights.split_at(PARTS);
                weights = rest;
                for ((sums, input), own) in sums.iter_mut().zip(inputs).zip(own) {
                    let input = f32x8::splat(simd, *input);
                    for (sum, own) in sums.iter_mut().zip(own) {
                        *sum = f32x8::from_slice(simd, own).mul_add(input, *sum);
                    }
                }
            }
        }
        let first = it.target_first + self.position * it.target_step + self.vector * LANES;
        let row = &mut target[first..first + VECTORS * LANES];
        for (vector, values) in row.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let [one, two, three, four] = sums.map(|sums| sums[vector]);
            ((one + two) + (three + four)).store_slice(values);
        }
    }
}

const POSITIONS: usize = 4;
/// Of a sum that stands alone.
const PARTS: usize = 4;
