//! Constraints: what a machine's values can never be comes in, violations are counted over rows of values and repaired.
//!
//! Values come as any [`Table`], so that a recording and a generated window are judged alike. This room draws no random
//! numbers and knows no file.

mod bound;
mod rules;

pub use bound::{Bound, Broken, Columns, Rows, Table};
pub use rules::{Constraints, Direction, Rule, Side, UnknownChannel};
