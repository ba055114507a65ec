//! What every sequence of transitions of one machine keeps to.

use wheeltapper::alarm::{State, Transition};

/// The newest transition of one machine.
#[derive(Default)]
pub struct History(Option<Transition>);

impl History {
    /// Takes the next transition and holds it against the one before.
    pub fn take(&mut self, next: &Transition) {
        assert!(next.raised <= next.changed, "changed before it was raised: {next:?}");
        match &self.0 {
            None => assert_eq!(next.seq, 1, "the first transition"),
            Some(before) => {
                assert_eq!(next.seq, before.seq + 1, "a hole in seq");
                let same = next.episode == before.episode;
                assert_eq!(same, before.state != State::Normal, "one open episode: {before:?}, then {next:?}");
                let place = |it: &Transition| (it.state, it.severity, it.class);
                assert!(place(next) != place(before), "a transition that changes nothing: {next:?}");
                // A relapse begins with a severity of its own.
                let goes_on = same && before.state != State::ReturnedUnacknowledged;
                assert!(!goes_on || next.severity >= before.severity, "severity sinks: {before:?}, then {next:?}");
            }
        }
        assert!(self.0.is_some() || next.state != State::Normal, "an episode begins with its end");
        self.0 = Some(next.clone());
    }

    /// The newest one.
    pub fn newest(&self) -> Option<&Transition> {
        self.0.as_ref()
    }
}
