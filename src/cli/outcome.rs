use std::io::{self, Write};
use std::process::ExitCode;

use crate::notation::TomlError;

/// How a command ended.
pub(super) type Outcome = Result<(), Failure>;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(super) enum Failure {
    /// It tried and failed, or a gate was not met.
    Failed(String),
    /// It was asked in a way that it does not understand.
    Usage(String),
    /// The configuration, or something that it names, cannot be used.
    Config(String),
}

impl Failure {
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    pub fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    pub fn config(error: impl std::fmt::Display) -> Self {
        Self::Config(error.to_string())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Failed(message) | Self::Usage(message) | Self::Config(message)) = self;
        f.write_str(message)
    }
}

impl From<TomlError> for Failure {
    fn from(error: TomlError) -> Self {
        Self::config(error)
    }
}

/// Prints a result. Whoever does not want to read on, as `head` does, is no failure; a full disk is.
pub(super) fn print(text: &str) -> Outcome {
    print_on(text).map(|_| ())
}

/// Prints one of many results; false when nobody reads on.
pub(super) fn print_on(text: &str) -> Result<bool, Failure> {
    let mut output = io::stdout().lock();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed(format_args!("cannot print the result: {error}"))),
    }
}

/// Prints a failure where it belongs and gives the contract's exit code.
pub(super) fn exit_code(outcome: Outcome) -> ExitCode {
    let usage = matches!(outcome, Err(Failure::Usage(_)));
    let (message, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => (message, 1),
        Err(Failure::Usage(message)) => (message, 2),
        Err(Failure::Config(message)) => (message, 78),
    };
    // Where even this cannot be said there is nobody to say it to.
    let _ = writeln!(io::stderr(), "wheeltapper: {message}");
    if usage {
        let _ = writeln!(io::stderr(), "\n{}", super::example());
    }
    ExitCode::from(code)
}
