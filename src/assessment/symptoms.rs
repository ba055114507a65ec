use crate::acquisition::Name;
use crate::detection::Direction;

/// The faults that a machine may have and how each shows itself: its sign table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SymptomTable {
    pub faults: Vec<FaultSymptoms>,
}

/// One fault and how it shows itself.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSymptoms {
    /// The fault's id, which is the name of its playbook.
    pub fault: String,
    pub signature: Signature,
}

/// How a fault shows itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Signature {
    /// By the direction in which certain channels leave their expected values.
    Channels(Vec<Symptom>),
    /// By one channel, whichever it is, that carries more than `share` of the score while its neighbours are quiet.
    OneChannel {
        /// Where the evidence begins, 0 to 1.
        share: f64,
        /// Evidence in nats when that channel carries everything.
        weight: f64,
    },
}

/// A direction in which a fault moves a channel. Several symptoms of one channel are alternatives.
#[derive(Clone, Debug, PartialEq)]
pub struct Symptom {
    pub channel: Name,
    pub direction: Direction,
    /// Evidence in nats when the channel carries a large share in this direction; above 0.
    pub weight: f64,
    /// Whether the fault is out of the question when the channel moves in a way that none of its symptoms allows.
    pub required: bool,
}
