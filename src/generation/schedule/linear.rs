use super::Schedule;
use crate::generation::NoiseLevel;

/// Noise that is added at a linearly rising rate: Ho et al., NeurIPS 2020, section 4, whose thousand betas from 1e-4 to
/// 0.02 are the rate from 0.1 to 20 of continuous time (Song et al., ICLR 2021, appendix C, equation 33).
pub struct Linear;

impl Schedule for Linear {
    fn at(&self, time: f64) -> NoiseLevel {
        NoiseLevel::from_signal((-0.25 * time * time * (HIGHEST - LOWEST) - 0.5 * time * LOWEST).exp())
    }
}

const LOWEST: f64 = 0.1;
const HIGHEST: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_product_of_the_thousand_betas() {
        let mut product = 1.0f64;
        for step in 0..1000 {
            product *= 1.0 - (1e-4 + (0.02 - 1e-4) * step as f64 / 999.0);
            if [99, 499, 799].contains(&step) {
                let here = Linear.at((step + 1) as f64 / 1000.0).signal();
                assert!((here / product.sqrt() - 1.0).abs() < 0.03, "{step}: {here} {}", product.sqrt());
            }
        }
    }
}
