use std::time::Duration;

use super::Condition;
use crate::acquisition::Name;

/// What the windows of a generator are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// In the order of a row.
    pub channels: Vec<LayoutChannel>,
    /// In the order of a [`Condition`]'s levels; none where the generator knows one condition only.
    pub labels: Vec<Label>,
    /// The time between two rows.
    pub cadence: Duration,
    /// Rows of a window.
    pub window: usize,
    /// The conditions that the generator has learned from, with their shares: what `any` draws from.
    pub seen: Vec<(Condition, f64)>,
}

/// One channel of a generator.
#[derive(Clone, Debug, PartialEq)]
pub struct LayoutChannel {
    pub name: Name,
    pub unit: String,
    /// Values are rounded to a multiple of it.
    pub resolution: f64,
    /// The physical bounds, within which values are held.
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// One component's condition, by level.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub name: Name,
    pub unit: String,
    /// Healthy first, then worse and worse; never empty.
    pub levels: Vec<f64>,
}

impl Layout {
    /// All components as new.
    pub fn healthy(&self) -> Condition {
        Condition { levels: self.labels.iter().map(|label| label.levels[0]).collect() }
    }
}

impl LayoutChannel {
    /// The value as the channel would show it: within its bounds, in steps of its resolution.
    pub fn shown(&self, value: f64) -> f64 {
        let held = value.clamp(self.low.unwrap_or(f64::NEG_INFINITY), self.high.unwrap_or(f64::INFINITY));
        // Dividing by the number of steps in one unit gives the shortest decimal, multiplying by the step often does not.
        let steps = (1.0 / self.resolution).round();
        if (steps * self.resolution - 1.0).abs() < 1e-9 {
            (held * steps).round() / steps + 0.0
        } else {
            (held / self.resolution).round() * self.resolution + 0.0
        }
    }
}

impl Label {
    /// Whether the level lies between the outermost ones.
    pub fn spans(&self, level: f64) -> bool {
        let (low, high) = self.range();
        low <= level && level <= high
    }

    /// The least and the largest level.
    pub fn range(&self) -> (f64, f64) {
        let least = self.levels.iter().copied().fold(f64::INFINITY, f64::min);
        (least, self.levels.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_in_the_shortest_steps_of_its_resolution_and_within_its_bounds() {
        let channel = |resolution| LayoutChannel {
            name: Name::parse("CE").expect("a name"),
            unit: "%".to_owned(),
            resolution,
            low: Some(0.0),
            high: Some(100.0),
        };
        assert_eq!(channel(0.001).shown(47.123_49).to_string(), "47.123");
        assert_eq!(channel(0.1).shown(0.25 + 0.05).to_string(), "0.3");
        assert_eq!(channel(5.0).shown(47.1), 45.0);
        assert_eq!(channel(0.001).shown(-3.0), 0.0);
        assert_eq!(channel(0.001).shown(130.0), 100.0);
    }
}
