use super::fitted::FittedGenerator;
use super::{Condition, GenerationError, Generator, LearnedGenerator};
use crate::notation::show_duration;

/// What a running machine would show in another condition, cycle by cycle: its newest whole cycle is encoded as that of a sound
/// machine, led back to the noise that a diffusion would make it of, and decoded under the condition that is asked for.
///
/// The machine's own scale stays: each channel's mean and deviation over its calibration stand for those that the generator
/// gives a sound machine.
pub struct Counterpart {
    generator: LearnedGenerator,
    condition: Condition,
    /// The phase of the generator's window in which the machine's phase 0 lies.
    offset: usize,
    channels: Vec<Matched>,
    /// The newest value of each phase, on the generator's scale.
    seen: Vec<f64>,
    /// Since the beginning, and from then on since the middle of the newest whole cycle.
    rows: usize,
    phase: usize,
    /// What the newest whole cycle became.
    window: Option<Vec<f64>>,
}

/// A machine that no twin can be made of with this generator.
#[derive(Debug, thiserror::Error)]
pub enum CounterpartError {
    #[error("the package has no encoder, so that it cannot take up what a machine does; choose another one")]
    NoEncoder,
    #[error("a row of the machine comes every {found}, one of the package every {expected}")]
    Cadence { found: String, expected: String },
    #[error(
        "the machine's rows repeat after {found} rows (0: not at all), those of the package after {expected}; calibrate it on \
         whole load cycles"
    )]
    Cycle { found: usize, expected: usize },
    #[error("the machine does not report {missing}, which the package encodes")]
    Channels { missing: String },
    #[error(transparent)]
    Generation(#[from] GenerationError),
}

/// A channel of the generator beside the machine's.
struct Matched {
    /// Among the machine's.
    place: usize,
    /// Mean and deviation: the machine's, the generator's.
    own: (f64, f64),
    made: (f64, f64),
}

impl Counterpart {
    /// Gives the generator back where none can be made.
    pub fn new(
        mut generator: LearnedGenerator,
        condition: Condition,
        machine: &FittedGenerator,
    ) -> Result<Self, Box<(LearnedGenerator, CounterpartError)>> {
        match matched(&mut generator, machine) {
            Ok((channels, offset, usual)) => {
                let counterpart =
                    Self { generator, condition, offset, channels, seen: usual, rows: 0, phase: 0, window: None };
                Ok(counterpart)
            }
            Err(error) => Err(Box::new((generator, error))),
        }
    }

    pub fn generator(&self) -> &LearnedGenerator {
        &self.generator
    }

    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    pub fn into_generator(self) -> LearnedGenerator {
        self.generator
    }

    /// Takes the machine's newest row, NaN where it has no value, in its phase; gives its counterpart's, in the order of the
    /// generator's channels, as soon as a whole cycle was seen.
    pub fn follow(&mut self, row: &[f64], phase: usize) -> Result<Option<Vec<f64>>, GenerationError> {
        let length = self.generator.layout().window;
        let phase = (phase + self.offset) % length;
        // A phase that was told a little too early is no new cycle.
        if self.phase.saturating_sub(phase) > length / 2 && self.rows >= length {
            self.turn()?;
            self.rows = length / 2;
        }
        self.phase = phase;
        self.rows = self.rows.saturating_add(1);
        let width = self.channels.len();
        for (seen, channel) in self.seen[phase * width..].iter_mut().zip(&self.channels) {
            let value = row.get(channel.place).copied().unwrap_or(f64::NAN);
            // What is missing stays as it was a cycle ago, or as a sound machine has it.
            if value.is_finite() {
                *seen = rescaled(value, channel.own, channel.made);
            }
        }
        let Some(window) = &self.window else { return Ok(None) };
        let layout = self.generator.layout();
        let values = window[phase * width..(phase + 1) * width].iter().zip(&self.channels).zip(&layout.channels);
        Ok(Some(values.map(|((value, it), channel)| channel.shown(rescaled(*value, it.made, it.own))).collect()))
    }

    /// A cycle has ended.
    fn turn(&mut self) -> Result<(), GenerationError> {
        let healthy = [self.generator.layout().healthy()];
        let Some(latent) = self.generator.encode(std::slice::from_ref(&self.seen), &healthy)? else { return Ok(()) };
        let noise = self.generator.invert(latent, &healthy)?;
        let windows = self.generator.from_noise(noise, std::slice::from_ref(&self.condition))?;
        self.window = windows.into_iter().next();
        Ok(())
    }
}

/// The channels of both, the phase that the machine's phase 0 has, and the generator's usual window of a sound machine.
fn matched(
    generator: &mut LearnedGenerator,
    machine: &FittedGenerator,
) -> Result<(Vec<Matched>, usize, Vec<f64>), CounterpartError> {
    if !generator.model().encodes() {
        return Err(CounterpartError::NoEncoder);
    }
    let (layout, own) = (generator.layout().clone(), machine.layout());
    if layout.cadence.abs_diff(own.cadence) * 20 > layout.cadence {
        let [found, expected] = [own.cadence, layout.cadence].map(show_duration);
        return Err(CounterpartError::Cadence { found, expected });
    }
    let template = machine.template().filter(|_| own.window == layout.window).ok_or_else(|| {
        CounterpartError::Cycle { found: machine.phases().map_or(0, |phases| phases.period()), expected: layout.window }
    })?;
    let width = layout.channels.len();
    let windows = generator.windows(&vec![layout.healthy(); WINDOWS])?;
    let mut usual = vec![0.0; layout.window * width];
    for window in &windows {
        usual.iter_mut().zip(window).for_each(|(usual, value)| *usual += value / WINDOWS as f64);
    }
    let mut channels = Vec::new();
    for (at, channel) in layout.channels.iter().enumerate() {
        let place = machine.channel_names().position(|name| *name == channel.name);
        let found = place.zip(machine.moments(&channel.name));
        let (place, own) = found.ok_or_else(|| CounterpartError::Channels { missing: channel.name.to_string() })?;
        let values: Vec<f64> =
            windows.iter().flat_map(|window| window.iter().skip(at).step_by(width)).copied().collect();
        channels.push(Matched { place, own, made: moments(&values) });
    }
    // The turn at which both cycles look most alike.
    let alike = |offset: &usize| -> f64 {
        let phases = (0..layout.window).flat_map(|phase| channels.iter().enumerate().map(move |it| (phase, it)));
        let products = phases.map(|(phase, (at, channel))| {
            let own_value = (template[phase * own.channels.len() + channel.place] - channel.own.0) / channel.own.1;
            let made = (usual[(phase + offset) % layout.window * width + at] - channel.made.0) / channel.made.1;
            own_value * made
        });
        products.sum()
    };
    let offset = (0..layout.window).max_by(|one, other| alike(one).total_cmp(&alike(other))).unwrap_or(0);
    Ok((channels, offset, usual))
}

fn rescaled(value: f64, from: (f64, f64), to: (f64, f64)) -> f64 {
    (value - from.0) / from.1 * to.1 + to.0
}

fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64;
    (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
}

/// Of a sound machine, for what is usual.
const WINDOWS: usize = 24;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::acquisition::Name;
    use crate::detection::{ChannelProfile, LoadCycle, Rhythm};
    use crate::generation::fitted::Lesson;
    use crate::generation::{Request, Rig};
    use crate::models::{GeneratorModel, shipped};

    /// A made-up rig that begins in the midst of its cycle, with gauges that show 3 more.
    fn rig(seed: u64, rows: usize) -> (Vec<Name>, Vec<Vec<f64>>) {
        let mut rig = Rig::new(seed).unwrap();
        let names = rig.channels().map(|name| Name::parse(name).unwrap()).collect();
        let mut row = Vec::new();
        let mut all = Vec::new();
        for second in 0..rows + 23 {
            rig.next_row(None, &mut row);
            if second >= 23 {
                all.push(row.iter().map(|value| value + 3.0).collect());
            }
        }
        (names, all)
    }

    fn generator(name: &str) -> LearnedGenerator {
        let model = GeneratorModel::load(&shipped(name).unwrap(), false, 1).unwrap();
        LearnedGenerator::new(model, 5, false)
    }

    fn learned(rows: Vec<Vec<f64>>, names: &[Name]) -> FittedGenerator {
        let rhythm = Rhythm { cadence: Duration::from_secs(1), cycle: LoadCycle::Lasts(Duration::from_secs(60)) };
        Lesson { rows, channels: names.iter().cloned().map(ChannelProfile::of).collect(), rhythm }.fit().unwrap()
    }

    #[test]
    fn a_leaking_counterpart_pumps_less_than_its_sound_machine_and_a_sound_one_as_much() {
        let (names, rows) = rig(1, 600);
        let machine = learned(rows.clone(), &names);
        for package in ["hydraulic-latent", "hydraulic-vae", "hydraulic-diffusion"] {
            let mut flows = Vec::new();
            for label in ["pump=0", "pump=2"] {
                let generator = generator(package);
                let flow =
                    generator.layout().channels.iter().position(|channel| channel.name.as_str() == "FS1").unwrap();
                let mut nothing_is_drawn = crate::generation::noise::stream(0, 0);
                let request = Request::parse(label, generator.layout()).unwrap();
                let condition = request.draw(generator.layout(), &mut nothing_is_drawn);
                let mut counterpart = Counterpart::new(generator, condition, &machine).map_err(|it| it.1).unwrap();
                let (mut sum, mut own) = (0.0, 0.0);
                // The rows begin in phase 0 of the template.
                for (at, row) in rows[..300].iter().enumerate() {
                    if let Some(values) = counterpart.follow(row, at % 60).unwrap() {
                        sum += values[flow];
                        own += row[names.iter().position(|name| name.as_str() == "FS1").unwrap()];
                    }
                }
                assert!(own > 0.0, "it spoke after a cycle");
                flows.push((sum / own, own));
            }
            let (sound, leaking) = (flows[0].0, flows[1].0);
            assert!((sound - 1.0).abs() < 0.02, "{package}: {flows:?}");
            assert!(leaking < sound - 0.005, "{package}: {flows:?}");
        }
    }

    #[test]
    fn a_machine_that_does_not_suit_the_package_is_told_why() {
        let (names, rows) = rig(2, 600);
        let why = |generator, machine: &FittedGenerator| {
            let healthy = Generator::layout(&generator).healthy();
            match Counterpart::new(generator, healthy, machine) {
                Ok(_) => panic!("it suits"),
                Err(failed) => failed.1.to_string(),
            }
        };
        let machine = learned(rows.clone(), &names);
        assert!(why(generator("hydraulic-gan"), &machine).contains("no encoder"));
        let renamed: Vec<Name> = names.iter().map(|name| Name::parse(&format!("x{name}")).unwrap()).collect();
        assert!(why(generator("hydraulic-latent"), &learned(rows.clone(), &renamed)).contains("does not report CE"));
        let rhythm = Rhythm { cadence: Duration::from_secs(1), cycle: LoadCycle::Never };
        let channels = names.iter().cloned().map(ChannelProfile::of).collect();
        let still = Lesson { rows, channels, rhythm }.fit().unwrap();
        assert!(why(generator("hydraulic-latent"), &still).contains("0: not at all"));
    }
}
