use std::collections::HashMap;

use fearless_simd::Level;

use super::kernel::tile_vectors;
use super::program::{Convolution, LANES, Port, Program, Region, Run, Step};
use crate::models::ring::{Combine, Function};

/// A network as sheets, each made once, in an order in which they can be made.
#[derive(Default)]
pub(super) struct Draft {
    pub sizes: Vec<Size>,
    pub makes: Vec<(usize, Make)>,
    pub inputs: Vec<Outside>,
    pub outputs: Vec<Outside>,
    /// Rows of zeros that convolutions read before and after a sheet.
    pub before: usize,
    pub after: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Size {
    pub rows: usize,
    pub width: usize,
}

/// A tensor outside, value by value in the order of its axes, and the row and lane of each in the sheet.
pub(super) struct Outside {
    pub sheet: usize,
    pub places: Vec<(usize, usize)>,
}

pub(super) enum Make {
    /// `[row][lane]`.
    Constant(Vec<f32>),
    /// Several of them may make one sheet together, each some of its rows.
    Convolution(Sum),
    Function(usize, Function),
    Scalar(usize, fn(f32) -> f32),
    Combine(Combine, usize, usize),
    /// For each row and lane where it comes from: sheet, row, lane. Zero if from nowhere.
    Copy(Vec<Option<(usize, usize, usize)>>),
    Total(usize),
}

/// Each position reads rows of the source, `taps` of them, `dilation` apart, the first at `first + position * stride`.
pub(super) struct Sum {
    pub source: usize,
    pub first: i64,
    pub stride: usize,
    pub taps: usize,
    pub dilation: usize,
    pub positions: usize,
    pub target_first: usize,
    pub target_stride: usize,
    /// `[tap][input][output]`.
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Draft {
    pub fn add(&mut self, size: Size, make: Make) -> usize {
        let sheet = self.sheet(size);
        self.makes.push((sheet, make));
        sheet
    }

    /// A sheet that is made later, or from outside.
    pub fn sheet(&mut self, size: Size) -> usize {
        self.sizes.push(size);
        self.sizes.len() - 1
    }

    /// Gives each sheet its room. One that nothing else reads becomes the next one in place.
    pub fn lay_out(mut self, level: Level) -> Result<Program, String> {
        let mut weights = 0usize;
        let last_read = self.last_read();
        let mut rooms = Rooms::new(&self);
        for input in &self.inputs {
            rooms.take(input.sheet);
        }
        let inputs = self.inputs.iter().map(|input| rooms.port(input)).collect();
        let mut steps = Vec::new();
        let makes = std::mem::take(&mut self.makes);
        for (index, (sheet, make)) in makes.into_iter().enumerate() {
            let free_after = |it: usize| last_read[it] == Some(index);
            let mut read = Vec::new();
            match make {
                Make::Constant(values) => rooms.keep(sheet, &values),
                Make::Convolution(sum) => {
                    rooms.take(sheet);
                    read.push(sum.source);
                    let step = rooms.convolution(sheet, &sum);
                    weights = weights.saturating_add(step.constants.len());
                    steps.push(Step::Convolution(step));
                }
                Make::Function(source, function) => {
                    read.push(source);
                    rooms.become_of(sheet, source, free_after(source), &mut steps);
                    steps.push(Step::Function(function, rooms.region(sheet)));
                }
                Make::Scalar(source, scalar) => {
                    read.push(source);
                    rooms.become_of(sheet, source, free_after(source), &mut steps);
                    steps.push(Step::Scalar(scalar, rooms.region(sheet)));
                }
                Make::Combine(how, one, other) => {
                    read.extend([one, other]);
                    rooms.become_of(sheet, one, free_after(one) && one != other, &mut steps);
                    steps.push(Step::Combine(how, rooms.region(sheet), rooms.region(other)));
                }
                Make::Copy(from) => {
                    rooms.take(sheet);
                    read.extend(from.iter().flatten().map(|(source, ..)| *source));
                    let step = rooms.copy(sheet, &from);
                    steps.push(step);
                }
                Make::Total(source) => {
                    rooms.take(sheet);
                    read.push(source);
                    steps.push(Step::Total { source: rooms.region(source), target: rooms.region(sheet) });
                }
            }
            read.sort_unstable();
            read.dedup();
            for source in read.into_iter().filter(|source| free_after(*source)) {
                rooms.give_back(source);
            }
            let values: usize = rooms.sheets.iter().map(Vec::len).sum();
            if values > MOST_VALUES || weights > MOST_VALUES {
                return Err(format!("its layers or its weights would need more than {MOST_VALUES} values"));
            }
        }
        let outputs = self.outputs.iter().map(|output| rooms.port(output)).collect();
        Ok(Program { level, steps, sheets: rooms.sheets, inputs, outputs })
    }

    /// The last make that reads each sheet; none where it is never read or must stay.
    fn last_read(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.sizes.len()];
        for (index, (_, make)) in self.makes.iter().enumerate() {
            match make {
                Make::Constant(_) => {}
                Make::Convolution(Sum { source, .. })
                | Make::Function(source, _)
                | Make::Scalar(source, _)
                | Make::Total(source) => last[*source] = Some(index),
                Make::Combine(_, one, other) => {
                    last[*one] = Some(index);
                    last[*other] = Some(index);
                }
                Make::Copy(from) => from.iter().flatten().for_each(|(source, ..)| last[*source] = Some(index)),
            }
        }
        for (sheet, make) in &self.makes {
            if let Make::Constant(_) = make {
                last[*sheet] = None;
            }
        }
        for output in &self.outputs {
            last[output.sheet] = None;
        }
        last
    }
}

struct Rooms {
    sizes: Vec<Size>,
    before: usize,
    after: usize,
    sheets: Vec<Vec<f32>>,
    /// Which of them each of the draft's sheets lies in.
    of: HashMap<usize, usize>,
    /// Those that nobody needs any more. Only one of the same size takes them over, so that zeros stay where they are.
    free: HashMap<(usize, usize), Vec<usize>>,
}

impl Rooms {
    fn new(draft: &Draft) -> Self {
        Self {
            sizes: draft.sizes.clone(),
            before: draft.before,
            after: draft.after,
            sheets: Vec::new(),
            of: HashMap::new(),
            free: HashMap::new(),
        }
    }

    fn region(&self, sheet: usize) -> Region {
        let Size { rows, width } = self.sizes[sheet];
        let stride = width.next_multiple_of(LANES);
        Region { sheet: self.of[&sheet], first: self.before * stride, rows, stride, width }
    }

    fn form(&self, sheet: usize) -> (usize, usize) {
        let Size { rows, width } = self.sizes[sheet];
        (rows, width.next_multiple_of(LANES))
    }

    /// A room for the sheet, unless it has one.
    fn take(&mut self, sheet: usize) {
        if self.of.contains_key(&sheet) {
            return;
        }
        let (rows, stride) = self.form(sheet);
        let room = match self.free.get_mut(&(rows, stride)).and_then(Vec::pop) {
            Some(room) => room,
            None => {
                self.sheets.push(vec![0.0; (self.before + rows + self.after) * stride]);
                self.sheets.len() - 1
            }
        };
        self.of.insert(sheet, room);
    }

    fn give_back(&mut self, sheet: usize) {
        let form = self.form(sheet);
        if let Some(room) = self.of.get(&sheet).copied() {
            // A sheet that became another one in place has handed its room on.
            let handed_on = self.of.iter().any(|(other, theirs)| *other > sheet && *theirs == room);
            if !handed_on {
                self.free.entry(form).or_default().push(room);
            }
            self.of.remove(&sheet);
        }
    }

    fn keep(&mut self, sheet: usize, values: &[f32]) {
        let (rows, stride) = self.form(sheet);
        let width = self.sizes[sheet].width;
        // Lanes beyond the width are never read, but may be divided by.
        let mut kept = vec![1.0; (self.before + rows + self.after) * stride];
        kept[..self.before * stride].fill(0.0);
        kept[(self.before + rows) * stride..].fill(0.0);
        for (row, values) in values.chunks_exact(width).enumerate() {
            let first = (self.before + row) * stride;
            kept[first..first + width].copy_from_slice(values);
        }
        self.sheets.push(kept);
        self.of.insert(sheet, self.sheets.len() - 1);
    }

    /// The sheet begins as what the source is: in its room, or as a copy.
    fn become_of(&mut self, sheet: usize, source: usize, in_place: bool, steps: &mut Vec<Step>) {
        if in_place {
            self.of.insert(sheet, self.of[&source]);
            return;
        }
        self.take(sheet);
        let (target, source) = (self.region(sheet), self.region(source));
        let run = Run { from: source.first, to: target.first, steps: (1, 1), length: source.rows * source.stride };
        steps.push(Step::Copy { target, blank: false, sources: vec![(source.sheet, vec![run])] });
    }

    fn convolution(&self, sheet: usize, sum: &Sum) -> Convolution {
        let (source, target) = (self.region(sum.source), self.region(sheet));
        let first = (self.before as i64 + sum.first) as usize * source.stride;
        // Without dilation all that a position reads is one piece.
        let (taps, run) = match sum.dilation {
            1 => (usize::from(sum.taps > 0), sum.taps * source.stride),
            _ => (sum.taps, source.stride),
        };
        Convolution {
            source: source.sheet,
            first,
            step: sum.stride * source.stride,
            taps,
            tap: sum.dilation * source.stride,
            run,
            positions: sum.positions,
            target: target.sheet,
            target_first: target.first + sum.target_first * target.stride,
            target_step: sum.target_stride * target.stride,
            vectors: target.stride / LANES,
            constants: packed(sum, (source.width, source.stride), (target.width, target.stride)),
        }
    }

    fn copy(&self, sheet: usize, from: &[Option<(usize, usize, usize)>]) -> Step {
        let target = self.region(sheet);
        let mut sources: Vec<(usize, Vec<Run>)> = Vec::new();
        for (place, from) in from.iter().enumerate() {
            let Some((source, row, lane)) = *from else { continue };
            let source = self.region(source);
            let from = source.first + row * source.stride + lane;
            let to = target.first + place / target.width * target.stride + place % target.width;
            let runs = match sources.iter_mut().find(|(sheet, _)| *sheet == source.sheet) {
                Some((_, runs)) => runs,
                None => {
                    sources.push((source.sheet, Vec::new()));
                    &mut sources.last_mut().expect("it was pushed a moment ago").1
                }
            };
            lengthen(runs, from, to);
        }
        let blank = target.width != target.stride || from.iter().any(Option::is_none);
        Step::Copy { target, blank, sources }
    }

    fn port(&self, outside: &Outside) -> Port {
        let region = self.region(outside.sheet);
        let mut runs = Vec::new();
        for (value, (row, lane)) in outside.places.iter().enumerate() {
            lengthen(&mut runs, value, region.first + row * region.stride + lane);
        }
        Port { region, values: outside.places.len(), runs }
    }
}

/// Two values may lie as far from each other as they like, if the second one comes after the first; a third one goes on.
fn lengthen(runs: &mut Vec<Run>, from: usize, to: usize) {
    if let Some(run) = runs.last_mut() {
        if run.length == 1 && from > run.from && to > run.to {
            *run = Run { steps: (from - run.from, to - run.to), length: 2, ..*run };
            return;
        }
        if (run.from + run.length * run.steps.0, run.to + run.length * run.steps.1) == (from, to) {
            run.length += 1;
            return;
        }
    }
    runs.push(Run { from, to, steps: (1, 1), length: 1 });
}

/// A convolution's constants in the order in which the kernel reads them.
fn packed(sum: &Sum, (inputs, in_stride): (usize, usize), (outputs, out_stride): (usize, usize)) -> Vec<f32> {
    let vectors = out_stride / LANES;
    let mut constants = Vec::with_capacity((1 + sum.taps * in_stride) * out_stride);
    let mut done = 0;
    while done < vectors {
        let tile = tile_vectors(vectors - done);
        let lanes = done * LANES..(done + tile) * LANES;
        constants.extend(lanes.clone().map(|lane| sum.bias.get(lane).copied().unwrap_or(0.0)));
        for tap in 0..sum.taps {
            for input in 0..in_stride {
                let weights = (input < inputs).then(|| &sum.weights[(tap * inputs + input) * outputs..][..outputs]);
                constants
                    .extend(lanes.clone().map(|lane| weights.and_then(|all| all.get(lane)).copied().unwrap_or(0.0)));
            }
        }
        done += tile;
    }
    constants
}

/// 64 MiB.
const MOST_VALUES: usize = 16 * 1024 * 1024;
