//! `wheeltapper`: the command line of the house. See the library's documentation for the map.

use std::process::ExitCode;

use clap::Parser;
use wheeltapper::cli::Command;

fn main() -> ExitCode {
    Command::parse().run()
}
