//! A network's call on own code, on a file of `benches/peer/windows.py`, which compares.

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use serde::Deserialize;
use wheeltapper::models::DenseNetwork;

/// Prints the µs of processor time that a call takes, the best of some slices.
fn main() -> ExitCode {
    let Some(path) = env::args().skip(1).find(|argument| argument.ends_with(".onnx")) else {
        println!("skipped: no file; run `python benches/peer/windows.py`");
        return ExitCode::SUCCESS;
    };
    let windows = env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1);
    match measured(&path, windows) {
        Ok(best) => println!("{:.3}", 1e6 * best.as_secs_f64()),
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What PyTorch was given and made of it.
#[derive(Deserialize)]
struct Case {
    inputs: Vec<Input>,
    /// What the output is called, and its values.
    name: String,
    output: Vec<f32>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    /// With the batch, of one window, in front.
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn measured(path: &str, windows: u32) -> Result<Duration, Box<dyn Error>> {
    let case: Case = serde_json::from_str(&fs::read_to_string(path.replace(".onnx", ".json"))?)?;
    let inputs: Vec<(&str, Vec<usize>)> =
        case.inputs.iter().map(|input| (input.name.as_str(), input.shape[1..].to_vec())).collect();
    let mut network = DenseNetwork::read(&fs::read(path)?, &inputs, &[&case.name])?;
    let inputs: Vec<&[f32]> = case.inputs.iter().map(|input| input.values.as_slice()).collect();
    let mut found = vec![0.0; case.output.len()];
    network.run(&inputs, &mut found);
    let largest =
        found.iter().zip(&case.output).map(|(found, expected)| (found - expected).abs()).max_by(f32::total_cmp);
    if largest.is_none_or(|largest| largest.is_nan() || largest > 1e-4) {
        return Err(format!("its results differ by {largest:?}").into());
    }
    let mut best = Duration::MAX;
    for _ in 0..SLICES {
        let (start, mut calls) = (on_cpu()?, 0);
        while on_cpu()? - start < SLICE {
            for _ in 0..TOGETHER * windows {
                network.run(black_box(&inputs), black_box(&mut found));
            }
            calls += TOGETHER;
        }
        best = best.min((on_cpu()? - start) / calls);
    }
    Ok(best)
}

/// How long this thread has run so far, which a busy machine makes no longer; exact to a tick of the scheduler.
fn on_cpu() -> Result<Duration, Box<dyn Error>> {
    let told = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = told.split(' ').next().ok_or("the scheduler tells nothing")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

const SLICES: usize = 2;
const SLICE: Duration = Duration::from_millis(400);
/// Calls between two looks at the clock.
const TOGETHER: u32 = 8;
