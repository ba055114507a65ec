use rand::Rng;

use super::normal::uniform;
use super::{Label, Layout};

/// A machine's condition: one level for each label of the layout, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    pub levels: Vec<f64>,
}

/// What somebody asks for: a choice for each label, in the layout's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    choices: Vec<Choice>,
}

/// How one label is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    Level(f64),
    /// As often as in the conditions that the generator has learned from.
    Any,
}

/// Labels that the generator does not know.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConditionError {
    #[error("{text:?} is no label with its level, expected NAME=LEVEL, e.g. {example}")]
    Form { text: String, example: String },
    #[error("there is no label {name:?}; expected one of {known}")]
    Unknown { name: String, known: String },
    #[error("the label {name} stands twice")]
    Twice { name: String },
    #[error("{name}={found} is no level; expected a number from {low} to {high}, or any (learned levels: {levels})")]
    Level { name: String, found: String, low: f64, high: f64, levels: String },
    #[error("this generator knows one condition only, without labels")]
    None,
}

impl Request {
    /// All components as new.
    pub fn healthy(layout: &Layout) -> Self {
        Self { choices: layout.healthy().levels.into_iter().map(Choice::Level).collect() }
    }

    /// `NAME=LEVEL,NAME=any`; labels that are not named are healthy.
    pub fn parse(text: &str, layout: &Layout) -> Result<Self, ConditionError> {
        Self::healthy(layout).with(text, layout)
    }

    /// The same with other choices for the labels that the text names.
    pub fn with(mut self, text: &str, layout: &Layout) -> Result<Self, ConditionError> {
        let Some(first) = layout.labels.first() else { return Err(ConditionError::None) };
        let example = || format!("{}={}", first.name, first.levels.last().unwrap_or(&first.levels[0]));
        let mut named = vec![false; layout.labels.len()];
        for part in text.split(',').map(str::trim) {
            let form = || ConditionError::Form { text: part.to_owned(), example: example() };
            let (name, level) = part.split_once('=').ok_or_else(form)?;
            let (name, level) = (name.trim(), level.trim());
            let place = layout.labels.iter().position(|label| label.name.as_str() == name).ok_or_else(|| {
                let known: Vec<&str> = layout.labels.iter().map(|label| label.name.as_str()).collect();
                ConditionError::Unknown { name: name.to_owned(), known: known.join(", ") }
            })?;
            if std::mem::replace(&mut named[place], true) {
                return Err(ConditionError::Twice { name: name.to_owned() });
            }
            self.choices[place] = choice(level, &layout.labels[place])?;
        }
        Ok(self)
    }

    /// Whether it leaves anything to chance.
    pub fn is_open(&self) -> bool {
        self.choices.contains(&Choice::Any)
    }

    /// One condition as asked for. What is left to chance is drawn jointly from the learned conditions.
    pub fn draw(&self, layout: &Layout, random: &mut impl Rng) -> Condition {
        let drawn = self.is_open().then(|| draw_seen(layout, random));
        let levels = self.choices.iter().enumerate().map(|(place, choice)| match (choice, &drawn) {
            (Choice::Level(level), _) => *level,
            (Choice::Any, Some(drawn)) => drawn.levels[place],
            (Choice::Any, None) => layout.labels[place].levels[0],
        });
        Condition { levels: levels.collect() }
    }
}

impl Condition {
    /// The condition `t` of the way from this one to the other, 0 to 1, each label along its levels: half of the way between
    /// the first and the third level is the second.
    pub fn towards(&self, other: &Self, t: f64, layout: &Layout) -> Self {
        let levels = self.levels.iter().zip(&other.levels).zip(&layout.labels).map(|((&from, &to), label)| {
            if t <= 0.0 || from == to {
                from
            } else if t >= 1.0 {
                to
            } else {
                label.level((1.0 - t) * label.place(from) + t * label.place(to))
            }
        });
        Self { levels: levels.collect() }
    }
}

impl Label {
    /// Where the level lies among the learned ones: 1.5 is halfway between the second and the third.
    pub fn place(&self, level: f64) -> f64 {
        for (place, pair) in self.levels.windows(2).enumerate() {
            let t = (level - pair[0]) / (pair[1] - pair[0]);
            if (0.0..=1.0).contains(&t) {
                return place as f64 + t;
            }
        }
        // Beyond the levels the nearest end counts.
        let last = self.levels.len() - 1;
        let nearer_first = (level - self.levels[0]).abs() <= (level - self.levels[last]).abs();
        if nearer_first { 0.0 } else { last as f64 }
    }

    /// The level at such a place.
    pub fn level(&self, place: f64) -> f64 {
        let last = self.levels.len() - 1;
        let before = (place.max(0.0) as usize).min(last);
        let after = (before + 1).min(last);
        let t = (place - before as f64).clamp(0.0, 1.0);
        self.levels[before] + t * (self.levels[after] - self.levels[before])
    }
}

fn choice(text: &str, label: &Label) -> Result<Choice, ConditionError> {
    if text == "any" {
        return Ok(Choice::Any);
    }
    let level = text.parse().ok().filter(|&level| label.spans(level));
    level.map(Choice::Level).ok_or_else(|| {
        let (low, high) = label.range();
        let levels: Vec<String> = label.levels.iter().map(f64::to_string).collect();
        ConditionError::Level {
            name: label.name.to_string(),
            found: text.to_owned(),
            low,
            high,
            levels: levels.join(", "),
        }
    })
}

fn draw_seen(layout: &Layout, random: &mut impl Rng) -> Condition {
    let whole: f64 = layout.seen.iter().map(|(_, share)| share).sum();
    let mut left = uniform(random) * whole;
    for (condition, share) in &layout.seen {
        left -= share;
        if left < 0.0 {
            return condition.clone();
        }
    }
    layout.seen.last().map_or_else(|| layout.healthy(), |(condition, _)| condition.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::acquisition::Name;

    fn layout() -> Layout {
        let label = |name: &str, levels: &[f64]| Label {
            name: Name::parse(name).expect("a name"),
            unit: String::new(),
            levels: levels.to_vec(),
        };
        let condition = |levels: &[f64]| Condition { levels: levels.to_vec() };
        Layout {
            channels: Vec::new(),
            labels: vec![label("valve", &[100.0, 90.0, 80.0, 73.0]), label("pump", &[0.0, 1.0, 2.0])],
            cadence: Duration::from_secs(1),
            window: 60,
            seen: vec![(condition(&[100.0, 2.0]), 0.25), (condition(&[73.0, 0.0]), 0.75)],
        }
    }

    #[test]
    fn what_is_not_named_is_healthy() {
        let request = Request::parse("pump=2", &layout()).unwrap();
        let condition = request.draw(&layout(), &mut ChaCha8Rng::seed_from_u64(0));
        assert_eq!(condition.levels, [100.0, 2.0]);
    }

    #[test]
    fn any_draws_all_open_labels_from_one_learned_condition() {
        let layout = layout();
        let request = Request::parse("pump=any, valve=any", &layout).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let drawn: Vec<Condition> = (0..2000).map(|_| request.draw(&layout, &mut random)).collect();
        assert!(drawn.iter().all(|condition| layout.seen.iter().any(|(seen, _)| seen == condition)));
        let leaking = drawn.iter().filter(|condition| condition.levels[1] == 2.0).count();
        assert!((400..600).contains(&leaking), "{leaking} of 2000, expected about 500");
    }

    #[test]
    fn a_label_that_does_not_exist_is_answered_with_those_that_do() {
        let words = |text: &str| Request::parse(text, &layout()).unwrap_err().to_string();
        assert_eq!(words("pomp=2"), "there is no label \"pomp\"; expected one of valve, pump");
        assert_eq!(words("pump"), "\"pump\" is no label with its level, expected NAME=LEVEL, e.g. valve=73");
        assert_eq!(
            words("pump=7"),
            "pump=7 is no level; expected a number from 0 to 2, or any (learned levels: 0, 1, 2)"
        );
        assert_eq!(words("pump=1,pump=2"), "the label pump stands twice");
    }

    #[test]
    fn halfway_along_a_path_lies_halfway_along_the_levels() {
        let layout = layout();
        let worn = Condition { levels: vec![80.0, 2.0] };
        let half = layout.healthy().towards(&worn, 0.5, &layout);
        assert_eq!(half.levels, [90.0, 1.0]);
    }

    proptest! {
        #[test]
        fn a_level_comes_back_from_its_place(level in 73.0..100.0f64) {
            let label = &layout().labels[0];
            prop_assert!((label.level(label.place(level)) - level).abs() < 1e-9);
        }
    }
}
