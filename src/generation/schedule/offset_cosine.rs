use super::Schedule;
use crate::generation::NoiseLevel;

/// An angle that grows evenly from a signal of 0.95 to one of 0.02, without the ends where there is little to learn or
/// nothing to see (Béres, "Denoising Diffusion Implicit Models", Keras examples, 2022). The last step goes from a signal
/// of 0.95 straight to the data.
pub struct OffsetCosine;

impl Schedule for OffsetCosine {
    fn at(&self, time: f64) -> NoiseLevel {
        let (first, last) = (CLEAREST.acos(), NOISIEST.acos());
        NoiseLevel::from_angle(first + time * (last - first))
    }
}

const CLEAREST: f64 = 0.95;
const NOISIEST: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reaches_neither_end() {
        assert!((OffsetCosine.at(0.0).signal() - 0.95).abs() < 1e-12);
        assert!((OffsetCosine.at(1.0).signal() - 0.02).abs() < 1e-12);
    }
}
