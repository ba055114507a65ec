use super::{Condition, Layout};

/// Makes windows of synthetic telemetry, one after another, each going on where the one before ended.
pub trait Generator {
    /// What its windows are made of.
    fn layout(&self) -> &Layout;

    /// The next windows, one for each condition, rows by time: `[window][row * channels + channel]`, in the channels' units.
    fn windows(&mut self, conditions: &[Condition]) -> Result<Vec<Vec<f64>>, GenerationError>;
}

/// A generator that failed although whatever it was made of was found good.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    #[error("the network failed: {0}")]
    Network(String),
    #[error(
        "the generator gave a value that is no number in channel {channel}; its package does not suit this condition"
    )]
    NotFinite { channel: String },
}
