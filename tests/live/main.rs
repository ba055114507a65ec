//! The built binary against real brokers: everything here starts what it needs on free ports of the loopback.

mod baseline;
mod commands;
mod doctor;
mod generated;
mod mosquitto_dropin;
mod oversight;
mod readme;
mod reload;
mod service;
mod shell;
mod tls;
mod twin;
mod whole_way;

mod support {
    pub mod broken_line;
    #[path = "../../support/certificates.rs"]
    pub mod certificates;
    pub mod gateway;
    pub mod mosquitto;
    #[path = "../../support/rig.rs"]
    pub mod rig;
    pub mod schema;
    pub mod wobble;
}
