use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::windows::WindowSet;

/// Mean absolute logarithm of the ratio of two power spectra, over channels and frequencies above 0: 0.1 is ten per cent.
pub(super) fn log_ratio(one: &[Vec<f64>], other: &[Vec<f64>]) -> f64 {
    let ratios: Vec<f64> = one
        .iter()
        .zip(other)
        .flat_map(|(one, other)| {
            let least = LEAST * other.iter().sum::<f64>();
            let ratio = move |(a, b): (&f64, &f64)| ((a + least) / (b + least)).ln().abs();
            one.iter().zip(other).filter(move |_| least > 0.0).map(ratio)
        })
        .collect();
    ratios.iter().sum::<f64>() / ratios.len().max(1) as f64
}

/// Energy in the upper half of the frequencies, over that of another set: the geometric mean over channels; 1 is ideal.
pub(super) fn high_frequency_ratio(one: &[Vec<f64>], other: &[Vec<f64>]) -> f64 {
    let upper = |power: &[f64]| power[power.len() / 2..].iter().sum::<f64>();
    let logs: Vec<f64> = one
        .iter()
        .zip(other)
        .filter_map(|(one, other)| {
            let least = LEAST * other.iter().sum::<f64>();
            (least > 0.0).then(|| ((upper(one) + least) / (upper(other) + least)).ln())
        })
        .collect();
    (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp()
}

/// Per channel the mean periodogram of its windows, each less its own mean, at the frequencies 1/L, 2/L, …, 1/2 of a
/// window of L rows; in squared units of the channel.
pub(super) fn of(set: &WindowSet) -> Vec<Vec<f64>> {
    let (width, rows) = (set.channels.len(), set.rows);
    let transform = FftPlanner::new().plan_fft_forward(rows);
    let spectrum = |channel: usize| {
        let mut power = vec![0.0; (rows / 2).max(1)];
        for window in &set.windows {
            let values = || window.values.iter().skip(channel).step_by(width);
            let mean = values().sum::<f64>() / rows as f64;
            let mut wave: Vec<Complex<f64>> = values().map(|value| Complex::new(value - mean, 0.0)).collect();
            transform.process(&mut wave);
            for (power, wave) in power.iter_mut().zip(&wave[1..]) {
                *power += wave.norm_sqr() / (rows * set.windows.len()) as f64;
            }
        }
        power
    };
    (0..width).map(spectrum).collect()
}

/// Of a channel's whole power: less than this at one frequency is rounding.
const LEAST: f64 = 1e-9;
