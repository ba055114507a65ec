use fearless_simd::Level;

use crate::models::ring::{Combine, Function};

/// What a network does with one window, step by step.
pub(in crate::models) struct Program {
    pub(super) level: Level,
    pub(super) steps: Vec<Step>,
    /// As they are before the first window: zeros, and what is constant.
    pub(super) sheets: Vec<Vec<f32>>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

/// The values of one caller's window, layer by layer.
#[derive(Clone)]
pub(in crate::models) struct Sheets(pub(super) Vec<Vec<f32>>);

/// How a tensor outside, in the order of the graph's axes, lies in a sheet.
pub(super) struct Port {
    pub region: Region,
    pub values: usize,
    /// From the tensor into the sheet.
    pub runs: Vec<Run>,
}

/// The rows of a sheet without the zeros around them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub sheet: usize,
    pub first: usize,
    pub rows: usize,
    /// Values from one row to the next, a whole number of [`LANES`].
    pub stride: usize,
    pub width: usize,
}

/// So many values, each `steps` after the one before, here and there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub from: usize,
    pub to: usize,
    pub steps: (usize, usize),
    pub length: usize,
}

pub(super) enum Step {
    Convolution(Convolution),
    Function(Function, Region),
    /// Value by value.
    Scalar(fn(f32) -> f32, Region),
    /// Into the first region; a second one of one row meets each row.
    Combine(Combine, Region, Region),
    /// Pieces of other sheets, put in their places.
    Copy {
        target: Region,
        /// What no piece reaches is zero.
        blank: bool,
        sources: Vec<(usize, Vec<Run>)>,
    },
    /// The sum of all rows.
    Total {
        source: Region,
        target: Region,
    },
}

/// A product of a matrix with pieces of a sheet that lie `step` apart and may overlap.
pub(super) struct Convolution {
    pub source: usize,
    pub first: usize,
    pub step: usize,
    /// Each position reads so many pieces of `run` values, `tap` apart.
    pub taps: usize,
    pub tap: usize,
    pub run: usize,
    pub positions: usize,
    pub target: usize,
    pub target_first: usize,
    pub target_step: usize,
    /// Of [`LANES`] outputs.
    pub vectors: usize,
    /// Tile by tile: biases, then for each value that a position reads the weights of the tile's outputs.
    pub constants: Vec<f32>,
}

impl Program {
    /// Room for one window at a time.
    pub fn sheets(&self) -> Sheets {
        Sheets(self.sheets.clone())
    }

    /// How many values each output of one window has.
    pub fn output_sizes(&self) -> impl Iterator<Item = usize> {
        self.outputs.iter().map(|port| port.values)
    }

    /// Puts an input of one window in its place, value by value in the order of its axes.
    pub fn set_input(&self, sheets: &mut Sheets, input: usize, values: &[f32]) {
        let port = &self.inputs[input];
        let sheet = &mut sheets.0[port.region.sheet];
        port.region.of_mut(sheet).fill(0.0);
        port.runs.iter().for_each(|run| run.copy(values, sheet));
    }

    /// Takes an output of one window out, in the order of its axes.
    pub fn output(&self, sheets: &Sheets, output: usize, values: &mut [f32]) {
        let port = &self.outputs[output];
        let sheet = &sheets.0[port.region.sheet];
        port.runs.iter().for_each(|run| run.turned().copy(sheet, values));
    }
}

impl Region {
    pub fn of(self, sheet: &[f32]) -> &[f32] {
        &sheet[self.first..self.first + self.rows * self.stride]
    }

    pub fn of_mut(self, sheet: &mut [f32]) -> &mut [f32] {
        &mut sheet[self.first..self.first + self.rows * self.stride]
    }
}

impl Run {
    pub fn copy(self, source: &[f32], target: &mut [f32]) {
        let Self { from, to, steps, length } = self;
        if steps == (1, 1) {
            target[to..to + length].copy_from_slice(&source[from..from + length]);
            return;
        }
        for index in 0..length {
            target[to + index * steps.1] = source[from + index * steps.0];
        }
    }

    fn turned(self) -> Self {
        Self { from: self.to, to: self.from, steps: (self.steps.1, self.steps.0), ..self }
    }
}

/// Values in a register of AVX2, which two of Zen 4's halves make of AVX-512's.
pub(super) const LANES: usize = 8;
