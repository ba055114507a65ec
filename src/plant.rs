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
    /// The channels and their values, NaN where there is none.
    pub names: &'p [Name],
    pub values: &'p [f64],
    pub observation: Observation,
}

/// Makes machines.
pub trait MachineMaker {
    /// One that was not heard of before.
    fn make(&mut self, name: &Name) -> (Machine, Alignment, Channels);

    /// Brings one that another maker has made to what this one knows; `names` are its channels. With channels where it
    /// had to be made anew.
    fn renew(&mut self, machine: &mut Machine, names: &[Name]) -> (Alignment, Option<Channels>);
}

/// All machines of one gateway.
pub struct Plant<M> {
    inputs: Vec<Input>,
    maker: M,
    most_machines: usize,
    /// No machine may bear it: the gateway speaks of itself under it.
    reserved: Option<Name>,
    largest_payload: usize,
    machines: BTreeMap<Name, Box<Watched>>,
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
            reserved: None,
            largest_payload: bounds.payload,
            machines: BTreeMap::new(),
            rejections: Rejections::default(),
            newest_refusal: None,
        }
    }

    /// Takes no machine of this name.
    pub fn reserving(self, name: Name) -> Self {
        Self { reserved: Some(name), ..self }
    }

    /// Watches a machine from the start, heard of or not.
    pub fn add(&mut self, name: &Name) {
        if !self.machines.contains_key(name) {
            let watched = self.make(name);
            self.machines.insert(name.clone(), watched);
        }
    }

    /// Watches a machine that something else than its telemetry tells of, if there is room; whether it is watched now.
    pub fn admit(&mut self, name: &Name) -> bool {
        let admitted = self.machines.contains_key(name) || self.machines.len() < self.most_machines;
        if admitted {
            self.add(name);
        }
        admitted
    }

    /// Goes on under another configuration. Whatever it does not touch keeps its state.
    pub fn renew(&mut self, inputs: Vec<Input>, bounds: Bounds, mut maker: M) {
        for watched in self.machines.values_mut() {
            let names = watched.aligner.channels().names().to_vec();
            match maker.renew(&mut watched.machine, &names) {
                (alignment, Some(channels)) => watched.aligner = Aligner::new(alignment, channels),
                (alignment, None) => watched.aligner.set_lateness(alignment.lateness),
            }
        }
        self.inputs = inputs;
        self.most_machines = bounds.machines;
        self.largest_payload = bounds.payload;
        self.maker = maker;
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
        let told = |watched: &mut Box<Watched>| Some((watched.machine.name().clone(), watched.machine.pass_time(now)?));
        self.machines.values_mut().filter_map(told).collect()
    }

    /// What every machine remembers.
    pub fn memories(&self) -> Vec<(Name, Memory)> {
        let memory = |watched: &Watched| {
            let names = watched.aligner.channels().names();
            (watched.machine.name().clone(), watched.machine.memory(names))
        };
        self.machines.values().map(|watched| memory(watched)).collect()
    }

    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values().map(|watched| &watched.machine)
    }

    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.get(name).map(|watched| &watched.machine)
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

    /// Counts messages that were dropped before anybody looked at them.
    pub fn count_shed(&mut self, messages: u64) {
        self.rejections.add(Rejection::Shed, messages);
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
        // A channel that nobody asked for is no fault of a message that is scored.
        let refused = refused.filter(|refused| *refused != Rejection::UnknownChannel);
        for rejection in refused.into_iter().chain(fault) {
            self.refuse(message.topic, rejection);
        }
        Ok(())
    }

    fn newcomer(&mut self, name: &str) -> Result<(Name, Box<Watched>), Rejection> {
        let name = Name::parse(name).map_err(|_| Rejection::BadName)?;
        if self.reserved.as_ref() == Some(&name) {
            return Err(Rejection::BadName);
        }
        if self.machines.len() >= self.most_machines {
            return Err(Rejection::UnknownMachine);
        }
        let watched = self.make(&name);
        Ok((name, watched))
    }

    fn make(&mut self, name: &Name) -> Box<Watched> {
        let (machine, alignment, channels) = self.maker.make(name);
        Box::new(Watched { machine, aligner: Aligner::new(alignment, channels) })
    }
}

impl Watched {
    /// Lets every sample go that is due and tells of a reading that was left out.
    fn let_go(&mut self, now: Now, observed: &mut dyn FnMut(Observed<'_>)) -> Option<Fault> {
        let mut fault = None;
        while let Some((channels, sample)) = self.aligner.next_sample(now) {
            let Sample { time, values, .. } = sample;
            let observation = self.machine.observe(channels.names(), sample, now);
            fault = fault.or(observation.fault);
            let fitted = observation.fitted.is_some();
            observed(Observed { machine: &self.machine, time, names: channels.names(), values, observation });
            if fitted {
                self.aligner.fix_channels();
            }
        }
        fault
    }
}

fn as_rejection(fault: Fault) -> Rejection {
    match fault {
        Fault::OutOfRange => Rejection::OutOfRange,
        Fault::UnitChanged => Rejection::UnitChanged,
        Fault::Frozen => Rejection::Frozen,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::advisory::{Library, MachineFacts};
    use crate::detection::{ChannelProfile, Role};
    use crate::machine::{CalibrationLength, Profile};
    use crate::manipulation::Limits;

    /// Makes machines with one channel that they must report, a temperature of −40 to 250 °C, and any other.
    struct Maker(Arc<Library>);

    impl MachineMaker for Maker {
        fn make(&mut self, name: &Name) -> (Machine, Alignment, Channels) {
            let temperature = ChannelProfile {
                name: Name::parse("t").unwrap(),
                unit: Some("°C".to_owned()),
                limits: Limits { low: Some(-40.0), high: Some(250.0) },
                role: Role::Scored,
                drift: 0.0,
            };
            let facts = MachineFacts::new(name.clone());
            let universal = Profile::universal(self.0.clone(), facts, CalibrationLength::Samples(100));
            let profile = Profile { channels: [temperature].into(), ..universal };
            let alignment = Alignment { cadence: Duration::from_secs(1), lateness: Duration::from_secs(10) };
            let channels = Channels::fixed([Name::parse("t").unwrap()]);
            (Machine::learning(name.clone(), profile), alignment, channels)
        }

        fn renew(&mut self, machine: &mut Machine, _: &[Name]) -> (Alignment, Option<Channels>) {
            let (made, alignment, channels) = self.make(&machine.name().clone());
            *machine = made;
            (alignment, Some(channels))
        }
    }

    fn plant() -> Plant<Maker> {
        let pattern = |text| TopicPattern::parse(text).unwrap();
        let inputs = vec![
            Input { pattern: pattern("plant/{machine}/telemetry"), format: Format::Json },
            Input { pattern: pattern("values/{machine}/{channel}"), format: Format::Value },
        ];
        Plant::new(inputs, Bounds { machines: 2, payload: 100 }, Maker(Arc::new(Library::shipped())))
    }

    fn now() -> Now {
        Now { utc: Timestamp::from_second(1_795_538_400).unwrap(), steady: Duration::from_secs(1) }
    }

    fn message<'m>(topic: &'m str, payload: &'m str) -> Message<'m> {
        Message { topic, payload: payload.as_bytes(), retained: false, redelivered: false }
    }

    #[test]
    fn each_message_that_is_not_scored_is_counted_by_its_cause() {
        let mut plant = plant().reserving(Name::parse("g1").unwrap());
        let large = format!("{{\"t\":1,\"x\":\"{}\"}}", "y".repeat(100));
        let long = format!("plant/{}/telemetry", "m".repeat(129));
        for (message, cause) in [
            (message("yard/a/telemetry", "{\"t\":1}"), Rejection::UnknownTopic),
            (message(&long, "{\"t\":1}"), Rejection::BadName),
            (message("plant/g1/telemetry", "{\"t\":1}"), Rejection::BadName),
            (message("plant/a/telemetry", &large), Rejection::Oversize),
            (Message { retained: true, ..message("plant/a/telemetry", "{\"t\":1}") }, Rejection::Retained),
            (message("plant/a/telemetry", "{\"t\":300}"), Rejection::OutOfRange),
            (message("values/a/other", "1"), Rejection::UnknownChannel),
        ] {
            let before = plant.rejections().of(cause);
            plant.receive(message, now(), &mut |_| {});
            assert_eq!(plant.rejections().of(cause), before + 1, "{cause:?}");
        }
        plant.count_shed(3);
        assert_eq!(plant.rejections().of(Rejection::Shed), 3);
    }

    #[test]
    fn garbage_makes_no_machine_and_there_are_no_more_than_may_be() {
        let mut plant = plant();
        plant.receive(message("plant/a/telemetry", "garbage"), now(), &mut |_| {});
        assert_eq!(plant.machines().count(), 0);
        for machine in ["a", "b", "c"] {
            plant.receive(message(&format!("plant/{machine}/telemetry"), "{\"t\":1}"), now(), &mut |_| {});
        }
        let names: Vec<&str> = plant.machines().map(|machine| machine.name().as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(plant.rejections().of(Rejection::UnknownMachine), 1);
    }

    #[test]
    fn a_temperature_that_arrives_in_fahrenheit_is_left_out_and_counted() {
        let mut plant = plant();
        let mut scores = Vec::new();
        for sample in 0..140u32 {
            let celsius = 50.0 + f64::from(sample * 7 % 11) / 10.0;
            let value = if sample < 130 { celsius } else { celsius * 1.8 + 32.0 };
            let payload = format!("{{\"t\":{value}}}");
            plant.receive(message("plant/a/telemetry", &payload), now(), &mut |observed| {
                scores.push(observed.observation.score);
            });
        }
        assert_eq!(plant.rejections().of(Rejection::UnitChanged), 10);
        assert!(scores[100..130].iter().all(|score| score.is_some_and(|score| score < 1.0)));
        assert!(scores[130..].iter().all(Option::is_none), "there is nothing left to score");
    }
}
