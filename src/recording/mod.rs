//! Recordings: a delimited file of telemetry comes in, its rows go out one by one, in order.
//!
//! It finds separator, header, time column and decimal comma by itself, reads plain and gzip files, and never needs the
//! whole file in memory. What a channel means is none of its business.

mod cell;
mod columns;
mod reader;

pub use columns::{Columns, ReadOptions};
pub use reader::{Recording, RecordingError, Row};
