//! Recordings that a test makes up: a machine with a load cycle that all of its channels follow, and some noise.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A recording that is still numbers.
#[derive(Clone)]
pub struct MadeUp {
    pub times: Vec<String>,
    pub channels: Vec<String>,
    /// Row by row; NaN where there is no value.
    pub rows: Vec<Vec<f64>>,
}

/// How a recording is written down.
#[derive(Clone, Copy)]
pub struct Notation {
    pub separator: char,
    pub decimal: char,
}

pub const USUAL: Notation = Notation { separator: ',', decimal: '.' };

impl MadeUp {
    /// The same machine for the same numbers.
    pub fn new(channels: usize, cadence: SignedDuration, rows: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(channels as u64);
        let start: Timestamp = "2026-03-01T00:00:00Z".parse().expect("a time");
        let times =
            (0..rows).map(|row| (start + cadence * i32::try_from(row).expect("few rows")).to_string()).collect();
        let gains: Vec<f64> = (0..channels).map(|_| random.random_range(0.2..1.5)).collect();
        let values = |row: usize| {
            let load = (row as f64 * std::f64::consts::TAU / 40.0).sin();
            let noise = |random: &mut ChaCha8Rng| (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
            let value =
                |(channel, gain): (usize, &f64)| 5.0 * (channel + 1) as f64 + gain * load + 0.5 * noise(&mut random);
            gains.iter().enumerate().map(value).collect()
        };
        Self {
            times,
            channels: (1..=channels).map(|n| format!("ch{n:02}")).collect(),
            rows: (0..rows).map(values).collect(),
        }
    }

    /// Writes it down.
    pub fn text(&self, Notation { separator, decimal }: Notation) -> String {
        let mut text = format!("time{separator}{}\n", self.channels.join(&separator.to_string()));
        for (time, row) in self.times.iter().zip(&self.rows) {
            text += time;
            for value in row {
                text.push(separator);
                if !value.is_nan() {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{}", format!("{value:.4}").replace('.', &decimal.to_string()));
                }
            }
            text.push('\n');
        }
        text
    }
}
