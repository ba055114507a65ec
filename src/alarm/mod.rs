//! State detection (ISO 13374 SD): scores and commands come in, transitions of an ISA-18.2 life cycle go out.
//!
//! This room knows neither MQTT nor text, and no clock but the one that it is handed.

mod condition;
mod lifecycle;
mod transition;

pub use condition::{Condition, ConditionMemory, ConditionSettings};
pub use lifecycle::{Action, Alarm, AlarmMemory, AlarmSettings, Deed, Refusal, ShelfLife, Standing};
pub use transition::{Class, Severity, State, Transition};
