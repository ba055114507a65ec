use std::f64::consts::FRAC_PI_2;

/// How much noise there is in a window: an angle θ, so that signal is cos θ and noise sin θ and their squares sum to 1.
///
/// 0 is pure data, π/2 pure noise. The angle is what all schedules have in common, whatever they call their time; "v" is
/// what turns x along it (Salimans and Ho, ICLR 2022, appendix D).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct NoiseLevel(f64);

impl NoiseLevel {
    /// No noise at all.
    pub const DATA: Self = Self(0.0);

    /// Held within data and noise.
    pub fn from_angle(angle: f64) -> Self {
        Self(angle.clamp(0.0, FRAC_PI_2))
    }

    /// The level whose signal has this amplitude, 0 to 1: √ᾱ in the notation of Ho et al., NeurIPS 2020.
    pub fn from_signal(signal: f64) -> Self {
        Self::from_angle(signal.clamp(0.0, 1.0).acos())
    }

    pub fn angle(self) -> f64 {
        self.0
    }

    /// What a denoiser is told: the angle as a share of the whole way from data to noise.
    pub fn share(self) -> f32 {
        (self.0 / FRAC_PI_2) as f32
    }

    /// α: the amplitude of the signal.
    pub fn signal(self) -> f64 {
        self.0.cos()
    }

    /// σ: the amplitude of the noise.
    pub fn noise(self) -> f64 {
        self.0.sin()
    }

    /// λ = ln(α/σ), half the logarithm of the signal-to-noise ratio; infinite where there is no noise.
    pub fn lambda(self) -> f64 {
        -self.0.tan().ln()
    }
}
