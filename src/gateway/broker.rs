use crate::config::Config;
use crate::transport::{Credentials, LinkOptions};

/// How a client of this name reaches the broker that a configuration names.
pub fn broker_options(config: &Config, client_id: &str, password: Option<String>) -> LinkOptions {
    let mqtt = &config.mqtt;
    let credentials =
        mqtt.username.clone().map(|username| Credentials { username, password: password.unwrap_or_default() });
    LinkOptions { credentials, ..LinkOptions::new(mqtt.host.clone(), mqtt.port, client_id) }
}
