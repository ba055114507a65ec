//! The gateway's configuration.

use wheeltapper::acquisition::Name;
use wheeltapper::config::Config;
use wheeltapper::machine::{Machine, Profile};

use crate::bench;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text, "w.toml") {
        Ok(config) => {
            assert!(!config.inputs.is_empty() && !config.mqtt.host.is_empty() && config.mqtt.port > 0);
            let unlisted = Name::parse("unlisted").expect("a name");
            for name in config.machines.iter().map(|(name, _)| name).chain([&unlisted]).take(8) {
                machine_of(&config, name);
            }
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("w.toml") && told.len() < 4000, "{told}");
        }
    }
}

/// What the gateway makes of the keys of one machine.
fn machine_of(config: &Config, name: &Name) {
    let keys = config.machine(name);
    let profile = Profile {
        calibrate: keys.calibration_length(),
        cadence: keys.cadence,
        delays: config.delays,
        operating_point: keys.alarm_profile.unwrap_or(config.operating_point),
        cycle: keys.cycle.unwrap_or_default(),
        false_alarms_per_day: config.false_alarms_per_day,
        running: keys.running,
        maintenance: config.maintenance.clone(),
        ..bench::universal()
    };
    let machine = Machine::learning(name.clone(), profile);
    assert!(machine.state().starts_with("learning 0/"));
}
