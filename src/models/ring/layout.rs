use fearless_simd::Level;

use super::function::Function;
use super::kernel::tile_rows;
use super::lanes::{Lanes, WIDTH};
use super::program::{Base, Cell, Combine, Convolution, Operand, Place, Program, Shape, Step, Then};

/// A network as layers that each compute one new column, in an order in which they can be computed.
pub(super) struct Chain {
    pub layers: Vec<Layer>,
    pub output: Reading,
    pub shape: Shape,
}

pub(super) struct Layer {
    pub width: usize,
    /// How many input columns its newest one depends on.
    pub reach: usize,
    pub make: Make,
}

pub(super) enum Make {
    Input,
    /// Weights are `[tap][input][output]`, the newest tap first.
    Convolution {
        source: usize,
        taps: usize,
        dilation: usize,
        weights: Vec<f32>,
        bias: Vec<f32>,
    },
    Function(usize, Function),
    Combine(Combine, Reading, Source),
}

/// A layer's column, so many samples ago.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub layer: usize,
    pub lag: usize,
}

pub(super) enum Source {
    Layer(Reading),
    /// One value a channel.
    Constant(Vec<f32>),
}

impl Chain {
    /// Gives each layer its step and its room. A layer that only the next one reads becomes it in place.
    pub fn lay_out(self, level: Level) -> Result<Program, String> {
        let mut draft = Draft::of(&self);
        for (index, layer) in self.layers.iter().enumerate() {
            draft.add(index, layer)?;
        }
        let output = draft.read(self.output, usize::MAX);
        let (mut cells, values) = draft.cells()?;
        let Shape { channels, columns } = self.shape;
        cells.push(Cell { first: values, width: channels, stride: channels, columns });
        Ok(Program {
            level,
            steps: draft.steps,
            constants: Lanes::copy_of(&draft.constants),
            shape: self.shape,
            input: draft.rooms_of_layers[INPUT],
            output,
            inputs: cells.len() - 1,
            cells,
            values: values + channels * columns,
        })
    }

    fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.layers.len()];
        readers[self.output.layer] += 1;
        for layer in &self.layers {
            match &layer.make {
                Make::Input => {}
                Make::Convolution { source, .. } | Make::Function(source, _) => readers[*source] += 1,
                Make::Combine(_, one, other) => {
                    readers[one.layer] += 1;
                    if let Source::Layer(other) = other {
                        readers[other.layer] += 1;
                    }
                }
            }
        }
        readers
    }
}

struct Draft {
    /// How often each layer is read.
    readers: Vec<usize>,
    rooms_of_layers: Vec<usize>,
    rooms: Vec<Room>,
    steps: Vec<Step>,
    constants: Vec<f32>,
}

/// What will be a cell.
struct Room {
    width: usize,
    columns: usize,
    /// The step that fills it; none for the input.
    filled: Option<usize>,
    /// The last step that reads it.
    read: usize,
}

impl Draft {
    fn of(chain: &Chain) -> Self {
        Self {
            readers: chain.readers(),
            rooms_of_layers: Vec::new(),
            rooms: Vec::new(),
            steps: Vec::new(),
            constants: Vec::new(),
        }
    }

    fn add(&mut self, index: usize, layer: &Layer) -> Result<(), String> {
        let next = self.steps.len();
        let room = match &layer.make {
            Make::Input => self.room(layer.width, None),
            Make::Convolution { source, taps, dilation, weights, bias } => {
                let (taps, dilation) = (*taps, *dilation);
                let constants = self.pack(self.rooms[self.rooms_of_layers[*source]].width, weights, bias)?;
                let past = Reading { layer: *source, lag: (taps - 1).saturating_mul(dilation) };
                let source = self.read(past, next).cell;
                self.step(layer.width, Base::Convolution(Convolution { source, taps, dilation, constants }))
            }
            Make::Function(source, function) => {
                let room = self.take_over(Reading { layer: *source, lag: 0 }, None);
                self.then(room, Then::Function(*function));
                room
            }
            Make::Combine(combine, one, Source::Constant(values)) => {
                let room = self.take_over(*one, None);
                let first = self.constants.len();
                self.constants.extend(values);
                self.constants.resize(first + Cell::rows(layer.width) * WIDTH, 0.0);
                self.then(room, Then::Combine(*combine, Operand::Constant(first)));
                room
            }
            Make::Combine(combine, one, Source::Layer(other)) => {
                let filled = |it: &Reading| self.rooms[self.rooms_of_layers[it.layer]].filled;
                // Whichever is there later takes in the other one.
                let (combine, one, other) = match filled(one) >= filled(other) {
                    true => (*combine, *one, *other),
                    false => (combine.reversed(), *other, *one),
                };
                let room = self.take_over(one, Some(other));
                let step = self.rooms[room].filled.unwrap_or(next);
                let operand = Operand::Place(self.read(other, step));
                self.then(room, Then::Combine(combine, operand));
                room
            }
        };
        debug_assert_eq!(self.rooms_of_layers.len(), index);
        self.rooms_of_layers.push(room);
        Ok(())
    }

    /// The room of a layer that may be changed in place, or of a copy of it.
    fn take_over(&mut self, layer: Reading, other: Option<Reading>) -> usize {
        let room = self.rooms_of_layers[layer.layer];
        let other = other.map(|other| self.rooms_of_layers[other.layer]);
        let alone = self.readers[layer.layer] == 1 && layer.lag == 0 && other != Some(room);
        let in_place = alone && self.rooms[room].filled.is_some();
        // A ring may be read before its step, but then it is not yet filled for this column.
        let other_is_there = other.is_none_or(|other| self.rooms[other].filled < self.rooms[room].filled);
        if in_place && other_is_there {
            return room;
        }
        let place = self.read(layer, self.steps.len());
        self.step(self.rooms[room].width, Base::Copy(place))
    }

    fn step(&mut self, width: usize, base: Base) -> usize {
        let room = self.room(width, Some(self.steps.len()));
        self.steps.push(Step { base, then: Vec::new(), target: room });
        room
    }

    fn then(&mut self, room: usize, then: Then) {
        if let Some(step) = self.rooms[room].filled {
            self.steps[step].then.push(then);
        }
    }

    fn room(&mut self, width: usize, filled: Option<usize>) -> usize {
        self.rooms.push(Room { width, columns: 1, filled, read: 0 });
        self.rooms.len() - 1
    }

    fn read(&mut self, reading: Reading, step: usize) -> Place {
        let cell = self.rooms_of_layers[reading.layer];
        let room = &mut self.rooms[cell];
        room.columns = room.columns.max(reading.lag.saturating_add(1));
        room.read = room.read.max(step);
        Place { cell, lag: reading.lag }
    }

    /// Writes a convolution's constants in the order in which the kernel reads them.
    fn pack(&mut self, inputs: usize, weights: &[f32], bias: &[f32]) -> Result<usize, String> {
        let (first, outputs) = (self.constants.len(), bias.len());
        let rows = Cell::rows(outputs);
        let packed = (weights.len() / outputs).saturating_add(1).saturating_mul(rows * WIDTH);
        if packed.saturating_add(first) > MOST_CONSTANTS {
            return Err(format!("it has more than {MOST_CONSTANTS} weights"));
        }
        debug_assert_eq!(weights.len() % (inputs * outputs), 0);
        let mut done = 0;
        while done < rows {
            let tile = tile_rows(rows - done);
            let lanes = done * WIDTH..(done + tile) * WIDTH;
            for outputs in std::iter::once(bias).chain(weights.chunks_exact(outputs)) {
                self.constants.extend(lanes.clone().map(|lane| outputs.get(lane).copied().unwrap_or(0.0)));
            }
            done += tile;
        }
        Ok(first)
    }

    /// A place for each room, and the values of all. Rooms of one column are let to others once they were read.
    fn cells(&self) -> Result<(Vec<Cell>, usize), String> {
        let mut values = 0usize;
        let mut let_out: Vec<Lease> = Vec::new();
        let mut cells = Vec::new();
        for room in &self.rooms {
            let stride = Cell::rows(room.width) * WIDTH;
            let free = let_out.iter_mut().find(|lease| {
                room.columns == 1 && lease.values >= stride && room.filled.is_some_and(|step| lease.until < step)
            });
            let first = match free {
                Some(lease) => {
                    lease.until = room.read;
                    lease.first
                }
                None => {
                    let first = values;
                    values = values.saturating_add(stride.saturating_mul(room.columns));
                    if room.columns == 1 {
                        let_out.push(Lease { first, values: stride, until: room.read });
                    }
                    first
                }
            };
            if values > MOST_VALUES {
                return Err(format!("a machine's layers would need more than {MOST_VALUES} values"));
            }
            cells.push(Cell { first, width: room.width, stride, columns: room.columns });
        }
        Ok((cells, values))
    }
}

struct Lease {
    first: usize,
    values: usize,
    /// The last step that needs it.
    until: usize,
}

/// The first layer of every chain.
const INPUT: usize = 0;
/// 16 MiB; a network that has more is not bound by what the ring saves.
const MOST_CONSTANTS: usize = 4 * 1024 * 1024;
/// 1 MiB a machine.
const MOST_VALUES: usize = 256 * 1024;
