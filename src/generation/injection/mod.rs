//! Injection: a recording's values and a plan come in; the values with labelled anomalies and the order in which its rows
//! arrive go out.
//!
//! Every event keeps its own label, however many overlap. What lies outside of events is left alone, a missing value stays
//! missing, and each event draws from a stream of random numbers of its own, so that leaving one out changes no other.
//! This room reads and writes no file.
//!
//! The kinds are those of GutenTAG (Wenig, Schmidl, Papenbrock: TimeEval, PVLDB 15(12), 2022), carried over from made-up
//! base oscillations to any recording, and six that machines and their sensors have:
//!
//! | kind | within the span | `size` |
//! |---|---|---|
//! | `amplitude` | distances from the span's own mean are multiplied | factor |
//! | `extremum` | one row lies beyond the highest value (negative: the lowest) of the channel, or of `context` rows around | deviations |
//! | `frequency` | the recording runs at another speed | factor |
//! | `mean` | an offset | deviations |
//! | `pattern` | the shape is rammed, arctan(k z) / arctan(k): the same period, the same extremes, squarer | factor k |
//! | `pattern-shift` | what happens comes later (negative: earlier), pushed and pulled over `transition` rows | rows |
//! | `platform` | one level, so far from the channel's median; in its own unit, that level | deviations |
//! | `trend` | an offset that grows evenly from row to row up to the size | deviations |
//! | `variance` | noise, what is left of a moving mean, has so many times its variance | factor |
//! | `mode-correlation` | mirrored at the span's own mean: every correlation changes its sign | – |
//! | `stuck` | the value of the row before, again and again, so far off | deviations, 0 |
//! | `drift` | an offset that creeps up to the size in uneven steps and never back | deviations |
//! | `dropout` | no value | share of the rows |
//! | `spike-burst` | a share `rate` of the rows is off by the size, up or down | deviations |
//! | `clock-skew` | the clock runs fast (negative: slow), so that the span's last stamp is off by the size | seconds |
//! | `cross-channel-break` | a real stretch of the same channel from elsewhere, chosen to have least to do with what was there | – |
//!
//! Deviations are of the channel's own robust standard deviation; with `unit = "own"` they are in the channel's unit.

mod canvas;
mod clock;
mod course;
mod event;
mod kind;
#[cfg(test)]
mod kind_tests;
mod level;
mod outage;
mod placement;
mod plan;
mod resolve;
mod run;
mod shape;
mod spread;
mod transport;
mod truth;

pub use canvas::Canvas;
pub use event::{Details, Event, Unit};
pub use kind::Kind;
pub use placement::Lot;
pub use plan::{EventKeys, FaultKeys, Length, Mark, Names, Plan, RandomKeys, UnitKey};
pub use resolve::{Setting, Wrong, faults, lot, resolve};
pub use run::{Applied, Repair, inject};
pub use spread::Spread;
pub use transport::{Arrivals, Fault, FaultEvent, FaultKind, Flood, arrivals};
pub use truth::{EventLabel, Truth};
