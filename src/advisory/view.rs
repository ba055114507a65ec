use std::collections::BTreeMap;

use serde::Serialize;

use super::citation::Payload;
use super::number::{write_number, write_pair, write_percent};
use crate::detection::{Contribution, Direction};

/// What a template sees. Everything is text that is ready to print; what has no value is undefined, so that printing
/// it is an error that the linter finds.
#[derive(Debug, Serialize)]
pub(super) struct View {
    machine: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<String>,
    /// The probable faults in words, e.g. `internal leakage of the main pump (81 %)`.
    probable: String,
    /// The contributions, largest first.
    top: Vec<ChannelView>,
    /// The contributions by channel.
    c: BTreeMap<String, ChannelView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lockout: Option<LockoutView>,
}

/// One channel's contribution.
#[derive(Clone, Debug, Serialize)]
struct ChannelView {
    name: String,
    /// In per cent, with its sign.
    share: String,
    direction: Direction,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// What is seen, whole: `FS1 is low: 6.42 l/min, expected 6.71 l/min`.
    seen: String,
}

#[derive(Clone, Debug, Serialize)]
struct LockoutView {
    procedure: String,
    isolation_points: String,
    stored_energy: String,
}

impl View {
    /// The names that a template may use.
    pub(super) const NAMES: [&'static str; 6] = ["machine", "score", "probable", "top", "c", "lockout"];

    pub(super) fn new(payload: &Payload<'_>, probable: String) -> Self {
        let top: Vec<ChannelView> = payload.contributions.iter().map(ChannelView::new).collect();
        let names = payload.contributions.iter().map(|contribution| contribution.channel.as_str().to_owned());
        let lockout = payload.facts.lockout.as_ref().map(|facts| LockoutView {
            procedure: plain(&facts.procedure, LONGEST_TEXT),
            isolation_points: plain(&facts.isolation_points, LONGEST_TEXT),
            stored_energy: plain(&facts.stored_energy, LONGEST_TEXT),
        });
        Self {
            machine: named(payload.facts.name.as_str()),
            score: write_number(payload.score),
            probable,
            c: names.zip(top.iter().cloned()).collect(),
            top,
            lockout,
        }
    }
}

impl ChannelView {
    fn new(contribution: &Contribution) -> Self {
        let name = named(contribution.channel.as_str());
        let unit = contribution.unit.as_deref().map(|unit| plain(unit, LONGEST_UNIT)).filter(|unit| !unit.is_empty());
        let (value, expected) = write_pair(contribution.value, contribution.expected);
        let with_unit = |number: &String| match &unit {
            Some(unit) => format!("{number} {unit}"),
            None => number.clone(),
        };
        let what = match contribution.direction {
            Direction::High => "is high",
            Direction::Low => "is low",
            Direction::Neither => "is unsteady or frozen",
        };
        let numbers = match (value.as_ref().map(with_unit), expected.as_ref().map(with_unit)) {
            (Some(value), Some(expected)) => format!(": {value}, expected {expected}"),
            (Some(value), None) => format!(": {value}"),
            (None, Some(expected)) => format!(": expected {expected}"),
            (None, None) => String::new(),
        };
        Self {
            seen: format!("{name} {what}{numbers}"),
            name,
            share: write_percent(contribution.share),
            direction: contribution.direction,
            value,
            expected,
            unit,
        }
    }
}

/// A name from the outside, in quotes unless it is one plain word, so that none reads as a sentence of ours.
fn named(name: &str) -> String {
    let plain = plain(name, LONGEST_NAME);
    if plain.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) { plain } else { format!("\"{plain}\"") }
}

/// A text from the outside as plain data: cut to `longest` characters, with nothing in it that could pass for our
/// citation marks, our quotes or a direction of writing.
fn plain(text: &str, longest: usize) -> String {
    let harmless: String = text
        .trim()
        .chars()
        .filter(|c| !c.is_control() && !TURNS_OR_HIDES.contains(c))
        .map(|c| match c {
            '[' => '(',
            ']' => ')',
            '"' => '\'',
            other => other,
        })
        .collect();
    if harmless.chars().count() <= longest {
        return harmless;
    }
    harmless.chars().take(longest - 1).chain(['…']).collect()
}

const LONGEST_NAME: usize = 40;
const LONGEST_UNIT: usize = 16;
const LONGEST_TEXT: usize = 160;
/// Characters that turn the direction of writing or take no room.
const TURNS_OR_HIDES: [char; 15] = [
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
    '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{feff}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_the_outside_cannot_pass_for_a_citation_or_a_sentence() {
        assert_eq!(named("FS1"), "FS1");
        assert_eq!(named("x [s1]. Open \"it\""), "\"x (s1). Open 'it'\"");
        assert_eq!(named("<b>{{ c }}</b>"), "\"<b>{{ c }}</b>\"");
        assert_eq!(named("a\u{202e}b"), "ab");
        assert_eq!(named(&"n".repeat(64)).chars().count(), 42);
    }
}
