use fearless_simd::{f32x16, prelude::*};

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::models) enum Function {
    Sigmoid,
    Tanh,
    Silu,
    /// With the error function.
    Gelu,
    /// With tanh in its place.
    GeluByTanh,
    Exp,
    Erf,
    LeakyRelu(f32),
    HardSwish,
    Square,
    Cube,
    Inverse,
    Negative,
    Absolute,
}

impl Function {
    /// Whether it has a value everywhere, also where nothing stands.
    pub fn finite(self) -> bool {
        self != Self::Inverse
    }

    /// Never far from the exact value by more than 5e-7, or that share of it where it is large.
    #[inline(always)]
    pub fn of<S: Simd>(self, simd: S, x: f32x16<S>) -> f32x16<S> {
        match self {
            Self::Sigmoid => sigmoid(simd, x),
            Self::Tanh => tanh(simd, x),
            Self::Silu => x * sigmoid(simd, x),
            Self::Gelu => x * 0.5 * (erf(simd, x * std::f32::consts::FRAC_1_SQRT_2) + 1.0),
            Self::GeluByTanh => {
                let inner = x * x * x * 0.044715 + x;
                x * 0.5 * (tanh(simd, inner * ROOT_2_OVER_PI) + 1.0)
            }
            Self::Exp => exp(simd, x),
            Self::Erf => erf(simd, x),
            Self::LeakyRelu(slope) => x.max(0.0) + x.min(0.0) * slope,
            Self::HardSwish => x * (x * (1.0 / 6.0) + 0.5).min(1.0).max(0.0),
            Self::Square => x * x,
            Self::Cube => x * x * x,
            Self::Inverse => f32x16::splat(simd, 1.0) / x,
            Self::Negative => -x,
            Self::Absolute => x.abs(),
        }
    }
}

#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
    f32x16::splat(simd, 1.0) / (exp(simd, -x) + 1.0)
}

#[inline(always)]
fn tanh<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
    f32x16::splat(simd, 1.0) - f32x16::splat(simd, 2.0) / (exp(simd, x + x) + 1.0)
}

/// Abramowitz and Stegun, Handbook of Mathematical Functions (1964), formula 7.1.26.
#[inline(always)]
fn erf<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
    let positive = x.abs();
    let t = f32x16::splat(simd, 1.0) / (positive * 0.327_591_1 + 1.0);
    let mut sum = f32x16::splat(simd, 1.061_405_4);
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = sum.mul_add(t, coefficient);
    }
    (f32x16::splat(simd, 1.0) - sum * t * exp(simd, -(x * x))).copysign(x)
}

/// 2 to the power of a whole number, which is written into the exponent, times a Taylor series around zero.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
    let x = x.min(LARGEST_POWER).max(-LARGEST_POWER);
    // Adding so large a number leaves the whole part in the lowest bits.
    let shifted = x.mul_add(std::f32::consts::LOG2_E, WHOLE);
    let whole = shifted - WHOLE;
    let rest = whole.mul_add(-LN_2_HIGH, x);
    let rest = whole.mul_add(-LN_2_LOW, rest);
    let mut sum = f32x16::splat(simd, 1.0 / 5040.0);
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        sum = sum.mul_add(rest, 1.0 / factorial);
    }
    sum * f32x16::from_bits((shifted.to_bits() << 23) + ONE_BITS)
}

/// √(2/π).
const ROOT_2_OVER_PI: f32 = 0.797_884_6;
/// Beyond it an f32 has no room for the power, or none for one over it.
const LARGEST_POWER: f32 = 87.0;
/// 1.5 · 2²³, where numbers lie 1 apart.
const WHOLE: f32 = 12_582_912.0;
/// ln 2 in two parts, the first with so few bits that its multiples are exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// The bits of 1.0.
const ONE_BITS: u32 = 127 << 23;
