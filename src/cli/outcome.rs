use std::process::ExitCode;

use crate::config::ConfigError;

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

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(error)
    }
}

/// Prints a failure where it belongs and gives the contract's exit code.
pub(super) fn exit_code(outcome: Outcome) -> ExitCode {
    let (message, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => (message, 1),
        Err(Failure::Usage(message)) => (message, 2),
        Err(Failure::Config(message)) => (message, 78),
    };
    eprintln!("wheeltapper: {message}");
    ExitCode::from(code)
}
