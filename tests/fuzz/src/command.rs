//! Payloads of commands, read and carried out on an alarm: lines of a verb and its payload, and scores between them.

use jiff::Timestamp;
use wheeltapper::acquisition::Name;
use wheeltapper::alarm::{Alarm, AlarmSettings};
use wheeltapper::command::{Ledger, Order, Reply, Verb, Wish};

use crate::history::History;
use crate::script::lines;

pub fn run(data: &[u8]) {
    let machine = Name::parse("press-01").expect("a name");
    let mut alarm = Alarm::new(machine.clone(), AlarmSettings::default());
    let mut ledger = Ledger::default();
    let mut history = History::default();
    let mut now = Timestamp::from_second(1_795_538_400).expect("a time of our age");
    for line in lines(data, 100) {
        now += std::time::Duration::from_secs(1);
        if line.word == "score" {
            let score = line.number::<u8>().into();
            for _ in 0..5 {
                alarm.observe(score, now, now).iter().for_each(|next| history.take(next));
            }
        }
        let Some(verb) = Verb::parse(line.word) else { continue };
        let reply = Reply::new(verb, &machine, &machine, now.to_string());
        let reply = match Order::parse(verb, line.rest) {
            Err(error) => {
                assert!(error.id.as_ref().is_none_or(|id| id.chars().count() <= 128), "an id of any length");
                reply.to(error.id.clone()).refusing(error)
            }
            Ok(Order { id, .. }) if ledger.answered(&machine, &id).is_some() => reply.to(Some(id)),
            Ok(Order { id, wish: Wish::Keep(finding) }) => {
                assert!(finding.id == id && !finding.operator.is_empty(), "a finding of nobody");
                reply.to(Some(id))
            }
            Ok(Order { id, wish: Wish::Replay { from_seq } }) => {
                assert!(from_seq > 0, "a seq begins with 1");
                reply.to(Some(id))
            }
            Ok(Order { id, wish: Wish::Act(action) }) => {
                assert!(!action.operator.is_empty(), "a deed of nobody");
                let done = alarm.act(&action, now);
                done.iter().flatten().for_each(|next| history.take(next));
                let reply = reply.to(Some(id.clone())).with(alarm.standing());
                ledger.enter(&machine, verb, id, reply.to_json());
                if let Err(refusal) = done { reply.refusing(refusal) } else { reply }
            }
        };
        let told: Result<serde_json::Value, _> = serde_json::from_slice(&reply.to_json());
        assert!(told.is_ok_and(|told| told.is_object()), "an answer that is no JSON");
    }
}
