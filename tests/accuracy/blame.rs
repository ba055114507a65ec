//! Whether the channel that is at fault is named: faults put into one or two channels of sound machines.

use std::path::Path;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use wheeltapper::acquisition::Name;
use wheeltapper::alarm::{Class, State};
use wheeltapper::clock::Now;
use wheeltapper::detection::Part;
use wheeltapper::machine::{Fitted, Machine, Memory, Observation};
use wheeltapper::manipulation::Sample;

use super::Floors;
use super::rates::{noise, normal, walks};
use super::series::{Series, universal};
use super::sets::{Rig, skab_sound, tep_sound};

pub fn report(data: &Path, seeds: std::ops::Range<u64>, floors: &mut Floors) {
    println!("\nthe faulty channel is named, in percent: at the raise / by the mean shares of the rows in alarm");
    println!("  {:<28} {:>15} {:>15} {:>15} {:>15} {:>8}", "", "step", "drift", "noise", "stuck", "found");
    for (channels, asked, held) in [(1, 95.0, 95.0), (2, 85.0, 85.0)] {
        println!("  {}", if channels == 1 { "one channel: it leads" } else { "two channels: they are the first two" });
        let mut all = Tally::default();
        for series in machines(data) {
            let machine = Calibrated::of(&series);
            let by_fault = FAULTS.map(|fault| {
                let mut tally = Tally::default();
                seeds.clone().for_each(|seed| machine.try_fault(fault, channels, seed, &mut tally));
                all.add(&tally);
                tally
            });
            print_line(&series.name, &by_fault);
        }
        let title = if channels == 1 { "one faulty channel leads" } else { "two faulty channels lead" };
        if channels > 1 {
            floors.at_least("one of two faulty channels leads at the raise, %", all.led_by_one(), [asked, 95.0]);
        }
        floors.at_least(
            &format!("{title} at the raise, %"),
            all.at_the_raise(),
            [asked, if channels == 1 { held } else { 80.0 }],
        );
        floors.at_least(&format!("{title} while it lasts, %"), all.while_it_lasts(), [asked, held]);
    }
}

#[derive(Clone, Copy)]
enum Fault {
    Step,
    Drift,
    Noise,
    Stuck,
}

/// How often a fault was found and its channels were named.
#[derive(Default)]
struct Tally {
    tried: usize,
    found: usize,
    /// The first channel is one of the faulty ones.
    led_by_one: usize,
    named_at_the_raise: usize,
    named_while_it_lasts: usize,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.tried += other.tried;
        self.found += other.found;
        self.led_by_one += other.led_by_one;
        self.named_at_the_raise += other.named_at_the_raise;
        self.named_while_it_lasts += other.named_while_it_lasts;
    }

    fn at_the_raise(&self) -> f64 {
        100.0 * self.named_at_the_raise as f64 / self.found.max(1) as f64
    }

    fn led_by_one(&self) -> f64 {
        100.0 * self.led_by_one as f64 / self.found.max(1) as f64
    }

    fn while_it_lasts(&self) -> f64 {
        100.0 * self.named_while_it_lasts as f64 / self.found.max(1) as f64
    }
}

fn print_line(name: &str, by_fault: &[Tally]) {
    let named = |tally: &Tally| format!("{:.1} / {:.1}", tally.at_the_raise(), tally.while_it_lasts());
    let cells: Vec<String> = by_fault.iter().map(|tally| format!("{:>15}", named(tally))).collect();
    let found: Vec<String> = by_fault.iter().map(|tally| format!("{}/{}", tally.found, tally.tried)).collect();
    println!("  {name:<28} {}   {}", cells.join(" "), found.join(" "));
}

/// A sound machine, calibrated, as it stood at some of the rows after.
struct Calibrated<'s> {
    series: &'s Series,
    fitted: Fitted,
    /// Where faults may begin, with what the machine remembers there.
    onsets: Vec<(usize, Memory)>,
    /// Places of the channels that are judged.
    scored: Vec<usize>,
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl<'s> Calibrated<'s> {
    fn of(series: &'s Series) -> Self {
        let mut machine = Machine::learning(machine_name(), universal(series.calibrate));
        let mut fitted = None;
        let mut onsets = Vec::new();
        let last = series.rows.len() - LASTS;
        let every = (last - series.calibrate) / ONSETS;
        for row in 0..last {
            let begins = row > series.calibrate && (row - series.calibrate) % every == every / 2;
            // Of a machine that alarms already nothing can be told.
            if begins && machine.standing().is_none_or(|standing| standing.state == State::Normal) {
                onsets.push((row, machine.memory(&series.channels)));
            }
            let observation = observe(&mut machine, series, row, &series.rows[row]);
            fitted = fitted.or(observation.fitted);
        }
        let fitted = *fitted.expect("it was calibrated");
        let judged: Vec<Name> = fitted
            .calibration
            .parts()
            .filter(|(_, part)| *part == Part::Scored)
            .map(|(name, _)| name.clone())
            .collect();
        let start = &series.rows[..series.calibrate];
        let mean = |place: usize| start.iter().map(|row| row[place]).sum::<f64>() / start.len() as f64;
        let means: Vec<f64> = (0..series.channels.len()).map(mean).collect();
        let variance = |place: usize| {
            start.iter().map(|row| (row[place] - means[place]).powi(2)).sum::<f64>() / start.len() as f64
        };
        Self {
            series,
            onsets,
            scored: (0..series.channels.len()).filter(|&place| judged.contains(&series.channels[place])).collect(),
            deviations: (0..series.channels.len()).map(|place| variance(place).sqrt()).collect(),
            means,
            fitted,
        }
    }

    /// Tries one kind of fault on every channel, or on as many pairs, at every onset.
    fn try_fault(&self, fault: Fault, count: usize, seed: u64, tally: &mut Tally) {
        for (onset, memory) in &self.onsets {
            let mut random = ChaCha8Rng::seed_from_u64(1000 * seed + *onset as u64);
            for &first in &self.scored {
                let mut others: Vec<usize> = self.scored.iter().copied().filter(|&other| other != first).collect();
                others.shuffle(&mut random);
                let faulty: Vec<usize> = [first].into_iter().chain(others.into_iter().take(count - 1)).collect();
                self.try_channels(fault, &faulty, (*onset, memory), tally, &mut random);
            }
        }
    }

    fn try_channels(
        &self,
        fault: Fault,
        faulty: &[usize],
        (onset, memory): (usize, &Memory),
        tally: &mut Tally,
        random: &mut ChaCha8Rng,
    ) {
        let profile = universal(self.series.calibrate);
        let machine = Machine::fitted(machine_name(), profile, self.fitted.clone());
        let mut machine = machine.expect("the universal profile has no network");
        machine.recall(&self.series.channels, memory.clone());
        let sizes: Vec<f64> =
            faulty.iter().map(|_| random.random_range(5.0..8.0) * if random.random() { 1.0 } else { -1.0 }).collect();
        let mut shares = vec![0.0; self.series.channels.len()];
        let mut sums = shares.clone();
        let mut at_the_raise = None;
        let mut deficient = None;
        for row in onset..onset + LASTS {
            let mut values = self.series.rows[row].clone();
            for (&place, &size) in faulty.iter().zip(&sizes) {
                let sigma = self.deviations[place];
                match fault {
                    Fault::Step => values[place] += size * sigma,
                    Fault::Drift => values[place] += size * sigma * ((row - onset) as f64 / 100.0).min(1.0),
                    Fault::Noise => values[place] += size * sigma * normal(random),
                    Fault::Stuck => values[place] = self.means[place] + size * sigma,
                }
            }
            let observation = observe(&mut machine, self.series, row, &values);
            for announcement in &observation.announcements {
                match announcement.transition.class {
                    Class::Condition if at_the_raise.is_none() && observation.holds => {
                        let named = announcement.told.contributions.iter().map(|it| it.channel.clone());
                        at_the_raise = Some(named.collect::<Vec<Name>>());
                    }
                    Class::Condition => {}
                    Class::DataQuality => deficient = deficient.or(announcement.transition.reason.clone()),
                }
            }
            if observation.holds && (row - onset) % LOOKS_EVERY == 0 {
                machine.write_shares(&mut shares);
                sums.iter_mut().zip(&shares).for_each(|(sum, share)| *sum += share);
            }
        }
        // A sensor that hangs is told of as a sensor; the score goes on without it.
        let reason = deficient.unwrap_or_default();
        let mut names: Vec<&Name> = faulty.iter().map(|&place| &self.series.channels[place]).collect();
        let told = names.iter().any(|name| reason.contains(name.as_str()));
        names.retain(|name| !reason.contains(name.as_str()));
        let among = |leading: &[&Name]| names.iter().all(|name| leading.contains(name));
        let mut order = self.scored.clone();
        order.sort_by(|&one, &other| sums[other].total_cmp(&sums[one]));
        let lasting: Vec<&Name> = order.iter().take(faulty.len()).map(|&place| &self.series.channels[place]).collect();
        let raised: Vec<&Name> = at_the_raise.iter().flatten().take(faulty.len()).collect();
        let found = at_the_raise.is_some() || told;
        tally.tried += 1;
        tally.found += usize::from(found);
        let leads =
            raised.first().is_some_and(|first| faulty.iter().any(|&place| self.series.channels[place] == **first));
        tally.led_by_one += usize::from(found && (told || leads));
        tally.named_at_the_raise += usize::from(found && among(&raised));
        tally.named_while_it_lasts += usize::from(found && among(&lasting));
    }
}

fn observe(machine: &mut Machine, series: &Series, row: usize, values: &[f64]) -> Observation {
    let time = series.times[row];
    let now = Now { utc: time, steady: Duration::ZERO };
    machine.observe(&series.channels, Sample { time, values }, now)
}

fn machine_name() -> Name {
    Name::parse("machine").expect("a name")
}

fn machines(data: &Path) -> Vec<Series> {
    let pump = skab_sound(data);
    let stretch = |from: usize| Series {
        name: format!("pump without faults, row {from}"),
        rows: pump.rows[from..from + 2200].to_vec(),
        times: pump.times[from..from + 2200].to_vec(),
        labels: pump.labels[from..from + 2200].to_vec(),
        calibrate: 1000,
        ..pump.clone()
    };
    let [few, many] = <[Series; 2]>::try_from(Rig::open(data).longest(data)).unwrap_or_else(|_| panic!("two runs"));
    vec![
        stretch(0),
        stretch(4000),
        Series { calibrate: 1000, ..few },
        Series { calibrate: 3000, ..many },
        tep_sound(data),
        Series { calibrate: 1000, ..noise() },
        Series { calibrate: 1000, ..walks() },
    ]
}

const FAULTS: [Fault; 4] = [Fault::Step, Fault::Drift, Fault::Noise, Fault::Stuck];
/// In rows.
const LASTS: usize = 150;
/// A machine.
const ONSETS: usize = 4;
/// In rows: to look at each is dear and tells no more.
const LOOKS_EVERY: usize = 10;
