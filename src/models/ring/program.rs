use fearless_simd::Level;

use super::function::Function;
use super::lanes::{Lanes, WIDTH};

/// What a network does with one new column, step by step, and where its layers lie.
pub(in crate::models) struct Program {
    pub(super) level: Level,
    pub(super) steps: Vec<Step>,
    /// Weights, biases and other constants, in the order in which the steps read them.
    pub(super) constants: Lanes,
    pub(super) shape: Shape,
    pub(super) cells: Vec<Cell>,
    /// The cell of the input.
    pub(super) input: usize,
    pub(super) output: Place,
    /// The cell of the newest input columns, which a restart needs.
    pub(super) inputs: usize,
    /// Of one machine.
    pub(super) values: usize,
}

/// Of what goes in and comes out.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub channels: usize,
    /// How many columns must be seen before the first output.
    pub columns: usize,
}

/// Room for one layer's newest columns, as many as are read later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub first: usize,
    /// Values in a column.
    pub width: usize,
    /// Values from one column to the next.
    pub stride: usize,
    pub columns: usize,
}

/// A column of a cell, so many samples ago.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub cell: usize,
    pub lag: usize,
}

/// Computes one layer's newest column.
pub(super) struct Step {
    pub base: Base,
    /// Done to the column in place.
    pub then: Vec<Then>,
    pub target: usize,
}

pub(super) enum Base {
    Convolution(Convolution),
    Copy(Place),
}

/// Bias and, tile by tile, tap by tap, input by input, the weights of all outputs of the tile.
pub(super) struct Convolution {
    pub source: usize,
    pub taps: usize,
    pub dilation: usize,
    /// Of its first constant.
    pub constants: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Operand {
    Place(Place),
    /// The first of as many constants as the target has lanes.
    Constant(usize),
}

pub(super) enum Then {
    Function(Function),
    Combine(Combine, Operand),
}

/// How a value meets another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::models) enum Combine {
    Add,
    Subtract,
    SubtractFrom,
    Multiply,
    Divide,
    DivideInto,
    Larger,
    Smaller,
}

impl Program {
    /// Values that one machine keeps.
    pub fn values(&self) -> usize {
        self.values
    }

    pub(super) fn channels(&self) -> usize {
        self.shape.channels
    }

    pub(super) fn columns(&self) -> usize {
        self.shape.columns
    }

    /// Takes a column after `pushed` earlier ones.
    pub(super) fn advance(&self, layers: &mut Lanes, pushed: u64, column: &[f32]) {
        for cell in [self.input, self.inputs] {
            let first = self.cells[cell].at(pushed, 0);
            layers[first..first + column.len()].copy_from_slice(column);
        }
        self.compute(layers, pushed);
    }

    #[inline(always)]
    pub(super) fn at(&self, place: Place, pushed: u64) -> usize {
        self.cells[place.cell].at(pushed, place.lag)
    }

    /// What the newest of `pushed + 1` columns became.
    pub(super) fn output<'a>(&self, layers: &'a Lanes, pushed: u64) -> &'a [f32] {
        let first = self.at(self.output, pushed);
        &layers[first..first + self.shape.channels]
    }

    /// The newest input columns of `pushed`, oldest first.
    pub(super) fn inputs(&self, layers: &Lanes, pushed: u64) -> Vec<f32> {
        let inputs = &self.cells[self.inputs];
        let kept = pushed.min(inputs.columns as u64);
        (pushed - kept..pushed)
            .flat_map(|time| {
                let first = inputs.at(time, 0);
                &layers[first..first + self.shape.channels]
            })
            .copied()
            .collect()
    }
}

impl Cell {
    /// Whole rows of [`WIDTH`].
    pub fn rows(width: usize) -> usize {
        width.div_ceil(WIDTH)
    }

    /// The index of the first value of its column `lag` samples ago, while the column after `pushed` earlier ones is the
    /// newest.
    #[inline(always)]
    pub fn at(&self, pushed: u64, lag: usize) -> usize {
        if self.columns == 1 {
            return self.first;
        }
        let newest = (pushed % self.columns as u64) as usize;
        self.first + self.stride * if newest >= lag { newest - lag } else { newest + self.columns - lag }
    }
}

impl Combine {
    /// The same, said of the other value.
    pub fn reversed(self) -> Self {
        match self {
            Self::Subtract => Self::SubtractFrom,
            Self::SubtractFrom => Self::Subtract,
            Self::Divide => Self::DivideInto,
            Self::DivideInto => Self::Divide,
            even => even,
        }
    }
}
