use tracing::warn;

use super::Pipeline;
use crate::acquisition::Name;
use crate::alarm::{Action, Standing};
use crate::clock::Now;
use crate::command::{Finding, Order, Reply, Verb, Wish};
use crate::outbox::Publication;
use crate::publication::{AlarmPayload, show_stamp};
use crate::transport::{Qos, Refusal};

/// What operators ask for.
impl Pipeline {
    /// Carries out one command and prepares its answer. A verb or a machine's name that could not even be answered is
    /// nobody's command.
    pub(super) fn obey(&mut self, machine: &str, verb: &str, payload: &[u8]) {
        let (Some(verb), Ok(name)) = (Verb::parse(verb), Name::parse(machine)) else { return };
        let now = self.now();
        let reply = Reply::new(verb, &name, &self.voice.gateway.name, show_stamp(now.utc));
        let topic = self.voice.topics.result(&name, verb.as_str());
        let answer = match Order::parse(verb, payload) {
            Err(error) => reply.to(error.id.clone()).refusing(error).to_json(),
            Ok(Order { id, wish }) => match self.ledger.answered(&name, &id) {
                Some((same, answer)) if same == verb => answer.to_vec(),
                Some((other, _)) => {
                    let why =
                        format!("the id was used for a command {} before; give each command its own", other.as_str());
                    reply.to(Some(id)).refusing(why).to_json()
                }
                None => {
                    let known = self.knows(&name);
                    let reply = self.carry_out(&name, wish, reply.to(Some(id.clone())), now);
                    let answer = reply.to_json();
                    // What was refused for want of a machine has no effect to be doubled.
                    if known {
                        self.ledger.enter(&name, verb, id, answer.clone());
                    }
                    answer
                }
            },
        };
        if self.replies.len() >= MOST_REPLIES {
            warn!(machine = %name, "too many answers wait for the broker; the same command again will be answered");
            return;
        }
        self.replies.push_back(Publication { topic, payload: answer, retain: false });
    }

    fn carry_out(&mut self, name: &Name, wish: Wish, reply: Reply, now: Now) -> Reply {
        if !self.knows(name) {
            return reply.refusing("this gateway knows no such machine");
        }
        match wish {
            Wish::Act(action) => self.act(name, &action, reply, now),
            Wish::Keep(finding) => self.keep(name, finding, reply, now),
            Wish::Replay { from_seq } => {
                let reply = reply.with(self.standing(name));
                if self.replays.len() >= MOST_REPLAYS {
                    return reply.refusing("as many replays as the gateway takes are under way; ask again in a minute");
                }
                self.replays.push_back((name.clone(), from_seq));
                reply
            }
        }
    }

    /// Does what a person wants done to an alarm.
    fn act(&mut self, name: &Name, action: &Action, reply: Reply, now: Now) -> Reply {
        let done = match self.plant.machine_mut(name.as_str()) {
            Some(machine) => machine.act(action, now).map(|told| told.map(|told| self.announce(name, told))),
            None => {
                let done = self.oversight.own_mut().alarm().act(action, now.utc);
                done.map(|transition| transition.map(|transition| self.announce_own(transition)))
            }
        };
        let reply = reply.with(self.standing(name));
        match done {
            Ok(told) => {
                // What is no transition stands nowhere but in the machine's memory.
                self.remember_soon |= told.is_none();
                reply
            }
            Err(refusal) => reply.refusing(refusal),
        }
    }

    /// Keeps what somebody has found at a machine.
    fn keep(&mut self, name: &Name, finding: Finding, reply: Reply, now: Now) -> Reply {
        let Some(machine) = self.plant.machine(name.as_str()) else {
            return reply.refusing("feedback is about a machine, and this is the gateway");
        };
        let reply = reply.with(machine.standing());
        match self.feedback.take(finding, machine, &self.outbox, now.utc) {
            Ok(()) => reply,
            Err(refusal) => reply.refusing(refusal),
        }
    }

    /// A machine, or the gateway itself.
    fn knows(&self, name: &Name) -> bool {
        *name == self.voice.gateway.name || self.plant.machine(name.as_str()).is_some()
    }

    /// Where its alarm stands, if it ever had one.
    pub(super) fn standing(&self, name: &Name) -> Option<&Standing> {
        match self.plant.machine(name.as_str()) {
            Some(machine) => machine.standing(),
            None if *name == self.voice.gateway.name => self.oversight.own().standing(),
            None => None,
        }
    }

    /// Answers commands, then publishes what is asked for again, as much as the link takes now.
    pub(super) fn reply(&mut self) {
        while let Some(reply) = self.replies.pop_front() {
            // Without a connection nobody waits for an answer any more.
            if let Err(Refusal::Full(back)) = self.link.publish_now(reply, Qos::AtLeastOnce) {
                self.replies.push_front(back);
                return;
            }
        }
        while let Some((name, from_seq)) = self.replays.pop_front() {
            let topic = self.voice.topics.event(&name);
            for entry in self.outbox.replay(name.as_str(), from_seq).filter(|entry| entry.publication.topic == topic) {
                let payload = AlarmPayload::replayed(&entry.publication.payload);
                let publication = Publication { payload, ..entry.publication };
                if let Err(Refusal::Full(_) | Refusal::Offline(_)) =
                    self.link.publish_now(publication, Qos::AtLeastOnce)
                {
                    self.replays.push_front((name.clone(), entry.seq));
                    return;
                }
            }
        }
    }
}

/// Answers that may wait for the broker: more than anybody asks for within the time that he waits for one.
const MOST_REPLIES: usize = 8192;
/// Replays that may wait for each other.
const MOST_REPLAYS: usize = 16;
