//! Advisory generation (ISO 13374 AG): a diagnosis with its contributions comes in, a recommendation goes out, put
//! together from a playbook sentence by sentence, each with what it rests on.
//!
//! This room never states a fact without a source, never names a cause that the diagnosis did not, never lets a step
//! into the machine stand without lockout before it, and never opens a file: it is handed the texts of playbooks and
//! refuses, with file and line, what its linter finds.

mod citation;
mod document;
mod error;
mod facts;
mod library;
mod lockout;
mod number;
mod playbook;
mod recommendation;
mod render;
mod sentence;
mod source;
mod templates;
mod trial;
mod view;

pub use error::{Defect, PlaybookError, Rule};
pub use facts::{LockoutFacts, MachineFacts};
pub use library::{Library, PlaybookFile};
pub use playbook::Playbook;
pub use recommendation::{Part, Recommendation, Source, Step};
