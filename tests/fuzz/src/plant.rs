//! A whole plant: messages, clocks that step, commands and restarts, in any order.

use std::collections::HashMap;
use std::time::Duration;

use jiff::SignedDuration;
use wheeltapper::acquisition::{Format, Name, TopicPattern};
use wheeltapper::alarm::{Action, Deed};
use wheeltapper::clock::Now;
use wheeltapper::machine::{Announcement, Fitted, Machine, Memory};
use wheeltapper::manipulation::{Alignment, Channels, MOST_CHANNELS};
use wheeltapper::plant::{Bounds, Input, MachineMaker, Message, Observed, Plant};
use wheeltapper::publication::{AlarmPayload, Gateway};

use crate::bench;
use crate::history::History;
use crate::script::{Line, lines};

pub fn run(data: &[u8]) {
    let mut world = World::default();
    let mut plant = world.plant(Kept::default());
    let mut budget = MOST_MESSAGES;
    for line in lines(data, 100) {
        match line.word {
            "wait" => world.wait(line.number()),
            "poll" => plant.poll(world.now, &mut |observed| world.record.hear(&observed)),
            "restart" => plant = world.restarted(plant),
            "ack" | "suppress" => world.act(&mut plant, line),
            // `send 60 plant/m/telemetry {"a":$}`: so many messages, `$` a number that wobbles.
            word @ ("send" | "retained" | "again") => {
                let times = line.number::<u16>().clamp(1, 200).min(budget);
                budget -= times;
                for time in 0..times {
                    world.send(&mut plant, (word, line.next().1), usize::from(time));
                }
            }
            _ => {}
        }
        for (name, announcement) in plant.pass_time(world.now) {
            world.record.tell(&name, &announcement);
        }
        assert!(plant.machines().count() <= MOST_MACHINES);
    }
}

struct World {
    now: Now,
    record: Record,
}

/// What was published of each machine.
#[derive(Default)]
struct Record {
    histories: HashMap<Name, History>,
    newest: HashMap<Name, Announcement>,
    fitted: HashMap<Name, Fitted>,
}

/// What a restart finds.
#[derive(Default)]
struct Kept {
    memories: HashMap<Name, Memory>,
    fitted: HashMap<Name, Fitted>,
    newest: HashMap<Name, Announcement>,
}

impl World {
    fn plant(&self, kept: Kept) -> Plant<Kept> {
        let input = |(pattern, format)| Input { pattern: TopicPattern::parse(pattern).expect("a pattern"), format };
        let inputs = [("plant/{machine}/telemetry", Format::Json), ("values/{machine}/{channel}", Format::Value)];
        Plant::new(inputs.map(input).into(), Bounds { machines: MOST_MACHINES, payload: 2000 }, kept)
    }

    fn wait(&mut self, milliseconds: i64) {
        let step = SignedDuration::from_millis(milliseconds.clamp(-MOST_WAITED, MOST_WAITED));
        self.now.utc = self.now.utc.checked_add(step).unwrap_or(self.now.utc);
        self.now.steady += step.unsigned_abs();
    }

    fn send(&mut self, plant: &mut Plant<Kept>, (word, line): (&str, Line<'_>), row: usize) {
        let (topic, line) = line.next();
        let mut payload = Vec::new();
        for (channel, piece) in line.rest.split(|byte| *byte == b'$').enumerate() {
            if channel > 0 {
                payload.extend(bench::wobble(row, channel).to_string().bytes());
            }
            payload.extend(piece);
        }
        let before = plant.rejections().total();
        let mut samples = 0;
        let message = Message { topic, payload: &payload, retained: word == "retained", redelivered: word == "again" };
        plant.receive(message, self.now, &mut |observed| {
            samples += 1;
            self.record.hear(&observed);
        });
        let refused = plant.rejections().total() - before;
        assert_eq!(plant.take_newest_refusal().is_some(), refused > 0, "a refusal that is not told of");
        assert!(!message.retained || (samples, refused) == (0, 1), "a retained message was scored");
        if row > 0 {
            self.wait(1000);
        }
    }

    fn act(&mut self, plant: &mut Plant<Kept>, line: Line<'_>) {
        let (name, line) = line.next();
        let Some(machine) = plant.machine_mut(name) else { return };
        let deed = match line.word {
            "ack" => Deed::Acknowledge,
            _ => Deed::Suppress { on: line.text() != "off", reason: None },
        };
        let action = Action { operator: "m.ito".to_owned(), episode: None, deed };
        if let Ok(Some(announcement)) = machine.act(&action, self.now) {
            let name = machine.name().clone();
            self.record.tell(&name, &announcement);
        }
    }

    /// Everything is written down, read back, and goes on.
    fn restarted(&mut self, plant: Plant<Kept>) -> Plant<Kept> {
        let memories = plant.memories();
        let names: Vec<Name> = memories.iter().map(|(name, _)| name.clone()).collect();
        let written = postcard::to_stdvec(&memories).expect("a memory can always be written");
        let read: Vec<(Name, Memory)> = postcard::from_bytes(&written).expect("what was written can be read");
        let kept = Kept {
            memories: read.into_iter().collect(),
            fitted: self.record.fitted.clone(),
            newest: self.record.newest.clone(),
        };
        let mut plant = self.plant(kept);
        names.iter().for_each(|name| plant.add(name));
        plant
    }
}

impl Default for World {
    fn default() -> Self {
        Self { now: bench::at(Duration::ZERO), record: Record::default() }
    }
}

impl Record {
    fn hear(&mut self, observed: &Observed<'_>) {
        let Observed { machine, observation, .. } = observed;
        assert!(observation.score.is_none_or(|score| score >= 0.0 && score.is_finite()), "{:?}", observation.score);
        assert!((0.0..=1.0).contains(&observation.quality), "{}", observation.quality);
        let shares: f64 = machine.contributions().iter().map(|contribution| contribution.share).sum();
        assert!(shares.abs() < 1e-6 || (shares - 1.0).abs() < 1e-6, "shares sum to {shares}");
        assert!(machine.contributions().len() <= MOST_CHANNELS);
        if let Some(fitted) = &observation.fitted {
            self.fitted.insert(machine.name().clone(), (**fitted).clone());
        }
        for announcement in &observation.announcements {
            self.tell(machine.name(), announcement);
        }
    }

    fn tell(&mut self, name: &Name, announcement: &Announcement) {
        self.histories.entry(name.clone()).or_default().take(&announcement.transition);
        self.newest.insert(name.clone(), announcement.clone());
        let gateway = Gateway { name: name.clone(), config_sha256: String::new() };
        let payload = AlarmPayload::new(announcement.clone(), name, bench::universal().identity(), &gateway).to_json();
        assert!(AlarmPayload::from_json(&payload).is_some(), "a payload that cannot be read back after a restart");
    }
}

impl MachineMaker for Kept {
    fn make(&mut self, name: &Name) -> (Machine, Alignment, Channels) {
        let mut channels = Channels::default();
        let profile = bench::universal();
        let mut machine = match self.fitted.remove(name) {
            Some(fitted) => {
                channels = Channels::fixed(fitted.calibration.parts().map(|(name, _)| name.clone()));
                Machine::fitted(name.clone(), profile, fitted).expect("without a network nothing can fail")
            }
            None => Machine::learning(name.clone(), profile),
        };
        if let Some(Announcement { transition, told }) = self.newest.remove(name) {
            machine.resume(transition, told);
        }
        if let Some(memory) = self.memories.remove(name) {
            if channels.is_empty() {
                channels = Channels::seen(memory.channels.iter().cloned());
            }
            machine.recall(channels.names(), memory);
        }
        let alignment = Alignment { cadence: Duration::from_secs(1), lateness: Duration::from_secs(10) };
        (machine, alignment, channels)
    }

    fn renew(&mut self, machine: &mut Machine, _: &[Name]) -> (Alignment, Option<Channels>) {
        assert!(machine.adopt(bench::universal()), "nothing has changed");
        (Alignment { cadence: Duration::from_secs(1), lateness: Duration::from_secs(10) }, None)
    }
}

const MOST_MACHINES: usize = 3;
const MOST_MESSAGES: u16 = 500;
/// In milliseconds, a year.
const MOST_WAITED: i64 = 365 * 86_400_000;
