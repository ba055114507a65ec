//! One target under libFuzzer, the one that `FUZZ_TARGET` names; `tests/fuzz/run` starts it.

#![no_main]

use std::sync::OnceLock;

use wheeltapper_fuzz::Target;

libfuzzer_sys::fuzz_target!(init: catch_nothing_early(), |data: &[u8]| (chosen().run)(data));

/// The engine ends the process at every panic, even at one of the inference engine that the crate turns into an error.
/// What is caught by nobody still ends the process.
fn catch_nothing_early() {
    drop(std::panic::take_hook());
}

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        wheeltapper_fuzz::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET is {name:?}, which is no target"))
    })
}
