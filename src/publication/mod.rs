//! Publication: what a machine's samples led to comes in, topics and payloads of the public contract go out.
//!
//! One internal model; the native profile is the only one so far. This room knows neither sockets nor disks.

mod alarm;
mod baseline;
mod performance;
mod score;
mod stamp;
mod status;
mod topics;
mod twin;

pub use alarm::{AlarmPayload, Gateway};
pub use baseline::{BaselinePayload, CalibrationPayload, DoubtPayload};
pub use performance::{FloodPayload, PerformancePayload};
pub use score::{Judged, ScorePayload};
pub use stamp::show_stamp;
pub use status::{MachineDetails, MachineStatus, StatusPayload};
pub use topics::Topics;
pub use twin::{TwinGenerator, TwinPayload, TwinRow};
