//! Schedules: how the noise falls on the way from noise to data, one file each.
//!
//! A schedule is a function from time, 1 for noise and 0 for data, to a [`NoiseLevel`]. Any goes with any sampler, for a
//! denoiser is told the level and never the time.

mod cosine;
mod linear;
mod offset_cosine;

pub use cosine::Cosine;
pub use linear::Linear;
pub use offset_cosine::OffsetCosine;

use super::NoiseLevel;
use crate::models::ScheduleName;

/// How the noise falls.
pub trait Schedule {
    /// The level at a time from 1, noise, to 0, data.
    fn at(&self, time: f64) -> NoiseLevel;
}

/// The schedule of that name.
pub fn schedule(name: ScheduleName) -> &'static dyn Schedule {
    match name {
        ScheduleName::Linear => &Linear,
        ScheduleName::Cosine => &Cosine,
        ScheduleName::OffsetCosine => &OffsetCosine,
    }
}

/// The levels from noise to data that `steps` steps go through, equally far apart in the schedule's time: `steps + 1` of
/// them, of which the last is data.
pub fn levels(schedule: &dyn Schedule, steps: usize) -> Vec<NoiseLevel> {
    let times = (0..steps).map(|step| 1.0 - step as f64 / steps as f64);
    // At pure noise nothing can be said of the data from the noise that is in it.
    let noisy = times.map(|time| NoiseLevel::from_angle(schedule.at(time).angle().min(NOISIEST)));
    noisy.chain([NoiseLevel::DATA]).collect()
}

/// cos θ = 0.001.
const NOISIEST: f64 = std::f64::consts::FRAC_PI_2 - 0.001;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [ScheduleName; 3] = [ScheduleName::Linear, ScheduleName::Cosine, ScheduleName::OffsetCosine];

    proptest! {
        #[test]
        fn the_noise_falls_with_each_step_of_each_schedule(steps in 1usize..300) {
            for name in ALL {
                let levels = levels(schedule(name), steps);
                prop_assert_eq!(levels.len(), steps + 1);
                prop_assert!(levels.windows(2).all(|pair| pair[1] < pair[0]), "{:?}", levels);
                prop_assert_eq!(levels[steps], NoiseLevel::DATA);
            }
        }
    }

    #[test]
    fn each_schedule_starts_so_close_to_noise_that_nobody_could_tell() {
        for name in ALL {
            assert!(levels(schedule(name), 20)[0].signal() < 0.021, "{name:?}");
        }
    }
}
