//! Scores, commands, clock steps and restarts in any order.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use wheeltapper::acquisition::Name;
use wheeltapper::alarm::{Action, Alarm, AlarmSettings, Deed, ShelfLife};

use crate::history::History;
use crate::script::{Line, lines};

pub fn run(data: &[u8]) {
    let mut alarm = fresh();
    let mut history = History::default();
    let mut now = Timestamp::from_second(START).expect("a time of our age");
    for line in lines(data, 300) {
        match line.word {
            "score" => {
                let (score, rest) = line.next();
                let score = score.parse().ok().filter(|score: &f64| score.is_finite()).unwrap_or(0.0).abs();
                for _ in 0..rest.number::<u8>().clamp(1, 40) {
                    alarm.observe(score, now, now).iter().for_each(|next| history.take(next));
                }
            }
            "wait" => {
                let step = SignedDuration::from_secs(line.number::<i32>().into());
                now = now.checked_add(step).unwrap_or(now);
                alarm.pass_time(now).iter().for_each(|next| history.take(next));
            }
            // With what was written down at the end, or with the newest transition alone.
            "restart" => alarm = restarted(&alarm, true),
            "crash" => alarm = restarted(&alarm, false),
            _ => {
                let Some(deed) = deed(line, now) else { continue };
                let episode = (line.word == "ack").then(|| line.text()).filter(|text| !text.is_empty());
                let action = Action { operator: "m.ito".to_owned(), episode: episode.map(str::to_owned), deed };
                if let Ok(Some(next)) = alarm.act(&action, now) {
                    history.take(&next);
                }
            }
        }
        assert_eq!(alarm.standing().map(|standing| standing.seq), history.newest().map(|newest| newest.seq));
    }
}

fn deed(line: Line<'_>, now: Timestamp) -> Option<Deed> {
    let reason = || "spare part".to_owned();
    Some(match line.word {
        "ack" => Deed::Acknowledge,
        "shelve" => Deed::Shelve { until: ShelfLife::For(Duration::from_secs(line.number())), reason: reason() },
        "shelve-until" => {
            let until = now.checked_add(SignedDuration::from_secs(line.number())).ok()?;
            Deed::Shelve { until: ShelfLife::Until(until), reason: reason() }
        }
        "unshelve" => Deed::Unshelve,
        "suppress" => Deed::Suppress { on: true, reason: Some(reason()) },
        "release" => Deed::Suppress { on: false, reason: None },
        _ => return None,
    })
}

fn restarted(before: &Alarm, cleanly: bool) -> Alarm {
    let mut alarm = fresh();
    before.standing().cloned().into_iter().for_each(|standing| alarm.resume(standing));
    if cleanly {
        alarm.recall(before.memory());
    }
    alarm
}

fn fresh() -> Alarm {
    Alarm::new(Name::parse("press-01").expect("a name"), AlarmSettings::default())
}

/// 2026-11-24.
const START: i64 = 1_795_538_400;
