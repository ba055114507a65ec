use std::collections::HashMap;
use std::sync::Arc;

use fearless_simd::Level;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::axes::Axis;
use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_core::ops::array::{Pad, Slice};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::gelu_approximate::GeluApproximate;
use tract_onnx::tract_core::ops::nn::gelu_exact::GeluExact;
use tract_onnx::tract_core::ops::nn::silu::Silu;
use tract_onnx::tract_core::ops::nn::{HardSwish, LeakyRelu, Sigmoid};

use super::function::Function;
use super::layout::{Chain, Layer, Make, Reading, Source};
use super::program::{Combine, Program, Shape};
use crate::models::Contract;

/// Reads a graph that was typed for one whole window, or says what in it cannot be run column by column.
///
/// Whatever a graph pads with is never read here: the newest output of a full window depends on true columns alone, or
/// the graph is refused.
pub(in crate::models) fn compile(model: &TypedModel, contract: &Contract, level: Level) -> Result<Program, String> {
    let shape = Shape { channels: contract.channels.len(), columns: contract.window };
    let mut reader = Reader { model, wires: HashMap::new(), layers: Vec::new() };
    let order = model.eval_order().map_err(|error| format!("{error:#}"))?;
    if order.len() > MOST_NODES {
        return Err(format!("it has more than {MOST_NODES} nodes"));
    }
    for node in order {
        let node = model.node(node);
        reader.read(node, shape).map_err(|why| format!("{} ({}): {why}", node.op.name(), node.name))?;
    }
    let output = model.output_outlets().map_err(|error| format!("{error:#}"))?[0];
    let Some(Wire::Column(column)) = reader.wires.get(&output).cloned() else {
        return Err("its output does not depend on its input".to_owned());
    };
    let lag = usize::try_from(column.lag)
        .map_err(|_| format!("an output column depends on {} later ones", column.lag.unsigned_abs()))?;
    let reach = reader.layers[column.layer].reach.saturating_add(lag);
    if reach > shape.columns {
        return Err(format!(
            "an output column depends on {reach} columns, so that the {} of the contract's window do not settle it",
            shape.columns
        ));
    }
    Chain { layers: reader.layers, output: Reading { layer: column.layer, lag }, shape }.lay_out(level)
}

struct Reader<'a> {
    model: &'a TypedModel,
    wires: HashMap<OutletId, Wire>,
    layers: Vec<Layer>,
}

/// What stands on a wire of the graph.
#[derive(Clone)]
enum Wire {
    Constant(Arc<Tensor>),
    Column(Column),
}

/// A layer over time: at index `i` of the time axis stands what the layer is at column `i - lag`.
#[derive(Clone, Copy)]
struct Column {
    layer: usize,
    lag: i64,
    /// Which axis is which; all others have the length 1, and so has that of a single channel.
    time: usize,
    channels: Option<usize>,
}

impl Reader<'_> {
    fn read(&mut self, node: &TypedNode, shape: Shape) -> Result<(), String> {
        let [output] = node.outputs.as_slice() else { return Err("it has more than one output".to_owned()) };
        let wire = match &output.fact.konst {
            Some(tensor) => Wire::Constant(tensor.clone()),
            None => Wire::Column(self.column(node, shape)?),
        };
        if let Wire::Column(column) = &wire {
            let whole = output.fact.datum_type == f32::datum_type()
                && self.layers[column.layer].width > 0
                && Some(column.time) != column.channels
                && output.fact.shape.iter().enumerate().all(|(axis, length)| {
                    axis == column.time
                        || length.to_usize().ok()
                            == Some(if Some(axis) == column.channels { self.layers[column.layer].width } else { 1 })
                });
            if !whole {
                return Err(format!("it gives {:?}, which is no column of f32 at each step", output.fact));
            }
        }
        self.wires.insert(OutletId::new(node.id, 0), wire);
        Ok(())
    }

    fn column(&mut self, node: &TypedNode, shape: Shape) -> Result<Column, String> {
        if node.inputs.is_empty() {
            let layer = self.add(shape.channels, 1, Make::Input);
            return Ok(Column { layer, lag: 0, time: 2, channels: (shape.channels > 1).then_some(1) });
        }
        if let Some(op) = node.op_as::<TypedBinOp>() {
            return self.combination(node, &*op.0);
        }
        let column = self.column_of(node, 0)?;
        if let Some(conv) = node.op_as::<Conv>() {
            self.convolution(node, conv, column)
        } else if let Some(op) = node.op_as::<EinSum>() {
            self.product(node, op)
        } else if let Some(op) = node.op_as::<ElementWiseOp>() {
            let function = function(&*op.0).ok_or("the function is unknown here")?;
            let Layer { width, reach, .. } = self.layers[column.layer];
            Ok(Column { layer: self.add(width, reach, Make::Function(column.layer, function)), ..column })
        } else if let Some(pad) = node.op_as::<Pad>() {
            let elsewhere = pad.pads.iter().enumerate().any(|(axis, pads)| axis != column.time && *pads != (0, 0));
            if elsewhere {
                return Err("it pads another axis than time".to_owned());
            }
            Ok(Column { lag: later(column.lag, pad.pads[column.time].0)?, ..column })
        } else if let Some(slice) = node.op_as::<Slice>() {
            let start = slice.start.to_usize().ok().filter(|_| slice.axis == column.time);
            let start = start.ok_or("it slices another axis than time")?;
            Ok(Column { lag: column.lag - signed(start)?, ..column })
        } else if let Some(op) = node.op_as::<AxisOp>() {
            moved(op, column).ok_or_else(|| format!("{op:?} mixes time or channels with other axes"))
        } else {
            Err("the operator is unknown here".to_owned())
        }
    }

    fn convolution(&mut self, node: &TypedNode, conv: &Conv, column: Column) -> Result<Column, String> {
        let pool = &conv.pool_spec;
        if conv.group != 1 || conv.q_params.is_some() || pool.rank() != 1 || pool.stride(0) != 1 {
            return Err("only convolutions over time with stride 1 and one group are known here".to_owned());
        }
        let plain = |error: TractError| format!("{error:#}");
        let input = self.model.outlet_fact(node.inputs[0]).map_err(plain)?;
        let dims = input.shape.as_concrete().ok_or("its input has no fixed size")?;
        let axes = pool.data_format.shape(dims).map_err(plain)?;
        let across = column.channels.is_none_or(|axis| axis == axes.c_axis()) && axes.h_axis() == column.time;
        if !across {
            return Err("it runs along another axis than time".to_owned());
        }
        let (taps, dilation) = (pool.kernel_shape[0], pool.dilation(0));
        let width = Width { inputs: self.layers[column.layer].width, outputs: pool.output_channels };
        let kernel = self.weights(node, 1)?;
        let (o, i, k) = match conv.kernel_fmt {
            KernelFormat::OIHW => (0, 1, 2),
            KernelFormat::HWIO => (2, 1, 0),
            KernelFormat::OHWI => (0, 2, 1),
        };
        let mut lengths = [0; 3];
        (lengths[o], lengths[i], lengths[k]) = (width.outputs, width.inputs, taps);
        if kernel.shape != lengths || taps == 0 {
            return Err(format!("its kernel has the shape {:?}", kernel.shape));
        }
        let mut weights = Vec::with_capacity(kernel.values.len());
        for tap in (0..taps).rev() {
            for input in 0..width.inputs {
                for output in 0..width.outputs {
                    let mut index = [0; 3];
                    (index[o], index[i], index[k]) = (output, input, tap);
                    weights.push(kernel.at(&index));
                }
            }
        }
        let bias = self.weights(node, 2)?;
        let bias = match bias.values.len() {
            1 => vec![bias.values[0]; width.outputs],
            all if all == width.outputs => bias.values,
            other => return Err(format!("it has {other} biases for {} outputs", width.outputs)),
        };
        let before = pool.computed_padding(&[dims[column.time]])[0].pad_before;
        let past = (taps - 1).saturating_mul(dilation);
        let lag = later(column.lag, before)? - signed(past)?;
        let reach = self.layers[column.layer].reach.saturating_add(past);
        let make = Make::Convolution { source: column.layer, taps, dilation, weights, bias };
        let channels = (width.outputs > 1).then_some(axes.c_axis());
        Ok(Column { layer: self.add(width.outputs, reach, make), lag, time: column.time, channels })
    }

    /// A matrix times each column: a convolution with one tap.
    fn product(&mut self, node: &TypedNode, op: &EinSum) -> Result<Column, String> {
        let (slot, column) = match self.inputs(node)?.as_slice() {
            [Wire::Column(column), Wire::Constant(_)] => (0, *column),
            [Wire::Constant(_), Wire::Column(column)] => (1, *column),
            _ => return Err("it is no product of a column and a constant".to_owned()),
        };
        if op.q_params.is_some() {
            return Err("it is quantised".to_owned());
        }
        let matrix = self.weights(node, 1 - slot)?;
        let mixed = || "it mixes time or channels with other axes".to_owned();
        let axes: Vec<&Axis> = op.axes.iter_all_axes().collect();
        let with = |place: usize| axes.iter().find(|axis| axis.inputs[slot].contains(&place)).copied();
        let in_matrix = |axis: &Axis| axis.inputs[1 - slot].first().copied();
        let time = with(column.time).ok_or_else(mixed)?;
        let input = column.channels.and_then(with);
        let rows = input.and_then(in_matrix);
        // Of the axes that the matrix brings along, all but one have the length 1.
        let output = axes.iter().find(|axis| {
            let brought = in_matrix(axis).is_some_and(|place| matrix.shape[place] > 1);
            brought && !axis.outputs[0].is_empty() && axis.repr != time.repr
        });
        let columns = output.and_then(|axis| in_matrix(axis));
        let alone =
            (0..matrix.shape.len()).all(|axis| Some(axis) == rows || Some(axis) == columns || matrix.shape[axis] == 1);
        let width =
            Width { inputs: self.layers[column.layer].width, outputs: columns.map_or(1, |axis| matrix.shape[axis]) };
        let contracted = input.is_none_or(|axis| axis.outputs[0].is_empty());
        if !alone || !contracted || rows.map_or(1, |axis| matrix.shape[axis]) != width.inputs {
            return Err(mixed());
        }
        let new_time = time.outputs[0].first().copied().ok_or_else(mixed)?;
        let channels = output.and_then(|axis| axis.outputs[0].first().copied());
        let mut weights = Vec::with_capacity(matrix.values.len());
        for row in 0..width.inputs {
            for one in 0..width.outputs {
                let mut index = vec![0; matrix.shape.len()];
                if let Some(axis) = rows {
                    index[axis] = row;
                }
                if let Some(axis) = columns {
                    index[axis] = one;
                }
                weights.push(matrix.at(&index));
            }
        }
        let reach = self.layers[column.layer].reach;
        let bias = vec![0.0; width.outputs];
        let make = Make::Convolution { source: column.layer, taps: 1, dilation: 1, weights, bias };
        Ok(Column { layer: self.add(width.outputs, reach, make), lag: column.lag, time: new_time, channels })
    }

    fn combination(&mut self, node: &TypedNode, op: &dyn BinMiniOp) -> Result<Column, String> {
        let (combine, reversed) = combine(op).ok_or("the operator is unknown here")?;
        let (column, combine, other) = match self.inputs(node)?.as_slice() {
            [Wire::Column(column), other] => (*column, combine, other.clone()),
            [other @ Wire::Constant(_), Wire::Column(column)] => (*column, reversed, other.clone()),
            _ => return Err("neither side depends on the input".to_owned()),
        };
        let Layer { width, reach, .. } = self.layers[column.layer];
        let (lag, reach, other) = match other {
            Wire::Constant(tensor) => {
                (column.lag, reach, Source::Constant(for_each_channel(&Weights::read(&tensor)?, column, width)?))
            }
            Wire::Column(other) => {
                let same = (other.time, other.channels) == (column.time, column.channels);
                if !same || self.layers[other.layer].width != width {
                    return Err("both sides are not of the same shape".to_owned());
                }
                let lag = column.lag.min(other.lag);
                let reading = |it: Column| -> Result<Reading, String> {
                    let lag = usize::try_from(it.lag - lag).map_err(|error| error.to_string())?;
                    Ok(Reading { layer: it.layer, lag })
                };
                let (one, other) = (reading(column)?, reading(other)?);
                let reach = [one, other].map(|it| self.layers[it.layer].reach.saturating_add(it.lag));
                let make = Make::Combine(combine, one, Source::Layer(other));
                let layer = self.add(width, reach[0].max(reach[1]), make);
                return Ok(Column { layer, lag, ..column });
            }
        };
        let make = Make::Combine(combine, Reading { layer: column.layer, lag: 0 }, other);
        Ok(Column { layer: self.add(width, reach, make), lag, ..column })
    }

    fn add(&mut self, width: usize, reach: usize, make: Make) -> usize {
        self.layers.push(Layer { width, reach, make });
        self.layers.len() - 1
    }

    fn inputs(&self, node: &TypedNode) -> Result<Vec<Wire>, String> {
        let wire = |outlet: &OutletId| self.wires.get(outlet).cloned().ok_or("an input is unknown here".to_owned());
        node.inputs.iter().map(wire).collect()
    }

    fn column_of(&self, node: &TypedNode, slot: usize) -> Result<Column, String> {
        let columns = |wire: Wire| match wire {
            Wire::Column(column) => Some(column),
            Wire::Constant(_) => None,
        };
        let inputs = self.inputs(node)?;
        let at = inputs.get(slot).cloned().and_then(columns);
        at.or_else(|| inputs.into_iter().find_map(columns)).ok_or("no input depends on the graph's".to_owned())
    }

    fn weights(&self, node: &TypedNode, slot: usize) -> Result<Weights, String> {
        match self.inputs(node)?.get(slot) {
            Some(Wire::Constant(tensor)) => Weights::read(tensor),
            _ => Err("its weights depend on the input".to_owned()),
        }
    }
}

struct Width {
    inputs: usize,
    outputs: usize,
}

/// A constant tensor.
pub(in crate::models) struct Weights {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Weights {
    pub fn read(tensor: &Tensor) -> Result<Self, String> {
        let plain = |error: TractError| format!("a constant is no plain tensor: {error:#}");
        if tensor.datum_type() != f32::datum_type() {
            return Err(format!("a constant is of {:?}, not f32", tensor.datum_type()));
        }
        let view = tensor.try_as_plain_ram().map_err(plain)?;
        let values = view.as_slice::<f32>().map_err(plain)?.to_vec();
        Ok(Self { shape: tensor.shape().to_vec(), values })
    }

    pub fn at(&self, index: &[usize]) -> f32 {
        self.values[self.shape.iter().zip(index).fold(0, |place, (length, index)| place * length + index)]
    }
}

fn for_each_channel(constant: &Weights, column: Column, width: usize) -> Result<Vec<f32>, String> {
    let channels = |axis: usize| Some(axis) == column.channels && constant.shape[axis] == width;
    let fits = (0..constant.shape.len()).all(|axis| constant.shape[axis] == 1 || channels(axis));
    match constant.values.as_slice() {
        [one] => Ok(vec![*one; width]),
        all if fits && all.len() == width => Ok(all.to_vec()),
        _ => Err(format!("a constant of the shape {:?} is not the same at each step", constant.shape)),
    }
}

/// The column after its axes were moved.
fn moved(op: &AxisOp, column: Column) -> Option<Column> {
    let place = |axis: usize| match *op {
        AxisOp::Add(added) => Some(axis + usize::from(axis >= added)),
        AxisOp::Rm(removed) => (axis != removed).then(|| axis - usize::from(axis > removed)),
        AxisOp::Move(from, to) if axis == from => Some(to),
        AxisOp::Move(from, to) if from < to => Some(axis - usize::from(axis > from && axis <= to)),
        AxisOp::Move(from, to) => Some(axis + usize::from(axis >= to && axis < from)),
        AxisOp::Reshape(..) => None,
    };
    let channels = match column.channels {
        Some(axis) => Some(place(axis)?),
        None => None,
    };
    Some(Column { time: place(column.time)?, channels, ..column })
}

pub(in crate::models) fn function(op: &dyn ElementWiseMiniOp) -> Option<Function> {
    let one = if op.is::<Sigmoid>() {
        Function::Sigmoid
    } else if op.is::<math::Tanh>() {
        Function::Tanh
    } else if op.is::<Silu>() {
        Function::Silu
    } else if op.is::<GeluExact>() {
        Function::Gelu
    } else if op.is::<GeluApproximate>() {
        Function::GeluByTanh
    } else if op.is::<HardSwish>() {
        Function::HardSwish
    } else if op.is::<math::Exp>() {
        Function::Exp
    } else if op.is::<math::Erf>() {
        Function::Erf
    } else if op.is::<math::Square>() {
        Function::Square
    } else if op.is::<math::Recip>() {
        Function::Inverse
    } else if op.is::<math::Neg>() {
        Function::Negative
    } else if op.is::<math::Abs>() {
        Function::Absolute
    } else if let Some(op) = op.downcast_ref::<LeakyRelu>() {
        Function::LeakyRelu(op.alpha)
    } else if op.downcast_ref::<math::PowConst>().is_some_and(|op| op.exponent == 3.0) {
        Function::Cube
    } else {
        return None;
    };
    Some(one)
}

/// How the first side meets the second one, and how it would be said of the second one.
pub(in crate::models) fn combine(op: &dyn BinMiniOp) -> Option<(Combine, Combine)> {
    let both = if op.is::<math::Add>() {
        (Combine::Add, Combine::Add)
    } else if op.is::<math::Sub>() {
        (Combine::Subtract, Combine::SubtractFrom)
    } else if op.is::<math::SubF>() {
        (Combine::SubtractFrom, Combine::Subtract)
    } else if op.is::<math::Mul>() {
        (Combine::Multiply, Combine::Multiply)
    } else if op.is::<math::Div>() {
        (Combine::Divide, Combine::DivideInto)
    } else if op.is::<math::Max>() {
        (Combine::Larger, Combine::Larger)
    } else if op.is::<math::Min>() {
        (Combine::Smaller, Combine::Smaller)
    } else {
        return None;
    };
    Some(both)
}

fn later(lag: i64, columns: usize) -> Result<i64, String> {
    Ok(lag + signed(columns)?)
}

fn signed(columns: usize) -> Result<i64, String> {
    // Far beyond any window; sums of as many as there are nodes stay exact.
    i64::try_from(columns).ok().filter(|columns| *columns < 1 << 32).ok_or("it reaches too far".to_owned())
}

const MOST_NODES: usize = 4096;
