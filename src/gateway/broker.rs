use crate::config::Config;
use crate::transport::{Credentials, LinkOptions, Tls};

/// What the broker is to be shown: a password, certificates.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub credentials: Option<Credentials>,
    pub tls: Option<Tls>,
}

/// How a client of this name reaches the broker that a configuration names.
pub fn broker_options(config: &Config, client_id: &str, access: Access) -> LinkOptions {
    let Access { credentials, tls } = access;
    let mqtt = &config.mqtt;
    LinkOptions { credentials, tls, ..LinkOptions::new(mqtt.host.clone(), mqtt.port, client_id) }
}
