//! Generation: a seed and a machine's conditions come in, synthetic telemetry goes out, endless and without seams.
//!
//! A [`Generator`] makes windows of a machine, each going on where the one before ended. This room knows neither the
//! daemon nor any socket.

mod between;
mod condition;
pub mod constraints;
mod counterpart;
pub mod descent;
mod filling;
pub mod fitted;
pub mod format;
pub mod forward;
mod generator;
pub mod injection;
mod known;
mod layout;
mod learned;
mod level;
mod lineage;
mod message;
pub mod noise;
pub(crate) mod normal;
mod prediction;
pub mod quality;
pub mod sampler;
pub mod schedule;
mod series;
mod template;

pub use between::Between;
pub use condition::{Choice, Condition, ConditionError, Request};
pub use counterpart::{Counterpart, CounterpartError};
pub use filling::Filling;
pub use generator::{GenerationError, Generator};
pub use known::{Known, KnownError};
pub use layout::{Label, Layout, LayoutChannel};
pub use learned::{Descent, LearnedGenerator};
pub use level::NoiseLevel;
pub use lineage::{Asked, KnownFile, Lineage, Maker, TaughtBy, Way};
pub use message::{telemetry, truth};
pub use prediction::guide;
pub use series::{Course, Series, SeriesRow};
pub use template::{Defect, Rig, TemplateError};
