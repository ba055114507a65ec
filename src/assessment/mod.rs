//! Health assessment (ISO 13374 HA): one score's contributions and a table of symptoms come in, a diagnosis goes out:
//! the faults that these symptoms speak for, each with a probability, or none.
//!
//! This room knows signs and weights, and never a word of text: what to tell people about a fault is the business of
//! the advisory room, which also builds the table.

mod diagnosis;
mod symptoms;
mod verdict;

pub use diagnosis::{Diagnosis, FaultProbability, diagnose};
pub use symptoms::{FaultSymptoms, Signature, Symptom, SymptomTable};
pub use verdict::{Verdict, VerdictError};
