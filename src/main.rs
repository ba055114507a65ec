//! `wheeltapper`: the command line of the house. See the library's documentation for the map.

use std::process::ExitCode;

use clap::Parser;
use wheeltapper::cli::{self, Command};

fn main() -> ExitCode {
    match Command::try_parse() {
        Ok(command) => command.run(),
        Err(error) => cli::explain(&error),
    }
}
