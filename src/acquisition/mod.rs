//! Data acquisition (ISO 13374 DA): a topic and the bytes of one message come in, the readings of named channels go out.
//!
//! One file a payload format. A decoder writes each reading straight into a [`Sink`], so that no list of readings is
//! ever built. This room never knows what a machine looked like before, and never knows MQTT.

mod json;
mod name;
mod rejection;
mod stamp;
mod topic;
mod value;

pub use json::decode_json;
pub use name::{Name, NameError};
pub use rejection::{Rejection, Rejections};
pub use stamp::{parse_stamp, stamp_from_number};
pub use topic::{Captures, PatternError, TopicPattern};
pub use value::decode_value;

use serde::Deserialize;

/// How the payloads of an input are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One flat JSON object of numbers with an optional `time`.
    Json,
    /// One bare number; the channel's name stands in the topic.
    Value,
}

/// Where a decoder puts what it reads.
pub trait Sink {
    /// One channel's reading; `None` where the sender says that there is no value.
    fn reading(&mut self, channel: &str, value: Option<f64>) -> Result<(), Rejection>;
}
