use std::time::Duration;

use serde::Deserialize;

use crate::acquisition::Name;
use crate::notation::some_duration;

/// One `[[twin]]`: synthetic telemetry beside a running machine's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwinKeys {
    pub machine: Name,
    /// A package that generates; left out: the generator that is fitted to the machine's own calibration.
    pub model: Option<Name>,
    /// The condition that the package is to show, `NAME=LEVEL,…`; labels that it does not name are healthy.
    pub label: Option<String>,
    /// At most one row in this time; left out: a row for each of the machine's.
    #[serde(default, deserialize_with = "some_duration")]
    pub every: Option<Duration>,
    #[serde(default)]
    pub seed: u64,
}
