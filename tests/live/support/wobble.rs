//! Telemetry of a machine that was made up: three channels that wobble about zero.

/// Rows as JSON objects, one a line, the channel `b` moved by so much.
pub fn lines(range: std::ops::Range<u64>, moved: f64) -> String {
    range
        .map(|t| format!("{{\"a\":{},\"b\":{},\"c\":{}}}\n", wobble(t, 1), wobble(t, 2) + moved, wobble(t, 3)))
        .collect()
}

/// Something between −1 and 1 that does not repeat soon.
pub fn wobble(t: u64, salt: u64) -> f64 {
    let mixed = (t + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(salt.wrapping_mul(0xBF58_476D_1CE4_E5B9));
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}
