use super::forward::renoised;
use super::sampler::{Sampler, Step};
use super::{GenerationError, NoiseLevel};

/// Says which data lie beneath windows at a level; `[windows, C, L]` in and out.
pub type Data<'a> = dyn FnMut(&[f32], NoiseLevel) -> Result<Vec<f32>, GenerationError> + 'a;

/// Gives standard normal noise of the size of all windows, for the step of that number.
pub type Fresh<'a> = dyn FnMut(usize) -> Result<Vec<f32>, GenerationError> + 'a;

/// Takes windows from noise to data through the levels, which are one more than the steps and of which the last has no noise.
pub fn descend(
    levels: &[NoiseLevel],
    sampler: &mut dyn Sampler,
    mut x: Vec<f32>,
    data: &mut Data<'_>,
    fresh: &mut Fresh<'_>,
) -> Result<Vec<f32>, GenerationError> {
    for (number, pair) in levels.windows(2).enumerate() {
        take(Step { from: pair[0], to: pair[1] }, sampler, &mut x, data, &mut || fresh(number))?;
    }
    Ok(x)
}

/// The same with each step taken `times` over: after all but the last the noise of the step is put back. What `data` holds
/// fixed has so time to bring the rest into accord (Lugmayr et al., "RePaint", CVPR 2022, algorithm 1).
pub fn descend_in_accord(
    levels: &[NoiseLevel],
    times: usize,
    mut x: Vec<f32>,
    (data, fresh): (&mut Data<'_>, &mut Fresh<'_>),
    start: &dyn Fn() -> Box<dyn Sampler>,
) -> Result<Vec<f32>, GenerationError> {
    // A method of several steps remembers what it saw; a step that goes back has no such past.
    for (number, pair) in levels.windows(2).enumerate() {
        let step = Step { from: pair[0], to: pair[1] };
        let last = step.to == NoiseLevel::DATA;
        for round in (0..if last { 1 } else { times.max(1) }).rev() {
            take(step, &mut *start(), &mut x, data, &mut || fresh(number))?;
            if round > 0 {
                x = renoised(&x, &fresh(number)?, step.to, step.from);
            }
        }
    }
    Ok(x)
}

/// The noise that windows come from: the way of DDIM without fresh noise, backwards (Song et al., ICLR 2021, section 4.3).
///
/// Along the angle x moves with the velocity v = (α·x − x_0) / σ; each step is made by the midpoint rule.
pub fn invert(levels: &[NoiseLevel], mut x: Vec<f32>, data: &mut Data<'_>) -> Result<Vec<f32>, GenerationError> {
    let mut moved = |x: &[f32], by: f64, (point, at): (&[f32], NoiseLevel)| -> Result<Vec<f32>, GenerationError> {
        let seen = data(point, at)?;
        let (signal, noise) = (at.signal() as f32, at.noise() as f32);
        let velocity = point.iter().zip(&seen).map(|(point, seen)| (signal * point - seen) / noise);
        Ok(x.iter().zip(velocity).map(|(x, velocity)| x + by as f32 * velocity).collect())
    };
    for pair in levels.windows(2).rev() {
        let (noisier, level) = (pair[0].angle(), pair[1].angle());
        let middle = NoiseLevel::from_angle(0.5 * (noisier + level));
        // Without any noise nothing is known of its direction; the middle of the step stands for its start.
        let start = if level > 0.0 { pair[1] } else { middle };
        let half = moved(&x, middle.angle() - level, (&x, start))?;
        x = moved(&x, noisier - level, (&half, middle))?;
    }
    Ok(x)
}

fn take(
    step: Step,
    sampler: &mut dyn Sampler,
    x: &mut [f32],
    data: &mut Data<'_>,
    fresh: &mut dyn FnMut() -> Result<Vec<f32>, GenerationError>,
) -> Result<(), GenerationError> {
    let seen = data(x, step.from)?;
    sampler.step(step, x, &seen);
    let deviation = sampler.deviation(step);
    if deviation > 0.0 {
        for (x, noise) in x.iter_mut().zip(fresh()?) {
            *x += deviation as f32 * noise;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::noise::{stream, white};
    use crate::generation::sampler::{Ddim, Ddpm};
    use crate::generation::schedule::{Cosine, levels};

    /// Windows of one value, normal with the mean 1 and the variance 0.25.
    fn denoise(x: &[f32], level: NoiseLevel) -> Result<Vec<f32>, GenerationError> {
        let (a, s) = (level.signal() as f32, level.noise() as f32);
        let gain = a * 0.25 / (a * a * 0.25 + s * s);
        Ok(x.iter().map(|x| 1.0 + gain * (x - a)).collect())
    }

    #[test]
    fn descending_from_an_inverted_window_gives_it_back() {
        let levels = levels(&Cosine, 100);
        let windows = vec![0.2, 0.9, 1.0, 1.7];
        let noise = invert(&levels, windows.clone(), &mut denoise).unwrap();
        let mut none = |_: usize| -> Result<Vec<f32>, GenerationError> { Ok(Vec::new()) };
        let back = descend(&levels, &mut Ddim { eta: 0.0 }, noise, &mut denoise, &mut none).unwrap();
        assert!(back.iter().zip(&windows).all(|(a, b)| (a - b).abs() < 0.03), "{back:?}");
    }

    #[test]
    fn an_inverted_window_is_as_far_from_the_mean_of_noise_as_it_was_from_that_of_data() {
        let noise = invert(&levels(&Cosine, 300), vec![1.0, 1.5, 2.0], &mut denoise).unwrap();
        for (found, expected) in noise.iter().zip([0.0, 1.0, 2.0]) {
            assert!((found - expected).abs() < 0.05, "{noise:?}");
        }
    }

    #[test]
    fn steps_taken_several_times_over_keep_the_target() {
        let mut random = stream(4, 0);
        let start = white(&mut random, 20_000);
        let mut fresh = |_: usize| -> Result<Vec<f32>, GenerationError> { Ok(white(&mut random, 20_000)) };
        let x =
            descend_in_accord(&levels(&Cosine, 400), 3, start, (&mut denoise, &mut fresh), &|| Box::new(Ddpm)).unwrap();
        let mean = x.iter().sum::<f32>() / 20_000.0;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!((mean - 1.0).abs() < 0.02 && (variance - 0.25).abs() < 0.02, "{mean} {variance}");
    }
}
