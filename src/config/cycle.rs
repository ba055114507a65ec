use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::detection::{LoadCycle, Rhythm};
use crate::machine::CalibrationLength;
use crate::notation::{parse_duration, show_duration};

/// `cycle = "60s"` or `cycle = false`, of a machine or its kind.
pub(super) fn some_cycle<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LoadCycle>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected how long the load cycle lasts, e.g. \"60s\", or false if there is none")]
    enum Either {
        Is(bool),
        Lasts(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Is(false) => Ok(Some(LoadCycle::Never)),
        Either::Is(true) => Err(de::Error::custom(
            "cycle is true; leave it out and it is looked for, or say how long it lasts, e.g. \"60s\"",
        )),
        Either::Lasts(text) => parse_duration(&text).map(LoadCycle::Lasts).map(Some).map_err(de::Error::custom),
    }
}

/// Why a cycle cannot be judged at a cadence, if it cannot.
pub(super) fn wrong_cycle(cycle: LoadCycle, cadence: Duration) -> Option<String> {
    let LoadCycle::Lasts(length) = cycle else { return None };
    let (shortest, longest) = Rhythm::bounds(cadence);
    (!(shortest..=longest).contains(&length)).then(|| {
        format!(
            "lasts {}; at a cadence of {} expected {} to {}",
            show_duration(length),
            show_duration(cadence),
            show_duration(shortest),
            show_duration(longest)
        )
    })
}

/// Why a calibration does not show a cycle often enough, if it does not.
pub(super) fn too_short(calibration: CalibrationLength, cycle: LoadCycle, cadence: Duration) -> Option<String> {
    let LoadCycle::Lasts(length) = cycle else { return None };
    let needed = Rhythm::shortest_calibration(length);
    let span = match calibration {
        CalibrationLength::Samples(samples) => cadence * u32::try_from(samples).unwrap_or(u32::MAX),
        CalibrationLength::Span(span) => span,
    };
    (span < needed).then(|| {
        let [length, span, needed] = [length, span, needed].map(show_duration);
        format!(
            "lasts {length}, and the calibration only {span}; five cycles are needed, so calibrate = \"{needed}\" or more"
        )
    })
}
