use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

use super::kind::Kind;
use super::transport::FaultKind;
use crate::acquisition::parse_stamp;
use crate::notation::{TomlError, parse_duration, read_toml};

/// Which anomalies and which faults of transport are asked for, as whoever asks writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What the same bytes come from again.
    pub seed: Option<u64>,
    #[serde(default, rename = "event")]
    pub events: Vec<EventKeys>,
    pub random: Option<RandomKeys>,
    #[serde(default, rename = "transport")]
    pub faults: Vec<FaultKeys>,
}

/// One anomaly.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventKeys {
    pub kind: Kind,
    #[serde(default, alias = "channels")]
    pub channel: Names,
    pub from: Mark,
    pub to: Option<Mark>,
    pub length: Option<Length>,
    pub size: Option<f64>,
    pub unit: Option<UnitKey>,
    pub creep: Option<usize>,
    pub context: Option<usize>,
    pub transition: Option<usize>,
    pub rate: Option<f64>,
}

/// Anomalies that are placed at random.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomKeys {
    pub count: usize,
    /// All that the recording allows.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// All that change.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Rows at the start that are left alone, such as those of a calibration.
    #[serde(default)]
    pub skip: usize,
    /// Rows between two events, at least.
    pub distance: Option<usize>,
    #[serde(default)]
    pub overlap: bool,
    /// The fewest and the most rows of an event.
    pub lengths: Option<[usize; 2]>,
    /// Of all events; each kind's usual one where it is left out.
    pub size: Option<f64>,
}

/// One fault of transport.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultKeys {
    pub fault: FaultKind,
    /// Certain where it is left out, which wants `from`.
    pub probability: Option<f64>,
    pub burst: Option<usize>,
    pub from: Option<Mark>,
    pub to: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKey {
    Deviation,
    Own,
}

/// A place in a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// From 1.
    Row(usize),
    /// After the first row.
    After(Duration),
    At(Timestamp),
}

/// How long something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    Rows(usize),
    Lasts(Duration),
}

/// One name or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names(pub Vec<String>);

impl Plan {
    pub fn parse(text: &str, origin: &str) -> Result<Self, TomlError> {
        read_toml(text, origin)
    }
}

impl EventKeys {
    /// Reads `kind=stuck,channel=FS1,from=600,to=700`; several channels are several `channel=`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, TomlError> {
        read_toml(&as_toml(text), origin)
    }
}

impl FaultKeys {
    /// Reads `fault=loss,probability=0.01,burst=3`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, TomlError> {
        read_toml(&as_toml(text), origin)
    }
}

/// The lines of a plan that a short form stands for, so that both are read, and refused, alike.
fn as_toml(text: &str) -> String {
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (key, value) = (key.trim(), value.trim());
        // TOML has no `.5`, and a channel may be called 7.
        let number = value.parse::<f64>().is_ok_and(f64::is_finite) && !key.starts_with("channel");
        let value = match (value.parse::<i64>(), value.parse::<f64>()) {
            (Ok(whole), _) if number => whole.to_string(),
            (_, Ok(other)) if number => format!("{other:?}"),
            _ => quoted(value),
        };
        match lines.iter_mut().find(|(known, _)| *known == key && key.starts_with("channel")) {
            Some((_, values)) => values.push(value),
            None => lines.push((key, vec![value])),
        }
    }
    let line = |(key, values): (&str, Vec<String>)| {
        let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let key = if bare { key.to_owned() } else { quoted(key) };
        match &values[..] {
            [one] => format!("{key} = {one}\n"),
            several => format!("{key} = [{}]\n", several.join(", ")),
        }
    };
    lines.into_iter().map(line).collect()
}

fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

impl Mark {
    fn of_text(text: &str) -> Result<Self, String> {
        if let Ok(row) = text.parse() {
            return Ok(Self::Row(row));
        }
        if let Ok(after) = parse_duration(text) {
            return Ok(Self::After(after));
        }
        parse_stamp(text).map(Self::At).ok_or_else(|| {
            format!(
                "{text:?} is no place in a recording; expected a row, e.g. 600, a time, e.g. \"2026-03-01T06:00:00Z\", or a \
                 duration after the first row, e.g. \"10m\""
            )
        })
    }
}

impl Length {
    fn of_text(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(rows) => Ok(Self::Rows(rows)),
            Err(_) => parse_duration(text)
                .map(Self::Lasts)
                .map_err(|_| format!("{text:?} is no length; expected rows, e.g. 60, or a duration, e.g. \"10m\"")),
        }
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText).and_then(|text| Self::of_text(&text).map_err(de::Error::custom))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText).and_then(|text| Self::of_text(&text).map_err(de::Error::custom))
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMore).map(Self)
    }
}

/// A whole number or a text, as a text.
struct NumberOrText;

impl de::Visitor<'_> for NumberOrText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row, e.g. 600, or a time or duration between quotes, e.g. \"10m\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

struct OneOrMore;

impl<'de> de::Visitor<'de> for OneOrMore {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a channel, or a list of names")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![text.to_owned()])
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_says_what_the_plan_says() {
        let short = EventKeys::parse(
            "kind=spike-burst, channel=a b,channel=7,from=600,length=10m,rate=.5,size=-3",
            "--event 1",
        );
        let plan = Plan::parse(
            "[[event]]\nkind = \"spike-burst\"\nchannel = [\"a b\", \"7\"]\nfrom = 600\nlength = \"10m\"\nrate = 0.5\nsize = -3.0\n",
            "p.toml",
        );
        let (short, long) = (short.unwrap(), plan.unwrap().events.remove(0));
        assert_eq!(format!("{short:?}"), format!("{long:?}"));
        assert_eq!(short.channel.0, ["a b", "7"]);
        assert_eq!(short.length, Some(Length::Lasts(Duration::from_secs(600))));
    }

    #[test]
    fn a_place_is_a_row_a_time_or_a_duration_after_the_first_row() {
        for (text, expected) in [
            ("600", Mark::Row(600)),
            ("10m", Mark::After(Duration::from_secs(600))),
            ("2026-03-01T06:00:00Z", Mark::At("2026-03-01T06:00:00Z".parse().unwrap())),
            ("2026-03-01 06:00:00", Mark::At("2026-03-01T06:00:00Z".parse().unwrap())),
        ] {
            assert_eq!(Mark::of_text(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_answered_with_what_was_expected() {
        for (text, expected) in [
            ("kind=stuk,channel=a,from=1", "did you mean `stuck`?"),
            ("kind=stuck,chanel=a,from=1", "did you mean `channel`?"),
            ("kind=stuck,channel=a", "missing field `from`"),
            ("kind=stuck,channel=a,from=soon", "is no place in a recording; expected a row, e.g. 600"),
            ("kind=stuck,channel=a,from=1,length=-3", "is no length; expected rows, e.g. 60"),
            ("kind=mean,channel=a,from=1,size=big", "expected f64"),
            ("", "missing field `kind`"),
        ] {
            let error = EventKeys::parse(text, "--event 1").unwrap_err().to_string();
            assert!(error.starts_with("--event 1") && error.contains(expected), "{text:?}: {error}");
        }
    }
}
