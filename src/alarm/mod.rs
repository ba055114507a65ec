//! State detection (ISO 13374 SD): scores, commands and what excuses a machine come in, transitions of an ISA-18.2 life
//! cycle go out, with the measures of how they do as a system ([`Performance`]).
//!
//! This room knows neither MQTT nor payloads, and no clock but the one that it is handed.

mod condition;
mod lifecycle;
mod operation;
mod performance;
mod suppression;
mod transition;

pub use condition::{Condition, ConditionMemory, ConditionSettings};
pub use lifecycle::{Action, Alarm, AlarmMemory, AlarmSettings, Deed, Deficiency, Refusal, ShelfLife, Standing};
pub use operation::{MaintenanceWindow, Operation, RunningRule};
pub use performance::{Flood, Performance, Report, Verdict};
pub use suppression::{Excuse, Suppression};
pub use transition::{Class, Severity, State, Transition};
