//! A network's call as the engine `window` makes it, on a file of `benches/peer/windows.py`, which compares.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use serde::Deserialize;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{ensure, format_err};
use tract_onnx::tract_core::knobs::KnobScope;

/// Prints the µs of processor time that a call takes, the best of some slices.
fn main() -> ExitCode {
    let Some(path) = env::args().skip(1).find(|argument| argument.ends_with(".onnx")) else {
        println!("skipped: no file; run `python benches/peer/windows.py`");
        return ExitCode::SUCCESS;
    };
    match measured(&path) {
        Ok(best) => println!("{:.3}", 1e6 * best.as_secs_f64()),
        Err(error) => {
            eprintln!("{path}: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What PyTorch was given and made of it.
#[derive(Deserialize)]
struct Case {
    inputs: BTreeMap<String, Vec<f32>>,
    output: Vec<f32>,
}

fn measured(path: &str) -> TractResult<Duration> {
    let case: Case = serde_json::from_str(&fs::read_to_string(path.replace(".onnx", ".json"))?)?;
    let model = tract_onnx::onnx().with_ignore_value_info(true).model_for_path(path)?.into_typed()?;
    let mut inputs = tvec!();
    for outlet in model.input_outlets()? {
        let (name, fact) = (&model.node(outlet.node).name, model.outlet_fact(*outlet)?);
        let shape = fact.shape.as_concrete().ok_or_else(|| format_err!("{name} has no fixed shape"))?;
        inputs.push(Tensor::from_shape(shape, &case.inputs[name])?.into_tvalue());
    }
    let lazily = KnobScope::new([("TRACT_LAZY_IM2COL_MIN_KERNEL", "2")])?;
    let mut state = lazily.enter(|| model.into_optimized())?.into_runnable()?.spawn()?;
    let outputs = state.run(inputs.clone())?;
    let found = outputs[0].try_as_plain_ram()?.as_slice::<f32>()?;
    let largest = found.iter().zip(&case.output).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max);
    ensure!(found.len() == case.output.len() && largest < 1e-4, "its results differ by {largest:e}");
    let mut best = Duration::MAX;
    for _ in 0..SLICES {
        let (start, mut calls) = (on_cpu()?, 0);
        while on_cpu()? - start < SLICE {
            for _ in 0..TOGETHER {
                black_box(state.run(inputs.clone())?);
            }
            calls += TOGETHER;
        }
        best = best.min((on_cpu()? - start) / calls);
    }
    Ok(best)
}

/// How long this thread has run so far, which a busy machine makes no longer; exact to a tick of the scheduler.
fn on_cpu() -> TractResult<Duration> {
    let told = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = told.split(' ').next().ok_or_else(|| format_err!("the scheduler tells nothing"))?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

const SLICES: usize = 4;
const SLICE: Duration = Duration::from_millis(400);
/// Calls between two looks at the clock.
const TOGETHER: u32 = 8;
