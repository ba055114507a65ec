//! Generation: a seed and a machine's condition come in, synthetic telemetry goes out, endless and without seams.
//!
//! For now one honest generator: the mean load cycle of a real rig, additive effects of its components' conditions, and
//! noise with the memory that the rig's own has. This room knows neither the daemon nor any socket.

mod normal;
pub mod quality;
mod template;

pub use template::{Condition, Rig, TemplateError};
