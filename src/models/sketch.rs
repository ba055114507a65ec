//! Small ONNX graphs for tests, drawn node by node.

use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

use super::{ChannelContract, Contract};
use crate::acquisition::Name;

/// A graph from `x`, `[1, channels, time]`, with random weights.
pub(super) struct Sketch {
    channels: usize,
    graph: GraphProto,
    random: ChaCha8Rng,
}

/// How far a convolution reaches, and how it is padded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    pub taps: usize,
    pub dilation: usize,
    pub pads: (usize, usize),
    pub groups: usize,
}

impl Kernel {
    /// Padded so that no output depends on later inputs.
    pub fn causal(taps: usize, dilation: usize) -> Self {
        Self { taps, dilation, pads: ((taps - 1) * dilation, 0), groups: 1 }
    }

    pub fn past(self) -> usize {
        (self.taps - 1) * self.dilation
    }
}

impl Sketch {
    pub fn new(channels: usize, seed: u64) -> Self {
        Self { channels, graph: GraphProto::default(), random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// A node with one output.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.fresh();
        self.graph.node.push(NodeProto {
            name: format!("{op} {output}"),
            op_type: op.to_owned(),
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![output.clone()],
            attribute: attributes,
            ..NodeProto::default()
        });
        output
    }

    pub fn convolution(&mut self, input: &str, widths: (usize, usize), kernel: Kernel) -> String {
        let (inputs, outputs) = (widths.0 / kernel.groups, widths.1);
        let weights = self.weights(&[outputs, inputs, kernel.taps], inputs * kernel.taps);
        let bias = self.weights(&[outputs], 4);
        let attributes = vec![
            ints("dilations", &[kernel.dilation]),
            ints("pads", &[kernel.pads.0, kernel.pads.1]),
            ints("kernel_shape", &[kernel.taps]),
            int("group", kernel.groups),
        ];
        self.node("Conv", &[input, &weights, &bias], attributes)
    }

    /// Random weights whose sum over `terms` of them is about 1.
    pub fn weights(&mut self, shape: &[usize], terms: usize) -> String {
        let reach = (3.0 / terms as f32).sqrt();
        let values = (0..shape.iter().product()).map(|_| self.random.random_range(-reach..=reach)).collect();
        self.constant(shape, values)
    }

    pub fn constant(&mut self, shape: &[usize], values: Vec<f32>) -> String {
        let name = self.fresh();
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: dims(shape),
            data_type: FLOAT,
            float_data: values,
            ..TensorProto::default()
        });
        name
    }

    pub fn indices(&mut self, values: &[i64]) -> String {
        let name = self.fresh();
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: vec![values.len() as i64],
            data_type: INT64,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        name
    }

    /// Pads the time axis with zeros.
    pub fn pad(&mut self, input: &str, before: i64, after: i64) -> String {
        let pads = self.indices(&[0, 0, before, 0, 0, after]);
        self.node("Pad", &[input, &pads], vec![])
    }

    /// Cuts the time axis.
    pub fn slice(&mut self, input: &str, from: i64, to: i64) -> String {
        let [from, to, axes] = [[from], [to], [2]].map(|values| self.indices(&values));
        self.node("Slice", &[input, &from, &to, &axes], vec![])
    }

    /// The file, with `output` as its `y`.
    pub fn onnx(mut self, output: &str) -> Vec<u8> {
        self.graph.node.push(NodeProto {
            op_type: "Identity".to_owned(),
            input: vec![output.to_owned()],
            output: vec!["y".to_owned()],
            ..NodeProto::default()
        });
        self.graph.name = "sketch".to_owned();
        self.graph.input = vec![self.value("x")];
        self.graph.output = vec![self.value("y")];
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
        .encode_to_vec()
    }

    pub fn contract(&self, window: usize) -> Contract {
        let channel = |index| ChannelContract {
            name: Name::parse(&format!("ch{index}")).expect("a name"),
            unit: String::new(),
            floor: 0.0,
            drift: None,
        };
        Contract {
            input: "x".to_owned(),
            output: "y".to_owned(),
            axes: ["batch", "channels", "time"].map(str::to_owned).into(),
            dtype: "float32".to_owned(),
            window,
            causal: true,
            bridges_gaps: false,
            cadence: std::time::Duration::from_secs(1),
            clip: 4.0,
            channels: (0..self.channels).map(channel).collect(),
        }
    }

    fn value(&self, name: &str) -> ValueInfoProto {
        let symbol = |symbol: &str| dimension::Value::DimParam(symbol.to_owned());
        let dims = [symbol("batch"), dimension::Value::DimValue(self.channels as i64), symbol("time")];
        let shape =
            TensorShapeProto { dim: dims.map(|value| Dimension { value: Some(value), ..Dimension::default() }).into() };
        let tensor = type_proto::Tensor { elem_type: FLOAT, shape: Some(shape) };
        let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
        ValueInfoProto { name: name.to_owned(), r#type: Some(r#type), ..ValueInfoProto::default() }
    }

    fn fresh(&self) -> String {
        format!("t{}", self.graph.node.len() + self.graph.initializer.len())
    }
}

pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int as i32,
        i: value as i64,
        ..AttributeProto::default()
    }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Float as i32, f: value, ..AttributeProto::default() }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::String as i32,
        s: value.into(),
        ..AttributeProto::default()
    }
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: dims(values),
        ..AttributeProto::default()
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&length| length as i64).collect()
}

const FLOAT: i32 = 1;
const INT64: i32 = 7;
