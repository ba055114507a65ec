use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, TensorProto, tensor_proto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::knobs::KnobScope;

use super::Contract;

/// A graph that tract has typed, optimised and made runnable, for one window of one machine a call.
pub(super) type Plan = Arc<TypedRunnableModel>;

/// A graph of one window as it was typed, and as it runs.
pub(super) struct Network {
    pub typed: TypedModel,
    pub plan: Plan,
}

/// Reads an ONNX graph and holds it against the contract.
///
/// tract is a large body of code that was written for files of good will: whatever panics in it is caught here and
/// becomes an error of the package.
pub(super) fn network(onnx: &[u8], contract: &Contract) -> Result<Network, String> {
    guarded(|| build(onnx, contract))
}

/// Reads an ONNX graph whose input and output have the names of the contract.
pub(super) fn read(onnx: &[u8], contract: &Contract) -> Result<InferenceModel, String> {
    read_graph(onnx, &[&contract.input], &[&contract.output])
}

/// Reads an ONNX graph with these inputs and outputs, in this order.
pub(super) fn read_graph(onnx: &[u8], inputs: &[&str], outputs: &[&str]) -> Result<InferenceModel, String> {
    let plain = |error: TractError| format!("{error:#}");
    let proto = tract_onnx::onnx().proto_model_for_read(&mut &*onnx).map_err(plain)?;
    refuse_external_data(&proto)?;
    // PyTorch's exporters write inner shapes that contradict a pinned input; tract finds them itself.
    let model = tract_onnx::onnx().with_ignore_value_info(true).model_for_proto_model(&proto).map_err(plain)?;
    let names = |outlets: &[OutletId]| -> Vec<String> {
        outlets.iter().map(|outlet| model.node(outlet.node).name.clone()).collect()
    };
    let found = names(model.input_outlets().map_err(plain)?);
    if found != inputs {
        return Err(format!("the graph's inputs are {found:?}, the contract says {inputs:?}"));
    }
    let found: Vec<String> = proto.graph.iter().flat_map(|graph| &graph.output).map(|out| out.name.clone()).collect();
    if found != outputs {
        return Err(format!("the graph's outputs are {found:?}, the contract says {outputs:?}"));
    }
    Ok(model)
}

/// Runs a piece of tract and turns a panic in it into an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // Nothing that the closure touches outlives a failure: a plan is either returned whole or dropped.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(format!("the inference engine gave up: {words}"))
    })
}

fn build(onnx: &[u8], contract: &Contract) -> Result<Network, String> {
    let shape = [1, contract.channels.len(), contract.window];
    let plain = |error: TractError| format!("{error:#}");
    let mut model = read(onnx, contract)?;
    model.set_input_fact(0, f32::fact(shape).into()).map_err(plain)?;
    let model = model.into_typed().map_err(plain)?;
    refuse_giants(&model)?;
    let typed = model.into_decluttered().map_err(plain)?;
    // Copying a short kernel's input out for the matrix product costs more than picking it where it lies.
    let lazily = KnobScope::new([("TRACT_LAZY_IM2COL_MIN_KERNEL", "2")]).map_err(plain)?;
    let model = lazily.enter(|| typed.clone().into_optimized()).map_err(plain)?;
    let output = model.output_fact(0).map_err(plain)?;
    if output.datum_type != f32::datum_type() || output.shape.as_concrete() != Some(&shape) {
        return Err(format!(
            "the graph gives {output:?} for an input of {shape:?} f32, the contract says the same shape"
        ));
    }
    Ok(Network { typed, plan: model.into_runnable().map_err(plain)? })
}

/// A graph can ask for any amount of memory in a few bytes, and a process that gets it is killed, not warned.
pub(super) fn refuse_giants(model: &TypedModel) -> Result<(), String> {
    let mut whole = 0usize;
    for node in &model.nodes {
        for output in &node.outputs {
            let values = output
                .fact
                .shape
                .as_concrete()
                .map(|shape| shape.iter().try_fold(1usize, |all, &one| all.checked_mul(one)));
            whole = match values {
                Some(values) => whole.saturating_add(values.unwrap_or(usize::MAX)),
                None => return Err(format!("the size of {} depends on more than the window", node.name)),
            };
            if whole > MOST_VALUES {
                return Err(format!("it would need more than {MOST_VALUES} values at once, from {} on", node.name));
            }
        }
    }
    Ok(())
}

/// Over all inner tensors of a network, as many as 256 MiB hold.
const MOST_VALUES: usize = 64 * 1024 * 1024;

fn refuse_external_data(proto: &ModelProto) -> Result<(), String> {
    let external = |tensor: &TensorProto| {
        !tensor.external_data.is_empty() || tensor.data_location == Some(tensor_proto::DataLocation::External as i32)
    };
    fn any_tensor(graph: &GraphProto, test: &impl Fn(&TensorProto) -> bool) -> bool {
        let in_attribute = |attribute: &AttributeProto| {
            attribute.t.iter().chain(&attribute.tensors).any(test)
                || attribute.g.iter().chain(&attribute.graphs).any(|graph| any_tensor(graph, test))
        };
        graph.initializer.iter().any(test) || graph.node.iter().flat_map(|node| &node.attribute).any(in_attribute)
    }
    if proto.graph.iter().any(|graph| any_tensor(graph, &external)) {
        return Err("the graph keeps tensors in external files; export it with all weights inside".to_owned());
    }
    Ok(())
}
