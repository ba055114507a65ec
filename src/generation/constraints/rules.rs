use std::fmt;

use serde::Deserialize;

use super::bound::Bound;
use crate::manipulation::Limits;
use crate::notation::{Key, TomlError, nearest, read_toml};

/// What must hold of a machine's values, by the names of its channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    rules: Vec<Rule<String>>,
}

/// One thing that must hold; of channels by name, or by place once they are found.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule<C> {
    Range {
        channel: C,
        limits: Limits,
    },
    /// How far a value may lie from the one of the row before.
    Rate {
        channel: C,
        most: f64,
    },
    Monotone {
        channel: C,
        direction: Direction,
    },
    /// No row may have both.
    Forbidden {
        when: Side<C>,
        then: Side<C>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Rising,
    Falling,
}

/// A channel above or below a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Side<C> {
    pub channel: C,
    pub above: bool,
    pub value: f64,
}

/// A constraint speaks of a channel that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the constraint \"{rule}\" speaks of the channel {wanted:?}, which is not among {found:?}{}", meant.as_ref().map(|m| format!("; did you mean {m:?}?")).unwrap_or_default())]
pub struct UnknownChannel {
    pub rule: String,
    pub wanted: String,
    pub found: Vec<String>,
    pub meant: Option<String>,
}

impl Constraints {
    /// Reads a file of constraints.
    pub fn parse(text: &str, origin: &str) -> Result<Self, TomlError> {
        let file: File = read_toml(text, origin)?;
        let wrong = |table, name, what: &str| TomlError::value(text, origin, Key { table, name }, what);
        let mut rules = Vec::new();
        for (index, RangeTable { channel, low, high }) in file.range.into_iter().enumerate() {
            let limits = Limits { low, high };
            if let Some(what) = impossible(limits) {
                return Err(wrong(("range", index), if low.is_some() { "low" } else { "channel" }, &what));
            }
            rules.push(Rule::Range { channel, limits });
        }
        for (index, RateTable { channel, most }) in file.rate.into_iter().enumerate() {
            if !(most >= 0.0 && most.is_finite()) {
                let what = format!("is {most}; expected how far {channel} may move from one row to the next, e.g. 2.5");
                return Err(wrong(("rate", index), "most", &what));
            }
            rules.push(Rule::Rate { channel, most });
        }
        rules.extend(
            file.monotone.into_iter().map(|it| Rule::Monotone { channel: it.channel, direction: it.direction }),
        );
        for (index, ForbiddenTable { when, then }) in file.forbidden.into_iter().enumerate() {
            let side = |name, side: SideTable| side.parse().map_err(|what| wrong(("forbidden", index), name, &what));
            rules.push(Rule::Forbidden { when: side("when", when)?, then: side("then", then)? });
        }
        match rules.is_empty() {
            true => Err(wrong(
                ("", 0),
                "range",
                "there is no constraint; expected [[range]], [[rate]], [[monotone]] or [[forbidden]], e.g. [[range]] with \
                 channel = \"pressure\" and low = 0.0",
            )),
            false => Ok(Self { rules }),
        }
    }

    /// What the limits of a kind's channels say.
    pub fn from_limits(channels: impl IntoIterator<Item = (String, Limits)>) -> Self {
        let limited = channels.into_iter().filter(|(_, limits)| *limits != Limits::default());
        Self { rules: limited.map(|(channel, limits)| Rule::Range { channel, limits }).collect() }
    }

    /// These and those.
    pub fn and(mut self, others: Self) -> Self {
        self.rules.extend(others.rules);
        self
    }

    /// Leaves out what speaks of channels that are not among these.
    pub fn of_channels(mut self, names: &[String]) -> Self {
        self.rules.retain(|rule| rule.channels().iter().all(|channel| names.contains(channel)));
        self
    }

    /// Finds the channels among these.
    pub fn bind(&self, names: &[String]) -> Result<Bound, UnknownChannel> {
        let bind = |rule: &Rule<String>| {
            let place = |channel: &String| {
                names.iter().position(|name| name == channel).ok_or_else(|| UnknownChannel {
                    rule: rule.to_string(),
                    wanted: channel.clone(),
                    found: names.to_vec(),
                    meant: nearest(channel, names.iter().map(String::as_str)).map(str::to_owned),
                })
            };
            Ok((rule.to_string(), rule.at(place)?))
        };
        Ok(Bound::new(self.rules.iter().map(bind).collect::<Result<_, _>>()?))
    }
}

impl Rule<String> {
    fn channels(&self) -> Vec<&String> {
        match self {
            Self::Range { channel, .. } | Self::Rate { channel, .. } | Self::Monotone { channel, .. } => vec![channel],
            Self::Forbidden { when, then } => vec![&when.channel, &then.channel],
        }
    }

    fn at<E>(&self, place: impl Fn(&String) -> Result<usize, E>) -> Result<Rule<usize>, E> {
        let side =
            |side: &Side<String>| Ok(Side { channel: place(&side.channel)?, above: side.above, value: side.value });
        Ok(match self {
            Self::Range { channel, limits } => Rule::Range { channel: place(channel)?, limits: *limits },
            Self::Rate { channel, most } => Rule::Rate { channel: place(channel)?, most: *most },
            Self::Monotone { channel, direction } => Rule::Monotone { channel: place(channel)?, direction: *direction },
            Self::Forbidden { when, then } => Rule::Forbidden { when: side(when)?, then: side(then)? },
        })
    }
}

impl fmt::Display for Rule<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { channel, limits } => match (limits.low, limits.high) {
                (Some(low), Some(high)) => write!(f, "{channel} between {low} and {high}"),
                (Some(low), None) => write!(f, "{channel} at least {low}"),
                (None, Some(high)) => write!(f, "{channel} at most {high}"),
                (None, None) => write!(f, "{channel} anywhere"),
            },
            Self::Rate { channel, most } => write!(f, "{channel} moves at most {most} a row"),
            Self::Monotone { channel, direction: Direction::Rising } => write!(f, "{channel} never falls"),
            Self::Monotone { channel, direction: Direction::Falling } => write!(f, "{channel} never rises"),
            Self::Forbidden { when, then } => write!(f, "never {when} and {then}"),
        }
    }
}

impl fmt::Display for Side<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.channel, if self.above { "above" } else { "below" }, self.value)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    range: Vec<RangeTable>,
    #[serde(default)]
    rate: Vec<RateTable>,
    #[serde(default)]
    monotone: Vec<MonotoneTable>,
    #[serde(default)]
    forbidden: Vec<ForbiddenTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeTable {
    channel: String,
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateTable {
    channel: String,
    most: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MonotoneTable {
    channel: String,
    direction: Direction,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForbiddenTable {
    when: SideTable,
    then: SideTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SideTable {
    channel: String,
    above: Option<f64>,
    below: Option<f64>,
}

impl SideTable {
    fn parse(self) -> Result<Side<String>, String> {
        let channel = self.channel;
        match (self.above, self.below) {
            (Some(value), None) if value.is_finite() => Ok(Side { channel, above: true, value }),
            (None, Some(value)) if value.is_finite() => Ok(Side { channel, above: false, value }),
            _ => Err(format!(
                "expected one of above and below beside the channel {channel}, a finite number, e.g. {{ channel = \
                 \"{channel}\", above = 5.0 }}"
            )),
        }
    }
}

fn impossible(Limits { low, high }: Limits) -> Option<String> {
    match (low, high) {
        (None, None) => Some("expected low, high or both beside the channel, e.g. low = 0.0".to_owned()),
        (Some(low), Some(high)) if low < high => None,
        (Some(low), Some(high)) => Some(format!("no value lies between {low} and {high}")),
        (Some(bound), None) | (None, Some(bound)) if bound.is_finite() => None,
        (low, high) => Some(format!("expected a finite number, found {low:?} and {high:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constraint_that_cannot_be_is_answered_with_its_line_and_what_was_expected() {
        for (text, expected) in [
            ("", "there is no constraint; expected [[range]]"),
            ("[[range]]\nchannel = \"a\"\n", "line 2, column 1: channel: expected low, high or both"),
            (
                "[[range]]\nchannel = \"a\"\nlow = 2.0\nhigh = 1.0\n",
                "line 3, column 1: low: no value lies between 2 and 1",
            ),
            ("[[range]]\nchannel = \"a\"\nhigh = nan\n", "expected a finite number"),
            ("[[rate]]\nchannel = \"a\"\nmost = -1.0\n", "line 3, column 1: most: is -1; expected how far a may move"),
            ("[[monotone]]\nchannel = \"a\"\ndirection = \"up\"\n", "unknown variant `up`"),
            (
                "[[forbidden]]\nwhen = { channel = \"a\" }\nthen = { channel = \"b\", above = 1.0 }\n",
                "line 2, column 1: when:",
            ),
            ("[[rnage]]\nchannel = \"a\"\n", "did you mean `range`?"),
        ] {
            let error = Constraints::parse(text, "c.toml").unwrap_err().to_string();
            assert!(error.starts_with("c.toml") && error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_channel_that_is_not_there_is_answered_with_the_one_that_was_meant() {
        let constraints = Constraints::parse("[[rate]]\nchannel = \"presure\"\nmost = 1.0\n", "c.toml").unwrap();
        let error = constraints.bind(&["pressure".into()]).err().unwrap().to_string();
        assert!(
            error.contains("presure moves at most 1 a row") && error.contains("did you mean \"pressure\"?"),
            "{error}"
        );
    }
}
