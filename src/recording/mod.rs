//! Recordings: a delimited file of telemetry comes in, its rows go out one by one, in order.
//!
//! It finds separator, header, time column and decimal comma by itself, reads plain and gzip files, and never needs the
//! whole file in memory. A [`Sheet`] is for whoever writes a file again with some cells amended. What a channel means is none of
//! its business.

mod cell;
mod columns;
mod reader;
mod sheet;
mod stamp;
mod tokens;

pub use columns::{Columns, ReadOptions};
pub use reader::{Recording, RecordingError, Row};
pub use sheet::{Amended, Column, Sheet};
pub use stamp::shifted_stamp;
