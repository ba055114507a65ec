use std::collections::HashMap;

use heapless::deque::Deque;

use super::Verb;
use crate::acquisition::Name;

/// The newest commands of each machine with what was answered: the same command again gives the same answer and has no
/// second effect.
#[derive(Default)]
pub struct Ledger(HashMap<Name, Deque<Answered, KEPT>>);

struct Answered {
    id: String,
    verb: Verb,
    reply: Vec<u8>,
}

impl Ledger {
    /// What was answered to the command with this id before, and which command it was.
    pub fn answered(&self, machine: &Name, id: &str) -> Option<(Verb, &[u8])> {
        let answered = self.0.get(machine)?.iter().find(|answered| answered.id == id)?;
        Some((answered.verb, &answered.reply))
    }

    pub fn enter(&mut self, machine: &Name, verb: Verb, id: String, reply: Vec<u8>) {
        let answers = self.0.entry(machine.clone()).or_default();
        if answers.is_full() {
            answers.pop_front();
        }
        // There is room: a full deque has just made some.
        let _ = answers.push_back(Answered { id, verb, reply });
    }
}

/// A sender who repeats a command does so within his next few.
const KEPT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_commands_are_remembered_by_machine_and_id() {
        let mut ledger = Ledger::default();
        let [one, other] = ["a", "b"].map(|name| Name::parse(name).unwrap());
        for number in 0..KEPT + 1 {
            ledger.enter(&one, Verb::Ack, number.to_string(), vec![number as u8]);
        }
        assert_eq!(ledger.answered(&one, "0"), None, "only so many");
        assert_eq!(ledger.answered(&one, "32"), Some((Verb::Ack, &[32][..])));
        assert_eq!(ledger.answered(&other, "32"), None);
    }
}
