//! Commands: the payload of one operator's command comes in, an [`Order`] goes out, or why it cannot be read; and the answer to
//! it, as the contract writes it.
//!
//! This room reads and answers. What an order does to an alarm is the alarm's own business.

mod ledger;
mod order;
mod reply;

pub use ledger::Ledger;
pub use order::{Finding, Order, OrderError, Verb, Wish};
pub use reply::Reply;
