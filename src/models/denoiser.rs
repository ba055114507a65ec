/// A denoising network that follows one machine, column by column.
///
/// It may recompute a window, keep its layers' history, or anything between; who calls it cannot tell.
pub trait Denoiser: Send {
    /// Takes the newest scaled column, `[channels]`, and gives the column that a sound machine would have shown at the
    /// same time, `[channels]`; `None` until it has seen as many columns as one output depends on.
    fn push(&mut self, column: &[f32]) -> Result<Option<&[f32]>, InferenceError>;

    /// The columns that it would need to go on after a restart, `[time][channels]`, oldest first.
    fn memory(&self) -> Vec<f32>;

    /// Takes such columns back, in place of whatever it has seen.
    fn recall(&mut self, memory: &[f32]);

    /// Forgets every column.
    fn reset(&mut self);

    /// How it runs, as shown in `model inspect` and metrics.
    fn engine(&self) -> &'static str;
}

/// A network that failed on a column although its package was verified.
#[derive(Debug, thiserror::Error)]
#[error("the network failed on a column: {0}")]
pub struct InferenceError(pub String);
