mod sums;

use std::collections::HashMap;
use std::sync::Arc;

use fearless_simd::Level;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::{MultiBroadcastTo, Pad, PadMode, Slice, TypedConcat};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::resize::{Interpolator, NearestUpsample, Resize};
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};

use super::draft::{Draft, Make, Outside, Size};
use super::program::{LANES, Program};
use crate::models::ring::{Combine, Weights, combine, function};

/// Reads a graph that was typed for one window, or says what in it is unknown here.
pub(in crate::models) fn compile(model: &TypedModel, level: Level) -> Result<Program, String> {
    let plain = |error: TractError| format!("{error:#}");
    let mut reader = Reader { model, wires: HashMap::new(), draft: Draft::default() };
    // In their own order, not in that of their use.
    for input in model.input_outlets().map_err(plain)? {
        let shape = reader.shape(*input)?;
        let wire = reader.wire(&shape, None, |draft, size| draft.sheet(size))?;
        let places = reader.places(&wire, &shape);
        reader.draft.inputs.push(Outside { sheet: wire.sheet, places });
        reader.wires.insert(*input, Value::Sheet(wire));
    }
    let order = model.eval_order().map_err(plain)?;
    if order.len() > MOST_NODES {
        return Err(format!("it has more than {MOST_NODES} nodes"));
    }
    for node in order {
        let node = model.node(node);
        reader.read(node).map_err(|why| format!("{} ({}): {why}", node.op.name(), node.name))?;
    }
    for output in model.output_outlets().map_err(plain)? {
        let Some(Value::Sheet(wire)) = reader.wires.get(output).cloned() else {
            return Err("an output does not depend on the inputs".to_owned());
        };
        let places = reader.places(&wire, &reader.shape(*output)?);
        reader.draft.outputs.push(Outside { sheet: wire.sheet, places });
    }
    reader.draft.lay_out(level)
}

struct Reader<'a> {
    model: &'a TypedModel,
    wires: HashMap<OutletId, Value>,
    draft: Draft,
}

/// What stands on a wire of the graph.
#[derive(Clone)]
enum Value {
    Constant(Arc<Tensor>),
    Sheet(Wire),
}

/// A sheet, and which axis of the graph is which; all others have the length 1, and so has one that is not named.
#[derive(Clone, Copy, Debug)]
struct Wire {
    sheet: usize,
    time: Option<usize>,
    channels: Option<usize>,
}

impl Reader<'_> {
    fn read(&mut self, node: &TypedNode) -> Result<(), String> {
        let [output] = node.outputs.as_slice() else { return Err("it has more than one output".to_owned()) };
        let outlet = OutletId::new(node.id, 0);
        if self.wires.contains_key(&outlet) {
            return Ok(());
        }
        let value = match &output.fact.konst {
            Some(tensor) => Value::Constant(tensor.clone()),
            None => Value::Sheet(self.sheet(node)?),
        };
        if let Value::Sheet(wire) = &value {
            let shape = self.shape(outlet)?;
            let Size { rows, width } = self.size(*wire);
            let whole = shape.iter().enumerate().all(|(axis, length)| {
                let expected = if Some(axis) == wire.time {
                    rows
                } else if Some(axis) == wire.channels {
                    width
                } else {
                    1
                };
                *length == expected
            });
            let named = (wire.time.is_none() || wire.time != wire.channels)
                && (wire.time.is_some() || rows == 1)
                && (wire.channels.is_some() || width == 1);
            if output.fact.datum_type != f32::datum_type() || !whole || !named {
                return Err(format!("it gives {:?}, which is no sheet of f32", output.fact));
            }
        }
        self.wires.insert(outlet, value);
        Ok(())
    }

    fn sheet(&mut self, node: &TypedNode) -> Result<Wire, String> {
        if let Some(op) = node.op_as::<TypedBinOp>() {
            return self.combination(node, &*op.0);
        }
        if let Some(op) = node.op_as::<EinSum>() {
            return self.product(node, op);
        }
        if node.op_is::<TypedConcat>() {
            return self.moved(node, true);
        }
        let Some(Value::Sheet(wire)) = self.inputs(node)?.first().cloned() else {
            return Err("its first input does not depend on the graph's".to_owned());
        };
        if let Some(conv) = node.op_as::<Conv>() {
            self.convolution(node, conv, wire)
        } else if let Some(deconv) = node.op_as::<Deconv>() {
            self.widening(node, deconv, wire)
        } else if let Some(op) = node.op_as::<ElementWiseOp>() {
            let size = self.size(wire);
            let filled = size.width.is_multiple_of(LANES);
            let make = if let Some(known) = function(&*op.0).filter(|known| known.finite() || filled) {
                Make::Function(wire.sheet, known)
            } else {
                let known =
                    scalar(&*op.0, filled).ok_or("the function is unknown here, or not for so many channels")?;
                Make::Scalar(wire.sheet, known)
            };
            Ok(Wire { sheet: self.draft.add(size, make), ..wire })
        } else if let Some(op) = node.op_as::<AxisOp>() {
            match renamed(op, wire) {
                Some(wire) => Ok(wire),
                None => self.moved(node, false),
            }
        } else if let Some(op) = node.op_as::<Reduce>() {
            if op.reducer != Reducer::Sum || op.axes.as_slice() != wire.time.as_slice() {
                return Err("only sums over time are known here".to_owned());
            }
            let size = Size { rows: 1, ..self.size(wire) };
            Ok(Wire { sheet: self.draft.add(size, Make::Total(wire.sheet)), time: None, ..wire })
        } else if node.op_is::<Slice>()
            || node.op_is::<Downsample>()
            || node.op_is::<MultiBroadcastTo>()
            || blank_pad(node)
            || nearest(node)
        {
            self.moved(node, false)
        } else {
            Err("the operator is unknown here".to_owned())
        }
    }

    fn combination(&mut self, node: &TypedNode, op: &dyn BinMiniOp) -> Result<Wire, String> {
        let (how, reversed) = combine(op).ok_or("the operator is unknown here")?;
        let (one, how, other) = match self.inputs(node)?.as_slice() {
            [Value::Sheet(one), other] => (*one, how, other.clone()),
            [other @ Value::Constant(_), Value::Sheet(one)] => (*one, reversed, other.clone()),
            _ => return Err("neither side depends on the inputs".to_owned()),
        };
        let constant = matches!(other, Value::Constant(_));
        let other = match other {
            Value::Sheet(other) => other,
            Value::Constant(tensor) => {
                let constant = Weights::read(&tensor)?;
                let many = constant.shape.iter().filter(|length| **length > 1).count();
                if self.size(one) == (Size { rows: 1, width: 1 }) && many == 1 {
                    return self.outer(one, how, constant);
                }
                self.constant(&constant, one)?
            }
        };
        let one = if one.time.is_some() && one.time == other.channels { self.turned(one) } else { one };
        let other = if other.time.is_some() && other.time == one.channels { self.turned(other) } else { other };
        let (one, other) = (self.widened(one, other)?, self.widened(other, one)?);
        let (mine, theirs) = (self.size(one), self.size(other));
        let same_axes = one.channels == other.channels || mine.width == 1;
        let same_times = one.time == other.time || mine.rows == 1 || theirs.rows == 1;
        let crossed = one.channels.is_some() && (one.channels == one.time || one.channels == other.time);
        if mine.width != theirs.width || crossed || !same_axes || !same_times {
            return Err("its sides are of different sizes".to_owned());
        }
        let (one, how, other) = match mine.rows < theirs.rows {
            true => (other, how.reversed(), one),
            false => (one, how, other),
        };
        if self.size(other).rows != 1 && self.size(other) != self.size(one) {
            return Err("its sides are of different lengths".to_owned());
        }
        // Lanes that no channel fills would become nothing by nothing, and a convolution would read that.
        let by_zeros = how == Combine::DivideInto || (how == Combine::Divide && !constant);
        if by_zeros && !mine.width.is_multiple_of(LANES) {
            return Err("it divides by what is no constant".to_owned());
        }
        let size = self.size(one);
        Ok(Wire { sheet: self.draft.add(size, Make::Combine(how, one.sheet, other.sheet)), ..one })
    }

    /// The same values, time as channels and channels as time.
    fn turned(&mut self, wire: Wire) -> Wire {
        let Size { rows, width } = self.size(wire);
        let from = (0..rows * width).map(|place| Some((wire.sheet, place % rows, place / rows))).collect();
        let sheet = self.draft.add(Size { rows: width, width: rows }, Make::Copy(from));
        Wire { sheet, time: wire.channels, channels: wire.time }
    }

    /// A single channel, in each of as many as the other side has.
    fn widened(&mut self, one: Wire, other: Wire) -> Result<Wire, String> {
        let width = self.size(other).width;
        if self.size(one).width != 1 || width == 1 {
            return Ok(one);
        }
        Ok(Wire {
            sheet: self.each_row(one, width, vec![1.0; width], vec![0.0; width])?,
            channels: other.channels,
            ..one
        })
    }

    /// One value that meets a vector becomes one.
    fn outer(&mut self, one: Wire, how: Combine, constant: Weights) -> Result<Wire, String> {
        let width = constant.values.len();
        let channels = constant.shape.iter().position(|length| *length > 1);
        let (weights, bias) = match how {
            Combine::Multiply => (constant.values, vec![0.0; width]),
            Combine::Add => (vec![1.0; width], constant.values),
            Combine::Subtract => (vec![1.0; width], constant.values.iter().map(|value| -value).collect()),
            Combine::SubtractFrom => (vec![-1.0; width], constant.values),
            _ => return Err("one value meets a vector in a way that is unknown here".to_owned()),
        };
        Ok(Wire { sheet: self.each_row(one, width, weights, bias)?, time: None, channels })
    }

    /// A constant as a sheet that can meet another one.
    fn constant(&mut self, constant: &Weights, with: Wire) -> Result<Wire, String> {
        let Size { rows, width } = self.size(with);
        let unfit = || format!("a constant of the shape {:?} does not fit its other side", constant.shape);
        let mut time = None;
        for (axis, length) in constant.shape.iter().enumerate().filter(|(_, length)| **length > 1) {
            if Some(axis) == with.channels && *length == width {
                continue;
            }
            if time.is_some() || (with.time.is_some() && (Some(axis) != with.time || *length != rows)) {
                return Err(unfit());
            }
            time = Some(axis);
        }
        let rows = time.map_or(1, |axis| constant.shape[axis]);
        let mut values = Vec::with_capacity(rows * width);
        for row in 0..rows {
            for lane in 0..width {
                let place = |(axis, length): (usize, &usize)| match *length {
                    1 => 0,
                    _ if Some(axis) == time => row,
                    _ => lane,
                };
                values.push(constant.at(&constant.shape.iter().enumerate().map(place).collect::<Vec<_>>()));
            }
        }
        let sheet = self.draft.add(Size { rows, width }, Make::Constant(values));
        Ok(Wire { sheet, time, channels: with.channels })
    }

    /// Whatever only moves values is asked where it moves them: it is run on their places.
    fn moved(&mut self, node: &TypedNode, joined: bool) -> Result<Wire, String> {
        let plain = |error: TractError| format!("{error:#}");
        let mut numbered = tvec!();
        let mut origins = Vec::new();
        let mut hint = None;
        for (input, outlet) in self.inputs(node)?.into_iter().zip(&node.inputs) {
            let shape = self.shape(*outlet)?;
            let wire = match input {
                Value::Constant(tensor) if !joined => {
                    numbered.push(Tensor::clone(&tensor).into_tvalue());
                    continue;
                }
                Value::Constant(tensor) => {
                    let constant = Weights::read(&tensor)?;
                    let values = constant.values.clone();
                    let wire = self.wire(&shape, None, |draft, size| draft.sheet(size))?;
                    let mut laid = vec![0.0; values.len()];
                    let width = self.size(wire).width;
                    for (value, (row, lane)) in values.iter().zip(self.places(&wire, &shape)) {
                        laid[row * width + lane] = *value;
                    }
                    self.draft.makes.push((wire.sheet, Make::Constant(laid)));
                    wire
                }
                Value::Sheet(wire) => {
                    hint.get_or_insert(wire);
                    wire
                }
            };
            let first = origins.len();
            origins.extend(self.places(&wire, &shape).into_iter().map(|(row, lane)| (wire.sheet, row, lane)));
            if origins.len() > MOST_MOVED {
                return Err(format!("it moves more than {MOST_MOVED} values"));
            }
            let numbers: Vec<f32> = (first..origins.len()).map(|place| (place + 1) as f32).collect();
            numbered.push(Tensor::from_shape(&shape, &numbers).map_err(plain)?.into_tvalue());
        }
        let outputs = node.op.eval_out_of_plan(numbered).map_err(plain)?.ok_or("it cannot be run alone")?;
        let numbers = Weights::read(&outputs[0])?;
        let reshaped = matches!(node.op_as::<AxisOp>(), Some(AxisOp::Reshape(..)));
        let shape = self.shape(OutletId::new(node.id, 0))?;
        if numbers.shape != shape || numbers.values.len() > MOST_MOVED {
            return Err(format!("it gives {:?}", numbers.shape));
        }
        let hint = hint.filter(|_| !reshaped);
        let wire = self.wire(&shape, hint, |draft, size| draft.sheet(size))?;
        let width = self.size(wire).width;
        let mut from = vec![None; numbers.values.len()];
        for (number, (row, lane)) in numbers.values.iter().zip(self.places(&wire, &shape)) {
            let place = (*number as usize).checked_sub(1);
            from[row * width + lane] = place.and_then(|place| origins.get(place).copied());
        }
        self.draft.makes.push((wire.sheet, Make::Copy(from)));
        Ok(wire)
    }

    /// A wire for a tensor of that shape: channels before time, unless its source says otherwise.
    fn wire(
        &mut self,
        shape: &[usize],
        source: Option<Wire>,
        sheet: impl FnOnce(&mut Draft, Size) -> usize,
    ) -> Result<Wire, String> {
        let long: Vec<usize> = (0..shape.len()).filter(|axis| shape[*axis] > 1).collect();
        let is_time = |axis: usize| source.is_some_and(|source| source.time == Some(axis));
        let is_channels = |axis: usize| source.is_some_and(|source| source.channels == Some(axis));
        let (channels, time) = match long.as_slice() {
            [] => (None, None),
            [one] if is_time(*one) => (None, Some(*one)),
            [one] if source.is_some_and(|it| it.channels.is_some_and(|it| it != *one)) => (None, Some(*one)),
            // A single channel over time, as a graph's input.
            [2] if shape.len() == 3 && source.is_none() => (None, Some(2)),
            [one] => (Some(*one), None),
            [one, other] if is_time(*one) || is_channels(*other) => (Some(*other), Some(*one)),
            [one, other] => (Some(*one), Some(*other)),
            _ => return Err(format!("a tensor of the shape {shape:?} is no sheet")),
        };
        let length = |axis: Option<usize>| axis.map_or(1, |axis| shape[axis]);
        if shape.contains(&0) {
            return Err("a tensor is empty".to_owned());
        }
        let size = Size { rows: length(time), width: length(channels) };
        Ok(Wire { sheet: sheet(&mut self.draft, size), time, channels })
    }

    /// The row and the lane of each value, in the order of the axes.
    fn places(&self, wire: &Wire, shape: &[usize]) -> Vec<(usize, usize)> {
        let values = shape.iter().product();
        let along = |axis: Option<usize>, value: usize| {
            axis.map_or(0, |axis| value / shape[axis + 1..].iter().product::<usize>() % shape[axis])
        };
        (0..values).map(|value| (along(wire.time, value), along(wire.channels, value))).collect()
    }

    fn weights(&self, node: &TypedNode, place: usize) -> Result<Weights, String> {
        match self.inputs(node)?.get(place) {
            Some(Value::Constant(tensor)) => Weights::read(tensor),
            _ => Err("its weights are not constant".to_owned()),
        }
    }

    fn inputs(&self, node: &TypedNode) -> Result<Vec<Value>, String> {
        let known = |outlet| self.wires.get(outlet).cloned().ok_or_else(|| "an input of it is unknown".to_owned());
        node.inputs.iter().map(known).collect()
    }

    fn shape(&self, outlet: OutletId) -> Result<Vec<usize>, String> {
        let fact = self.model.outlet_fact(outlet).map_err(|error| format!("{error:#}"))?;
        fact.shape.as_concrete().map(<[usize]>::to_vec).ok_or_else(|| "a tensor has no fixed size".to_owned())
    }

    fn size(&self, wire: Wire) -> Size {
        self.draft.sizes[wire.sheet]
    }
}

/// The same sheet under other names of its axes, if no value moves.
fn renamed(op: &AxisOp, wire: Wire) -> Option<Wire> {
    let place = |axis: usize| match *op {
        AxisOp::Add(added) => Some(axis + usize::from(axis >= added)),
        AxisOp::Rm(removed) => (axis != removed).then(|| axis - usize::from(axis > removed)),
        AxisOp::Move(from, to) if axis == from => Some(to),
        AxisOp::Move(from, to) if from < to => Some(axis - usize::from(axis > from && axis <= to)),
        AxisOp::Move(from, to) => Some(axis + usize::from(axis >= to && axis < from)),
        AxisOp::Reshape(..) => None,
    };
    if let AxisOp::Reshape(..) = op {
        return None;
    }
    Some(Wire { time: wire.time.and_then(place), channels: wire.channels.and_then(place), ..wire })
}

/// What stands only where a step of a diffusion is embedded, on a few dozen values.
fn scalar(op: &dyn ElementWiseMiniOp, filled: bool) -> Option<fn(f32) -> f32> {
    if op.is::<math::Sin>() {
        Some(f32::sin)
    } else if op.is::<math::Cos>() {
        Some(f32::cos)
    } else if op.is::<math::Sqrt>() && filled {
        Some(f32::sqrt)
    } else if op.is::<math::Rsqrt>() && filled {
        Some(|value| value.sqrt().recip())
    } else {
        None
    }
}

fn blank_pad(node: &TypedNode) -> bool {
    node.op_as::<Pad>().is_some_and(|pad| match &pad.mode {
        PadMode::Constant(value) => Weights::read(value).is_ok_and(|value| value.values == [0.0]),
        _ => true,
    })
}

fn nearest(node: &TypedNode) -> bool {
    node.op_is::<NearestUpsample>()
        || node.op_as::<Resize>().is_some_and(|resize| resize.interpolator == Interpolator::Nearest)
}

fn signed(rows: usize) -> Result<i64, String> {
    // Far beyond any window; sums of as many as there are nodes stay exact.
    i64::try_from(rows).ok().filter(|rows| *rows < 1 << 32).ok_or("it reaches too far".to_owned())
}

const MOST_NODES: usize = 4096;
/// As many as an f32 counts without a gap.
const MOST_MOVED: usize = 1 << 24;
