//! Fuzz targets for everything that Wheeltapper takes from outside.
//!
//! A target takes any bytes and panics where a promise is broken. [`TARGETS`] is the whole list; `README.md` says how to
//! run them and how to add one. Where what comes from outside is a sequence, the input is a [`script`] of lines, so that
//! an input can be read and written in an editor.

mod alarm;
mod bench;
mod calibration;
mod command;
mod config;
mod disk;
mod history;
mod injection;
mod kind;
mod memories;
mod model;
mod outbox;
mod plant;
mod playbook;
mod recording;
mod scratch;
mod script;
mod stamp;
mod telemetry;
mod topic;
mod transport;

pub use bench::{calibration_seed, memories_seeds};

/// One way in from outside.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

pub const TARGETS: &[Target] = &[
    Target { name: "alarm", run: alarm::run },
    Target { name: "calibration", run: calibration::run },
    Target { name: "command", run: command::run },
    Target { name: "config", run: config::run },
    Target { name: "injection", run: injection::run },
    Target { name: "json", run: telemetry::json },
    Target { name: "kind", run: kind::run },
    Target { name: "memories", run: memories::run },
    Target { name: "model", run: model::run },
    Target { name: "outbox", run: disk::run },
    Target { name: "plant", run: plant::run },
    Target { name: "playbook", run: playbook::run },
    Target { name: "recording", run: recording::run },
    Target { name: "stamp", run: stamp::run },
    Target { name: "topic", run: topic::run },
    Target { name: "transport", run: transport::run },
    Target { name: "value", run: telemetry::value },
];
