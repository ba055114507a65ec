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
    let best = best_of(|| {
        black_box(widest_chains(black_box(0.999), black_box(1e-3)));
    });
    (STEPS * CHAINS * LANES) as f64 / best.as_secs_f64()
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

/// Multiply-adds with the widest registers of this processor, as the inference engine picks its kernels.
#[cfg(target_arch = "x86_64")]
fn widest_chains(factor: f32, term: f32) -> f32 {
    #[target_feature(enable = "avx512f")]
    fn in_512_bits(factor: f32, term: f32) -> f32 {
        chains::<true>(factor, term)
    }
    #[target_feature(enable = "avx2,fma")]
    fn in_256_bits(factor: f32, term: f32) -> f32 {
        chains::<true>(factor, term)
    }
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has just said that it can.
        unsafe { in_512_bits(factor, term) }
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has just said that it can.
        unsafe { in_256_bits(factor, term) }
    } else {
        chains::<false>(factor, term)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn widest_chains(factor: f32, term: f32) -> f32 {
    chains::<{ cfg!(target_arch = "aarch64") }>(factor, term)
}

/// Chains of dependent multiply-adds, enough of them that each unit always has one that is ready.
#[inline(always)]
fn chains<const FUSED: bool>(factor: f32, term: f32) -> f32 {
    let mut sums = [[term; LANES]; CHAINS];
    for _ in 0..STEPS {
        for lane in sums.iter_mut().flatten() {
            *lane = if FUSED { lane.mul_add(factor, term) } else { *lane * factor + term };
        }
    }
    sums.iter().flatten().sum()
}

const ROUNDS: usize = 25;
const STEPS: usize = 100_000;
/// Latency times units: 4 × 2, and a few to spare.
const CHAINS: usize = 12;
/// One register of 512 bits; two of 256 bits would not leave enough of them for all chains.
const LANES: usize = 16;
/// Larger than any cache that one core has for itself.
const COPIED: usize = 64 << 20;
