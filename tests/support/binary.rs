//! Runs the built binary as a user would and keeps what it told.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// What the binary told, and how it ended.
pub struct Told {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `wheeltapper` with these arguments to its end.
pub fn wheeltapper<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
    let command = command.args(arguments).stdin(Stdio::null()).env("NO_COLOR", "1").env_remove("RUST_LOG");
    let output = command.output().expect("the binary was built with the tests");
    Told {
        code: output.status.code().expect("it exits, no signal ends it"),
        out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
    }
}
