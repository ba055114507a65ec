use tract_onnx::prelude::*;
use tract_onnx::tract_core::axes::Axis;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, KernelFormat, PaddingSpec};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::{Reader, Value, Wire, signed};
use crate::models::dense::draft::{Make, Size, Sum};
use crate::models::ring::{Combine, Weights};

/// Layers with weights.
impl Reader<'_> {
    pub(super) fn convolution(&mut self, node: &TypedNode, conv: &Conv, wire: Wire) -> Result<Wire, String> {
        let pool = &conv.pool_spec;
        if conv.group != 1 || conv.q_params.is_some() || pool.rank() != 1 {
            return Err("only convolutions over time with one group are known here".to_owned());
        }
        let (axes, wire) = self.axes(node, &pool.data_format, wire)?;
        let (taps, dilation, stride) = (pool.kernel_shape[0], pool.dilation(0), pool.stride(0));
        let size = self.size(wire);
        let made = Size { rows: self.shape(OutletId::new(node.id, 0))?[axes.1], width: pool.output_channels };
        let kernel = self.weights(node, 1)?;
        let weights = tapped(&kernel, conv.kernel_fmt, (made.width, size.width, taps))?;
        let (bias, added) = self.bias(node, made.width)?;
        let before = pool.computed_padding(&[size.rows])[0].pad_before;
        let sum = Sum {
            source: wire.sheet,
            first: -signed(before)?,
            stride,
            taps,
            dilation,
            positions: made.rows,
            target_first: 0,
            target_stride: 1,
            weights: weights.concat(),
            bias,
        };
        let sheet = self.draft.sheet(made);
        self.add_sum(sheet, sum)?;
        let sheet = self.added(sheet, added);
        Ok(Wire { sheet, time: Some(axes.1), channels: Some(axes.0) })
    }

    /// Every stride-th output position is a convolution of its own, with every stride-th tap.
    pub(super) fn widening(&mut self, node: &TypedNode, deconv: &Deconv, wire: Wire) -> Result<Wire, String> {
        let pool = &deconv.pool_spec;
        if deconv.group != 1 || pool.rank() != 1 || pool.dilation(0) != 1 {
            return Err("only convolutions over time with one group and no dilation are known here".to_owned());
        }
        let (axes, wire) = self.axes(node, &pool.data_format, wire)?;
        let (taps, stride) = (pool.kernel_shape[0], pool.stride(0));
        let size = self.size(wire);
        let made = Size { rows: self.shape(OutletId::new(node.id, 0))?[axes.1], width: pool.output_channels };
        let before = match &pool.padding {
            PaddingSpec::Explicit(before, _) | PaddingSpec::ExplicitOnnxPool(before, ..) => before[0],
            PaddingSpec::Valid => 0,
            other => return Err(format!("its padding is {other:?}")),
        };
        let kernel = self.weights(node, 1)?;
        let weights = tapped(&kernel, deconv.kernel_format, (made.width, size.width, taps))?;
        let (bias, added) = self.bias(node, made.width)?;
        let sheet = self.draft.sheet(made);
        for phase in 0..stride.min(made.rows) {
            let nearest = (phase + before) % stride;
            let own: Vec<&[f32]> = (nearest..taps).step_by(stride).map(|tap| &weights[tap][..]).rev().collect();
            let sum = Sum {
                source: wire.sheet,
                first: signed((phase + before - nearest) / stride)? - signed(own.len())? + 1,
                stride: 1,
                taps: own.len(),
                dilation: 1,
                positions: (made.rows - phase).div_ceil(stride),
                target_first: phase,
                target_stride: stride,
                weights: own.concat(),
                bias: bias.clone(),
            };
            self.add_sum(sheet, sum)?;
        }
        let sheet = self.added(sheet, added);
        Ok(Wire { sheet, time: Some(axes.1), channels: Some(axes.0) })
    }

    /// Sees to it that there are enough zeros around the source.
    fn add_sum(&mut self, sheet: usize, sum: Sum) -> Result<(), String> {
        let rows = signed(self.draft.sizes[sum.source].rows)?;
        let last = signed(sum.positions.saturating_sub(1).saturating_mul(sum.stride))?
            + signed(sum.taps.saturating_sub(1).saturating_mul(sum.dilation))?
            + sum.first;
        let (before, after) = match sum.taps {
            0 => (0, 0),
            _ => ((-sum.first).max(0) as usize, (last - rows + 1).max(0) as usize),
        };
        if before > MOST_PADDING || after > MOST_PADDING {
            return Err(format!("it is padded by more than {MOST_PADDING} rows"));
        }
        self.draft.before = self.draft.before.max(before);
        self.draft.after = self.draft.after.max(after);
        let sum = Sum { first: if sum.taps == 0 { 0 } else { sum.first }, ..sum };
        self.draft.makes.push((sheet, Make::Convolution(sum)));
        Ok(())
    }

    /// A matrix times each row: a convolution with one tap.
    pub(super) fn product(&mut self, node: &TypedNode, op: &EinSum) -> Result<Wire, String> {
        let (slot, wire) = match self.inputs(node)?.as_slice() {
            [Value::Sheet(wire), Value::Constant(_)] => (0, *wire),
            [Value::Constant(_), Value::Sheet(wire)] => (1, *wire),
            _ => return Err("it is no product of a sheet and a constant".to_owned()),
        };
        if op.q_params.is_some() {
            return Err("it is quantised".to_owned());
        }
        let mixed = || "it mixes time or channels with other axes".to_owned();
        let matrix = self.weights(node, 1 - slot)?;
        let axes: Vec<&Axis> = op.axes.iter_all_axes().collect();
        let with = |place: usize| axes.iter().find(|axis| axis.inputs[slot].contains(&place)).copied();
        let in_matrix = |axis: &Axis| axis.inputs[1 - slot].first().copied();
        let input = wire.channels.and_then(with);
        let rows = input.and_then(in_matrix);
        let time = wire.time.map(|time| with(time).ok_or_else(mixed)).transpose()?;
        let brought = axes
            .iter()
            .filter(|axis| !axis.outputs[0].is_empty() && in_matrix(axis).is_some_and(|place| matrix.shape[place] > 1));
        if time.is_some_and(|time| time.outputs[0].is_empty()) || brought.count() > 1 {
            return self.whole_product(node, op, (slot, wire), &matrix);
        }
        if time.is_some_and(|time| in_matrix(time).is_some()) || input.is_some_and(|axis| !axis.outputs[0].is_empty()) {
            return Err(mixed());
        }
        // Of the axes that the matrix brings along, all but one have the length 1.
        let output = axes
            .iter()
            .find(|axis| !axis.outputs[0].is_empty() && in_matrix(axis).is_some_and(|place| matrix.shape[place] > 1));
        let columns = output.and_then(|axis| in_matrix(axis));
        let alone =
            (0..matrix.shape.len()).all(|axis| Some(axis) == rows || Some(axis) == columns || matrix.shape[axis] == 1);
        let size = self.size(wire);
        let width = columns.map_or(1, |axis| matrix.shape[axis]);
        if !alone || rows.map_or(1, |axis| matrix.shape[axis]) != size.width {
            return Err(mixed());
        }
        let mut weights = Vec::with_capacity(matrix.values.len());
        for row in 0..size.width {
            for one in 0..width {
                let mut index = vec![0; matrix.shape.len()];
                rows.into_iter().for_each(|axis| index[axis] = row);
                columns.into_iter().for_each(|axis| index[axis] = one);
                weights.push(matrix.at(&index));
            }
        }
        let sheet = self.each_row(wire, width, weights, vec![0.0; width])?;
        let place = |axis: &Axis| axis.outputs[0].first().copied();
        Ok(Wire { sheet, time: time.and_then(place), channels: output.and_then(|axis| place(axis)) })
    }

    /// A matrix times a whole sheet, row after row.
    fn whole_product(
        &mut self,
        node: &TypedNode,
        op: &EinSum,
        (slot, wire): (usize, Wire),
        matrix: &Weights,
    ) -> Result<Wire, String> {
        let mixed = || "it mixes time or channels with other axes".to_owned();
        let axes: Vec<&Axis> = op.axes.iter_all_axes().collect();
        let in_matrix = |axis: &Axis| axis.inputs[1 - slot].first().copied();
        let contracted = |axis: Option<usize>| -> Result<Option<usize>, String> {
            let Some(axis) = axis else { return Ok(None) };
            let axis = axes.iter().find(|it| it.inputs[slot].contains(&axis)).ok_or_else(mixed)?;
            if !axis.outputs[0].is_empty() {
                return Err(mixed());
            }
            in_matrix(axis).ok_or_else(mixed).map(Some)
        };
        let (time, channels) = (contracted(wire.time)?, contracted(wire.channels)?);
        let shape = self.shape(OutletId::new(node.id, 0))?;
        // Where each of the output's axes lies in the matrix.
        let brought: Vec<Option<usize>> = (0..shape.len())
            .map(|place| axes.iter().find(|axis| axis.outputs[0].contains(&place)).and_then(|axis| in_matrix(axis)))
            .collect();
        let read: Vec<usize> = brought.iter().copied().chain([time, channels]).flatten().collect();
        let all_read = (0..matrix.shape.len()).all(|axis| matrix.shape[axis] == 1 || read.contains(&axis));
        let all_brought = shape
            .iter()
            .zip(&brought)
            .all(|(length, place)| *length == 1 || place.is_some_and(|place| matrix.shape[place] == *length));
        let Size { rows, width } = self.size(wire);
        let outputs: usize = shape.iter().product();
        if !all_read || !all_brought || outputs.saturating_mul(rows * width) != matrix.values.len() {
            return Err(mixed());
        }
        let made = self.wire(&shape, None, |draft, size| draft.sheet(size))?;
        let mut weights = Vec::with_capacity(matrix.values.len());
        for input in 0..rows * width {
            for output in 0..outputs {
                let mut index = vec![0; matrix.shape.len()];
                time.into_iter().for_each(|axis| index[axis] = input / width);
                channels.into_iter().for_each(|axis| index[axis] = input % width);
                for (axis, place) in brought.iter().copied().enumerate() {
                    let along = output / shape[axis + 1..].iter().product::<usize>() % shape[axis];
                    place.into_iter().for_each(|place| index[place] = along);
                }
                weights.push(matrix.at(&index));
            }
        }
        let flat = Size { rows: 1, width: rows * width };
        let from = (0..rows * width).map(|value| Some((wire.sheet, value / width, value % width))).collect();
        let flat = Wire { sheet: self.draft.add(flat, Make::Copy(from)), time: None, channels: None };
        let product = self.each_row(flat, outputs, weights, vec![0.0; outputs])?;
        let made_width = self.size(made).width;
        let mut from = vec![None; outputs];
        for (value, (row, lane)) in self.places(&made, &shape).into_iter().enumerate() {
            from[row * made_width + lane] = Some((product, 0, value));
        }
        self.draft.makes.push((made.sheet, Make::Copy(from)));
        Ok(made)
    }

    pub(super) fn each_row(
        &mut self,
        wire: Wire,
        width: usize,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<usize, String> {
        let Size { rows, .. } = self.size(wire);
        let sum = Sum {
            source: wire.sheet,
            first: 0,
            stride: 1,
            taps: 1,
            dilation: 1,
            positions: rows,
            target_first: 0,
            target_stride: 1,
            weights,
            bias,
        };
        let sheet = self.draft.sheet(Size { rows, width });
        self.add_sum(sheet, sum)?;
        Ok(sheet)
    }

    /// The axes of channels and time that a convolution means, and the wire as it means it.
    fn axes(&mut self, node: &TypedNode, format: &DataFormat, wire: Wire) -> Result<((usize, usize), Wire), String> {
        let dims = self.shape(node.inputs[0])?;
        let axes = format.shape(dims).map_err(|error| format!("{error:#}"))?;
        let (channels, time) = (axes.c_axis(), axes.h_axis());
        let along =
            |wire: Wire| wire.channels.is_none_or(|axis| axis == channels) && wire.time.is_none_or(|axis| axis == time);
        let wire = if along(wire) { wire } else { self.turned(wire) };
        along(wire).then_some(((channels, time), wire)).ok_or_else(|| "it runs along another axis than time".to_owned())
    }

    /// What is added to each output: constants, or what another layer makes of the inputs.
    fn bias(&self, node: &TypedNode, width: usize) -> Result<(Vec<f32>, Option<usize>), String> {
        if let Some(Value::Sheet(wire)) = self.inputs(node)?.get(2) {
            let fits = self.size(*wire) == Size { rows: 1, width };
            return fits
                .then(|| (vec![0.0; width], Some(wire.sheet)))
                .ok_or_else(|| "its bias does not fit".to_owned());
        }
        let bias = self.weights(node, 2)?.values;
        match bias.len() {
            1 => Ok((vec![bias[0]; width], None)),
            all if all == width => Ok((bias, None)),
            other => Err(format!("it has {other} biases for {width} outputs")),
        }
    }

    fn added(&mut self, sheet: usize, other: Option<usize>) -> usize {
        let size = self.draft.sizes[sheet];
        other.map_or(sheet, |other| self.draft.add(size, Make::Combine(Combine::Add, sheet, other)))
    }
}

/// For each tap `[input][output]`.
fn tapped(
    kernel: &Weights,
    format: KernelFormat,
    (outputs, inputs, taps): (usize, usize, usize),
) -> Result<Vec<Vec<f32>>, String> {
    let (o, i, k) = match format {
        KernelFormat::OIHW => (0, 1, 2),
        KernelFormat::HWIO => (2, 1, 0),
        KernelFormat::OHWI => (0, 2, 1),
    };
    let mut lengths = [0; 3];
    (lengths[o], lengths[i], lengths[k]) = (outputs, inputs, taps);
    if kernel.shape != lengths || kernel.values.is_empty() {
        return Err(format!("its kernel has the shape {:?}", kernel.shape));
    }
    let of = |tap: usize| -> Vec<f32> {
        let at = |place: usize| {
            let mut index = [0; 3];
            (index[o], index[i], index[k]) = (place % outputs, place / outputs, tap);
            kernel.at(&index)
        };
        (0..inputs * outputs).map(at).collect()
    };
    Ok((0..taps).map(of).collect())
}

/// Rows of zeros around every sheet.
const MOST_PADDING: usize = 4096;
