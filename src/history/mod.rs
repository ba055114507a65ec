//! History: what people found at their machines comes in, verdict by verdict, and stands in a file that anyone may read.
//!
//! The format stands in `FORMAT.md` beside this file. This room judges nothing and changes nothing that was written.

mod journal;
mod record;

pub use journal::{Journal, JournalError};
pub use record::{PlaybookIdentity, Record};
