//! What one core can do at most, measured: the bounds that the other figures are read against.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The best of several rounds, each short.
pub struct Peak {
    /// Single-precision multiply-adds a second, from registers.
    pub multiply_adds: f64,
    /// Bytes copied a second, from memory to memory.
    pub copied: f64,
}

impl Peak {
    pub fn measure() -> Self {
        Self { multiply_adds: multiply_adds(), copied: copied() }
    }
}

/// The processor as it names itself.
pub fn processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

fn multiply_adds() -> f64 {
    let mut lanes = 0;
    let best = best_of(|| lanes = black_box(widest_chains()));
    (STEPS * CHAINS * lanes) as f64 / best.as_secs_f64()
}

fn copied() -> f64 {
    let source = vec![1u8; COPIED];
    let mut target = vec![2u8; COPIED];
    let best = best_of(|| black_box(&mut target).copy_from_slice(black_box(&source)));
    COPIED as f64 / best.as_secs_f64()
}

fn best_of(mut work: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(timed).min().unwrap_or_default()
}

/// Runs chains of multiply-adds in the widest registers that this processor has, as the inference engine picks its
/// kernels, and tells how many lanes each has.
#[cfg(target_arch = "x86_64")]
fn widest_chains() -> usize {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};

    #[target_feature(enable = "avx512f")]
    fn in_512_bits() {
        let (factor, term) = black_box((_mm512_set1_ps(0.999), _mm512_set1_ps(1e-3)));
        run_chains(term, |sum| _mm512_fmadd_ps(sum, factor, term));
    }
    #[target_feature(enable = "avx2,fma")]
    fn in_256_bits() {
        let (factor, term) = black_box((_mm256_set1_ps(0.999), _mm256_set1_ps(1e-3)));
        run_chains(term, |sum| _mm256_fmadd_ps(sum, factor, term));
    }
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has just said that it can.
        unsafe { in_512_bits() };
        16
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has just said that it can.
        unsafe { in_256_bits() };
        8
    } else {
        in_plain_code()
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn widest_chains() -> usize {
    in_plain_code()
}

/// What the compiler makes of it with the target's own registers, of 128 bits almost everywhere.
fn in_plain_code() -> usize {
    let (factor, term) = black_box(([0.999f32; 4], [1e-3f32; 4]));
    // Elsewhere a fused step may be a call into a library.
    let fused = cfg!(target_arch = "aarch64");
    let step = |sum: f32, lane: usize| match fused {
        true => sum.mul_add(factor[lane], term[lane]),
        false => sum * factor[lane] + term[lane],
    };
    run_chains(term, |[a, b, c, d]| [step(a, 0), step(b, 1), step(c, 2), step(d, 3)]);
    4
}

/// Chains whose steps each wait for the one before, enough of them that each unit always has one that is ready.
#[inline(always)]
fn run_chains<R: Copy>(start: R, step: impl Fn(R) -> R) {
    let mut sums = [start; CHAINS];
    for _ in 0..STEPS {
        for sum in &mut sums {
            *sum = step(*sum);
        }
    }
    black_box(sums);
}

const ROUNDS: usize = 25;
const STEPS: usize = 100_000;
/// Latency times units, 4 × 2, and a few to spare.
const CHAINS: usize = 12;
/// Larger than any cache that one core has for itself.
const COPIED: usize = 64 << 20;
