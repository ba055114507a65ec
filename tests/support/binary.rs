//! Runs the built binary as a user would and keeps what it told.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// What the binary told, and how it ended.
pub struct Told {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `wheeltapper` with these arguments to its end, with no more memory than a gateway can spare.
pub fn wheeltapper<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Told {
    let mut command = Command::new("sh");
    let command = command.args(["-c", LIMITED, env!("CARGO_BIN_EXE_wheeltapper")]).args(arguments);
    let command = command.stdin(Stdio::null()).env("NO_COLOR", "1").env_remove("RUST_LOG");
    let output = command.output().expect("the binary was built with the tests");
    let text = |bytes| String::from_utf8(bytes).expect("what it tells is UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    let code = output.status.code().unwrap_or_else(|| panic!("{} ended it: {err}", output.status));
    Told { code, out, err }
}

/// In KiB of addresses.
const LIMITED: &str = "ulimit -v 4194304 && exec \"$0\" \"$@\"";
