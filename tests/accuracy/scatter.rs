//! Faults that change a waveform and no mean: injected rows against the same rows untouched.
//!
//! Both copies of a recording run through a machine of their own, so that neither drift nor load tells them apart.

use std::ops::Range;
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::judge::auprc;
use super::rates::normal;
use super::series::{Series, second};
use super::{Floors, sets};

pub fn report(data: &Path, seeds: Range<u64>, floors: &mut Floors) {
    println!("\nscatter-only faults, injected rows against the same rows untouched: mean AUPRC over recordings");
    println!("  {:<26} {:>16} {:>16} {:>16}", "", "sd × 2, half", "var × 1.5, half", "harmonic, one");
    let mut sums: Vec<(String, [f64; 3])> = Vec::new();
    for seed in seeds.clone() {
        for (column, fault) in FAULTS.into_iter().enumerate() {
            let recordings = recordings(data, seed);
            for recording in &recordings {
                for (scorer, figure) in judged(recording, fault, seed) {
                    let place = sums.iter().position(|(known, _)| *known == scorer).unwrap_or_else(|| {
                        sums.push((scorer, [0.0; 3]));
                        sums.len() - 1
                    });
                    sums[place].1[column] += figure / (recordings.len() as u64 * (seeds.end - seeds.start)) as f64;
                }
            }
        }
    }
    for (scorer, [double, half, harmonic]) in &sums {
        println!("  {scorer:<26} {double:>16.3} {half:>16.3} {harmonic:>16.3}");
    }
    for (column, floor) in [[0.95; 2], [0.80, 0.76], [0.75; 2]].into_iter().enumerate() {
        floors.at_least(&format!("scatter-only fault {}: AUPRC", column + 1), sums[0].1[column], floor);
    }
}

#[derive(Clone, Copy)]
enum Fault {
    Spread(f64),
    Harmonic,
}

/// Sound stretches of real machines, and a made-up one.
fn recordings(data: &Path, seed: u64) -> Vec<Series> {
    let pump = sets::skab_sound(data);
    let stretch = |from: usize| Series {
        rows: pump.rows[from..from + 1600].to_vec(),
        times: (0..1600).map(second).collect(),
        labels: vec![false; 1600],
        calibrate: 800,
        ..pump.clone()
    };
    vec![stretch(0), stretch(4000), stretch(7000), walking(seed)]
}

/// Eight channels that follow two slow walks, with noise of their own.
fn walking(seed: u64) -> Series {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut noise = move || normal(&mut random);
    let mut walks = [0.0f64; 2];
    let rows: Vec<Vec<f64>> = (0..1600)
        .map(|_| {
            walks.iter_mut().for_each(|walk| *walk = 0.95 * *walk + 0.3 * noise());
            (0..8).map(|channel| walks[channel % 2] + 0.6 * noise()).collect()
        })
        .collect();
    let channels = (1..=8).map(|n| wheeltapper::acquisition::Name::from_recording(&format!("c{n}"))).collect();
    let times = (0..1600).map(second).collect();
    Series {
        name: "made-up walks".to_owned(),
        channels,
        rows,
        times,
        labels: vec![false; 1600],
        calibrate: 800,
        kind: None,
    }
}

fn judged(untouched: &Series, fault: Fault, seed: u64) -> Vec<(String, f64)> {
    let injected = inject(untouched, fault, seed);
    let (sound, faulty) = (untouched.score(), injected.score());
    // The first rows of a fault cannot show a spread yet.
    let after = SETTLING;
    let figure = |sound: &[f64], faulty: &[f64]| {
        let labels = [vec![false; sound.len() - after], vec![true; faulty.len() - after]].concat();
        auprc(&labels, &[&sound[after..], &faulty[after..]].concat())
    };
    let mut figures = vec![("wheeltapper".to_owned(), figure(&sound.scores, &faulty.scores))];
    for ((name, sound), (_, faulty)) in sound.parts.iter().zip(&faulty.parts) {
        figures.push((format!("  {name} alone"), figure(sound, faulty)));
    }
    for (sound, faulty) in super::baseline::baselines(untouched, 1).iter().zip(super::baseline::baselines(&injected, 2))
    {
        figures.push((sound.name.to_owned(), figure(&sound.scores, &faulty.scores)));
    }
    figures
}

/// The fault begins with the first row after the calibration.
fn inject(untouched: &Series, fault: Fault, seed: u64) -> Series {
    let mut series = untouched.clone();
    let mut random = ChaCha8Rng::seed_from_u64(1000 + seed);
    let mut noise = || normal(&mut random);
    let start = series.calibrate;
    let width = series.channels.len();
    // What a channel scatters from one row to the next, apart from slow movements.
    let scatter: Vec<f64> = (0..width)
        .map(|i| {
            let steps = series.rows[..start].windows(2).map(|pair| (pair[1][i] - pair[0][i]).powi(2));
            (steps.sum::<f64>() / (2 * (start - 1)) as f64).sqrt()
        })
        .collect();
    for (t, row) in series.rows[start..].iter_mut().enumerate() {
        match fault {
            Fault::Spread(variance) => {
                for i in (0..width).step_by(2) {
                    row[i] += scatter[i] * (variance - 1.0).sqrt() * noise();
                }
            }
            Fault::Harmonic => {
                let i = seed as usize % width;
                row[i] += 1.5 * scatter[i] * (std::f64::consts::TAU * t as f64 / 3.7).sin();
            }
        }
    }
    series
}

const FAULTS: [Fault; 3] = [Fault::Spread(4.0), Fault::Spread(1.5), Fault::Harmonic];
const SETTLING: usize = 100;
