use serde::{Deserialize, Serialize};

/// The newest value of a channel that could be believed: it stands in for one that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    value: f64,
    /// Samples since.
    age: u32,
}

impl Held {
    pub const NOTHING: Self = Self { value: f64::NAN, age: 0 };

    /// Takes the newest value, if there is one that can be believed, and gives what stands for it.
    pub fn take(&mut self, believed: Option<f64>) -> f64 {
        *self = match believed {
            Some(value) => Self { value, age: 0 },
            None => Self { age: self.age.saturating_add(1), ..*self },
        };
        if self.age > HOLD { f64::NAN } else { self.value }
    }
}

/// For so many samples a channel's newest value stands in for one that is missing.
const HOLD: u32 = 10;
