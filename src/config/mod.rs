//! The gateway's TOML file and the kinds' profiles: text comes in, values that cannot be wrong go out, or an error that
//! says where, what was found, what was expected and which key was probably meant.
//!
//! Nothing here opens a file that a configuration names; that is for those who use it.

mod alarm;
mod cycle;
mod gateway;
mod kind;
mod place;
mod twin;

pub use gateway::{CalibrateKey, Config, InputKeys, MachineKeys, MqttKeys, TlsKeys, parse_prefix};
pub use kind::{Kind, shipped_kind, shipped_kinds};
pub use place::Place;
pub use twin::TwinKeys;
