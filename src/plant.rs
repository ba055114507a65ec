//! All machines of one gateway: a message comes in, goes to its machine, and what its samples led to goes out.
//!
//! It makes machines up to a bound as they are heard of, and counts by cause whatever is refused. Still pure: no socket,
//! no file, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::acquisition::{Format, Name, Rejection, Rejections, TopicPattern, decode_json, decode_value};
use crate::clock::Now;
use crate::machine::{Announcement, Machine, Memory, Observation};
use crate::manipulation::{Aligner, Alignment, Arrival, Channels, Fault, Sample};

/// Where telemetry comes from.
#[derive(Clone, Debug)]
pub struct Input {
    pub pattern: TopicPattern,
    pub format: Format,
}

/// One message from the broker.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    pub topic: &'m str,
    pub payload: &'m [u8],
    /// The broker kept it for new subscribers; it says nothing about now.
    pub retained: bool,
    /// The broker may have delivered it before.
    pub redelivered: bool,
}

/// What one sample of one machine led to.
pub struct Observed<'p> {
    pub machine: &'p Machine,
    pub time: Timestamp,
    pub observation: Observation,
}

/// Makes a machine that was not heard of before.
pub trait MachineMaker {
    fn make(&mut self, name: &Name) -> (Machine, Alignment, Channels);
}

/// All machines of one gateway.
pub struct Plant<M> {
    inputs: Vec<Input>,
    maker: M,
    most_machines: usize,
    largest_payload: usize,
    machines: BTreeMap<Name, Watched>,
    rejections: Rejections,
    /// The newest refusal, for the log.
    newest_refusal: Option<Refused>,
}

/// A message, or a part of one, that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub topic: String,
    pub rejection: Rejection,
}

/// Bounds of what a plant takes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub machines: usize,
    pub payload: usize,
}

struct Watched {
    machine: Machine,
    aligner: Aligner,
}

impl<M: MachineMaker> Plant<M> {
    pub fn new(inputs: Vec<Input>, bounds: Bounds, maker: M) -> Self {
        Self {
            inputs,
            maker,
            most_machines: bounds.machines,
            largest_payload: bounds.payload,
            machines: BTreeMap::new(),
            rejections: Rejections::default(),
            newest_refusal: None,
        }
    }

    /// Watches a machine from the start, heard of or not.
    pub fn add(&mut self, name: &Name) {
        if !self.machines.contains_key(name) {
            let watched = self.make(name);
            self.machines.insert(name.clone(), watched);
        }
    }

    /// Takes one message and hands on what its samples lead to.
    pub fn receive(&mut self, message: Message<'_>, now: Now, observed: &mut dyn FnMut(Observed<'_>)) {
        if let Err(rejection) = self.take(message, now, observed) {
            self.refuse(message.topic, rejection);
        }
    }

    /// Lets samples go that have waited for their channels long enough.
    pub fn poll(&mut self, now: Now, observed: &mut dyn FnMut(Observed<'_>)) {
        for watched in self.machines.values_mut() {
            let fault = watched.let_go(now, observed);
            if let Some(rejection) = fault.map(as_rejection) {
                self.rejections.count(rejection);
            }
        }
    }

    /// Lets time pass for alarms: what is shelved comes back when its time is up.
    pub fn pass_time(&mut self, now: Now) -> Vec<(Name, Announcement)> {
        let told = |watched: &mut Watched| Some((watched.machine.name().clone(), watched.machine.pass_time(now)?));
        self.machines.values_mut().filter_map(told).collect()
    }

    /// What every machine remembers.
    pub fn memories(&self) -> Vec<(Name, Memory)> {
        let memory = |watched: &Watched| {
            let names = watched.aligner.channels().names();
            (watched.machine.name().clone(), watched.machine.memory(names))
        };
        self.machines.values().map(memory).collect()
    }

    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values().map(|watched| &watched.machine)
    }

    pub fn machine_mut(&mut self, name: &str) -> Option<&mut Machine> {
        self.machines.get_mut(name).map(|watched| &mut watched.machine)
    }

    pub fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// The newest refusal since this was last asked.
    pub fn take_newest_refusal(&mut self) -> Option<Refused> {
        self.newest_refusal.take()
    }

    /// Counts a message that was refused before it came here.
    pub fn refuse(&mut self, topic: &str, rejection: Rejection) {
        self.rejections.count(rejection);
        self.newest_refusal = Some(Refused { topic: topic.chars().take(200).collect(), rejection });
    }

    fn take(
        &mut self,
        message: Message<'_>,
        now: Now,
        observed: &mut dyn FnMut(Observed<'_>),
    ) -> Result<(), Rejection> {
        if message.payload.len() > self.largest_payload {
            return Err(Rejection::Oversize);
        }
        if message.retained {
            return Err(Rejection::Retained);
        }
        let matching = |input: &Input| input.pattern.captures(message.topic).map(|captures| (input.format, captures));
        let (format, captures) = self.inputs.iter().find_map(matching).ok_or(Rejection::UnknownTopic)?;
        // A machine comes to be with a message that can be read, not with garbage on a topic.
        let mut newcomer = match self.machines.contains_key(captures.machine) {
            true => None,
            false => Some(self.newcomer(captures.machine)?),
        };
        let known = self.machines.get_mut(captures.machine);
        let watched = newcomer.as_mut().map(|(_, watched)| watched).or(known).ok_or(Rejection::UnknownMachine)?;
        let decoded = match format {
            Format::Json => decode_json(message.payload, &mut watched.aligner),
            Format::Value => {
                let channel = captures.channel.ok_or(Rejection::UnknownTopic)?;
                decode_value(message.payload, channel, &mut watched.aligner).map(|()| None)
            }
        };
        let arrival = Arrival { now, redelivered: message.redelivered };
        let committed = decoded.and_then(|stamp| watched.aligner.commit(stamp, arrival));
        if let Err(rejection) = committed {
            watched.aligner.drop_staged();
            return Err(rejection);
        }
        let refused = watched.aligner.take_refused();
        let fault = watched.let_go(now, observed).map(as_rejection);
        self.machines.extend(newcomer);
        for rejection in refused.into_iter().chain(fault) {
            self.refuse(message.topic, rejection);
        }
        Ok(())
    }

    fn newcomer(&mut self, name: &str) -> Result<(Name, Watched), Rejection> {
        let name = Name::parse(name).map_err(|_| Rejection::BadName)?;
        if self.machines.len() >= self.most_machines {
            return Err(Rejection::UnknownMachine);
        }
        let watched = self.make(&name);
        Ok((name, watched))
    }

    fn make(&mut self, name: &Name) -> Watched {
        let (machine, alignment, channels) = self.maker.make(name);
        Watched { machine, aligner: Aligner::new(alignment, channels) }
    }
}

impl Watched {
    /// Lets every sample go that is due and tells of a reading that was left out.
    fn let_go(&mut self, now: Now, observed: &mut dyn FnMut(Observed<'_>)) -> Option<Fault> {
        let mut fault = None;
        while let Some((channels, sample)) = self.aligner.next_sample(now) {
            let Sample { time, .. } = sample;
            let observation = self.machine.observe(channels.names(), sample, now);
            fault = fault.or(observation.fault);
            if observation.fitted.is_some() {
                self.aligner.fix_channels();
            }
            observed(Observed { machine: &self.machine, time, observation });
        }
        fault
    }
}

fn as_rejection(fault: Fault) -> Rejection {
    match fault {
        Fault::OutOfRange => Rejection::OutOfRange,
        Fault::UnitChanged => Rejection::UnitChanged,
    }
}
