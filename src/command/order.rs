use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::acquisition::parse_stamp;
use crate::alarm::{Action, Deed, ShelfLife};
use crate::assessment::Verdict;
use crate::notation::parse_duration;

/// What may be asked of a machine: the last level but one of a command's topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Ack,
    Shelve,
    Unshelve,
    Suppress,
    Feedback,
    Step,
    Replay,
}

/// One command that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The sender's own.
    pub id: String,
    pub wish: Wish,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    Act(Action),
    /// Keep what was found at the machine.
    Keep(Finding),
    /// Publish the machine's events again from this `seq` on.
    Replay {
        from_seq: u64,
    },
}

/// What somebody found at a machine after an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The command's.
    pub id: String,
    pub operator: String,
    /// The episode that is meant, open or closed; `None`: the open one.
    pub episode: Option<String>,
    pub verdict: Verdict,
    pub comment: Option<String>,
}

/// A command that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct OrderError {
    /// The command's, if that much could be read.
    pub id: Option<String>,
    pub what: String,
}

impl Verb {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ack" => Self::Ack,
            "shelve" => Self::Shelve,
            "unshelve" => Self::Unshelve,
            "suppress" => Self::Suppress,
            "feedback" => Self::Feedback,
            "step" => Self::Step,
            "replay" => Self::Replay,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Shelve => "shelve",
            Self::Unshelve => "unshelve",
            Self::Suppress => "suppress",
            Self::Feedback => "feedback",
            Self::Step => "step",
            Self::Replay => "replay",
        }
    }
}

impl Order {
    /// Reads a command's payload.
    pub fn parse(verb: Verb, payload: &[u8]) -> Result<Self, OrderError> {
        if payload.len() > LARGEST {
            return Err(OrderError { id: None, what: format!("{} bytes, at most {LARGEST} are read", payload.len()) });
        }
        let not_an_object = |why: String| OrderError { id: None, what: format!("not a JSON object{why}") };
        let value: serde_json::Value =
            serde_json::from_slice(payload).map_err(|error| not_an_object(format!(": {error}")))?;
        if !value.is_object() {
            return Err(not_an_object(String::new()));
        }
        let id = value.get("id").and_then(serde_json::Value::as_str).filter(|id| is_short(id)).map(str::to_owned);
        let wrong = |what: String| OrderError { id: id.clone(), what };
        // From the bytes once more: a member that stands twice is no longer to be seen in the value.
        let body: Body = serde_json::from_slice(payload).map_err(|error| wrong(error.to_string()))?;
        let Some(id) = id.clone() else { return Err(wrong("`id` must be a text of 1 to 128 characters".to_owned())) };
        if body.operator.is_empty() {
            return Err(wrong("`operator` must not be empty".to_owned()));
        }
        let wish = body.wish(verb, &id).map_err(wrong)?;
        Ok(Self { id, wish })
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "id")]
    _id: Option<serde::de::IgnoredAny>,
    operator: String,
    episode: Option<String>,
    comment: Option<String>,
    verdict: Option<String>,
    reason: Option<String>,
    duration: Option<String>,
    until: Option<String>,
    on: Option<bool>,
    from_seq: Option<u64>,
}

impl Body {
    fn wish(self, verb: Verb, id: &str) -> Result<Wish, String> {
        let Self { operator, episode, comment, verdict, reason, duration, until, on, from_seq, .. } = self;
        let deed = match verb {
            Verb::Ack => Deed::Acknowledge,
            Verb::Unshelve => Deed::Unshelve,
            Verb::Shelve => {
                let reason = reason.filter(|reason| !reason.is_empty());
                let reason = reason.ok_or("`reason` is missing: say why the alarm is shelved")?;
                Deed::Shelve { until: shelf_life(duration.as_deref(), until.as_deref())?, reason }
            }
            Verb::Suppress => Deed::Suppress { on: on.ok_or("`on` is missing: true or false")?, reason },
            Verb::Replay => {
                let from_seq = from_seq.filter(|seq| *seq >= 1).ok_or("`from_seq` is missing: a number from 1")?;
                return Ok(Wish::Replay { from_seq });
            }
            Verb::Feedback => {
                let verdict = verdict.ok_or("`verdict` is missing: say what was found, e.g. \"confirmed\"")?;
                let verdict = Verdict::parse(&verdict).map_err(|error| format!("`verdict`: {error}"))?;
                return Ok(Wish::Keep(Finding { id: id.to_owned(), operator, episode, verdict, comment }));
            }
            Verb::Step => {
                return Err(
                    "this version does not take steps: it guides nobody through them yet; tell what was found \
                            with `feedback`"
                        .to_owned(),
                );
            }
        };
        Ok(Wish::Act(Action { operator, episode, deed }))
    }
}

fn shelf_life(duration: Option<&str>, until: Option<&str>) -> Result<ShelfLife, String> {
    match (duration, until) {
        (Some(duration), None) => parse_duration(duration).map(ShelfLife::For),
        (None, Some(until)) => {
            let stamp: Option<Timestamp> = parse_stamp(until);
            stamp.map(ShelfLife::Until).ok_or_else(|| format!("`until` {until:?} is no time in RFC 3339"))
        }
        _ => {
            Err("give exactly one of `duration`, e.g. \"4h\", and `until`; an alarm is never shelved for ever"
                .to_owned())
        }
    }
}

fn is_short(id: &str) -> bool {
    (1..=128).contains(&id.chars().count())
}

const LARGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn parse(verb: Verb, text: &str) -> Result<Wish, OrderError> {
        Order::parse(verb, text.as_bytes()).map(|order| order.wish)
    }

    #[test]
    fn each_command_of_the_contract_is_read() {
        let base = r#""id":"c-1","operator":"m.ito""#;
        let deed = |verb, more: &str| match parse(verb, &format!("{{{base}{more}}}")) {
            Ok(Wish::Act(action)) => action.deed,
            other => panic!("{other:?}"),
        };
        assert_eq!(deed(Verb::Ack, r#","comment":"on my way""#), Deed::Acknowledge);
        let reason = "spare pump".to_owned();
        let until = ShelfLife::For(Duration::from_secs(4 * 3600));
        assert_eq!(deed(Verb::Shelve, r#","duration":"4h","reason":"spare pump""#), Deed::Shelve { until, reason });
        assert_eq!(deed(Verb::Unshelve, ""), Deed::Unshelve);
        assert_eq!(deed(Verb::Suppress, r#","on":true"#), Deed::Suppress { on: true, reason: None });
        assert_eq!(parse(Verb::Replay, &format!("{{{base},\"from_seq\":12}}")), Ok(Wish::Replay { from_seq: 12 }));
        let finding = Finding {
            id: "c-1".to_owned(),
            operator: "m.ito".to_owned(),
            episode: Some("e-7".to_owned()),
            verdict: Verdict::OtherFault("suction_restriction".to_owned()),
            comment: None,
        };
        let more = r#","episode":"e-7","verdict":"other_fault:suction_restriction""#;
        assert_eq!(parse(Verb::Feedback, &format!("{{{base}{more}}}")), Ok(Wish::Keep(finding)));
    }

    #[test]
    fn what_cannot_be_read_is_answered_with_what_is_missing_and_the_id_if_there_is_one() {
        for (verb, payload, id, expected) in [
            (Verb::Ack, "not json", None, "not a JSON object"),
            (Verb::Ack, "[]", None, "not a JSON object"),
            (Verb::Ack, r#"{"operator":"x"}"#, None, "`id`"),
            (Verb::Ack, r#"{"id":"","operator":"x"}"#, None, "`id`"),
            (Verb::Ack, r#"{"id":"1"}"#, Some("1"), "operator"),
            (Verb::Shelve, r#"{"id":"1","operator":"x","duration":"4h"}"#, Some("1"), "`reason`"),
            (Verb::Shelve, r#"{"id":"1","operator":"x","reason":"r"}"#, Some("1"), "exactly one"),
            (Verb::Shelve, r#"{"id":"1","operator":"x","reason":"r","duration":"4 h"}"#, Some("1"), "not a duration"),
            (Verb::Shelve, r#"{"id":"1","operator":"x","reason":"r","until":"noon"}"#, Some("1"), "RFC 3339"),
            (Verb::Suppress, r#"{"id":"1","operator":"x"}"#, Some("1"), "`on`"),
            (Verb::Replay, r#"{"id":"1","operator":"x","from_seq":0}"#, Some("1"), "`from_seq`"),
            (Verb::Feedback, r#"{"id":"1","operator":"x"}"#, Some("1"), "`verdict` is missing"),
            (Verb::Feedback, r#"{"id":"1","operator":"x","verdict":"fine"}"#, Some("1"), "no_fault_found"),
            (Verb::Ack, r#"{"id":"1","id":"2","operator":"x"}"#, Some("2"), "duplicate field"),
            (Verb::Step, r#"{"id":"1","operator":"x","n":1}"#, Some("1"), "does not take"),
        ] {
            let error = parse(verb, payload).unwrap_err();
            assert_eq!(error.id.as_deref(), id, "{payload}");
            assert!(error.what.contains(expected), "{payload}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_payload_makes_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Order::parse(Verb::Shelve, &payload);
        }
    }
}
