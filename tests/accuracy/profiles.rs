//! What the profiles of alarms and the roles of channels change, on the pump.

use std::path::Path;
use std::time::Duration;

use wheeltapper::config::{Kind, shipped_kind};
use wheeltapper::detection::{ChannelProfile, Role};
use wheeltapper::machine::{OperatingPoint, Profile};

use super::Floors;
use super::judge::{Confusion, Events, auprc};
use super::rates::machines;
use super::series::{Series, universal};
use super::sets::skab;

pub fn report(data: &Path, floors: &mut Floors) {
    let files = skab(data);
    let sound: Vec<Series> = machines(data).into_iter().map(|machine| Series { calibrate: 1000, ..machine }).collect();
    println!("\nSKAB, profiles of alarms ({} files), and alarms of {} sound machines", files.len(), sound.len());
    println!("  {TITLES} {:>10}", "sound");
    let figures = [OperatingPoint::Balanced, OperatingPoint::Quiet].map(|operating_point| {
        let profile = |rows| Profile { operating_point, ..universal(rows) };
        let figures = Figures::of(files.iter(), profile);
        let begun = |machine: &Series| {
            let alarms = machine.score_as(profile(machine.calibrate)).alarms;
            alarms.windows(2).filter(|pair| pair[1] && !pair[0]).count()
        };
        let alone: usize = sound.iter().map(begun).sum();
        println!("  {} {alone:>10}", figures.line(&format!("{operating_point:?}").to_lowercase()));
        (figures, alone)
    });
    let [(balanced, sound), (quiet, sound_and_quiet)] = figures;
    let fewer = balanced.events.false_alarms_a_day() / quiet.events.false_alarms_a_day().max(1e-9);
    floors.at_least("quiet: times fewer false alarms on SKAB", fewer, [2.0, 1.3]);
    floors.at_least("quiet: events found on SKAB, of 14", quiet.events.found as f64, [10.0, 9.0]);
    let fewer = sound as f64 / sound_and_quiet.max(1) as f64;
    floors.at_least("quiet: times fewer alarms of sound machines", fewer, [2.0; 2]);

    println!("\nSKAB, roles of the two temperatures");
    println!("  {TITLES}");
    for (half, title) in [(0, "even"), (1, "odd")] {
        for (name, role) in roles() {
            let profile = |rows| Profile { channels: pump_with(role).into(), ..universal(rows) };
            println!(
                "  {}",
                Figures::of(files.iter().skip(half).step_by(2), profile).line(&format!("{title}, {name}"))
            );
        }
    }
}

struct Figures {
    confusion: Confusion,
    auprc: f64,
    events: Events,
}

impl Figures {
    fn of<'s>(files: impl Iterator<Item = &'s Series>, profile: impl Fn(usize) -> Profile) -> Self {
        let mut figures = Self { confusion: Confusion::default(), auprc: 0.0, events: Events::default() };
        let mut count = 0.0;
        for file in files {
            let scored = file.score_as(profile(file.calibrate));
            figures.confusion.add(Confusion::of(file.judged(), &scored.alarms));
            figures.auprc += auprc(file.judged(), &scored.scores);
            figures.events.add(Events::of(file.judged(), &scored.alarms, &file.seconds()));
            count += 1.0;
        }
        Self { auprc: figures.auprc / count, ..figures }
    }

    fn line(&self, name: &str) -> String {
        let Self { confusion, auprc, events } = self;
        format!(
            "{name:<26} {:>6.3} {:>6.1} {:>6.1} {auprc:>7.4} {:>8} {:>7.0} {:>9.1}",
            confusion.f1(),
            confusion.far(),
            confusion.mar(),
            format!("{}/{}", events.found, events.there),
            events.delay(0.5),
            events.false_alarms_a_day()
        )
    }
}

fn roles() -> [(String, Role); 6] {
    let slow = |seconds| {
        let time_constant = Duration::from_secs(seconds);
        (format!("slow, {seconds} s"), Role::Slow { time_constant })
    };
    [
        ("scored".to_owned(), Role::Scored),
        ("context".to_owned(), Role::Context),
        slow(60),
        slow(120),
        slow(300),
        slow(600),
    ]
}

/// The kind of the pump, with another role for its temperatures, in the order of the recording.
fn pump_with(role: Role) -> Vec<ChannelProfile> {
    let kind = Kind::parse(shipped_kind("water-pump").expect("it is shipped"), "water-pump").expect("it can be read");
    let mut channels = kind.channels();
    for channel in channels.iter_mut().filter(|channel| TEMPERATURES.contains(&channel.name.as_str())) {
        channel.role = role;
    }
    channels
}

const TEMPERATURES: [&str; 2] = ["Temperature", "Thermocouple"];
const TITLES: &str = "                               F1    FAR    MAR   AUPRC   events   delay false/day";
