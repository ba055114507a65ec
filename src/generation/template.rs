use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Deserialize;

use super::normal::standard_normal;

/// A hydraulic rig that was never built: the mean load cycle of the real one, what each defect adds to it, and noise.
///
/// A row is base + effects + slow noise (first-order autoregressive) + white noise, as the package's model card has it.
pub struct Rig {
    channels: Vec<Channel>,
    /// Per condition the added cycle, `[second][channel]`.
    effects: Vec<(String, String, Vec<Vec<f64>>)>,
    base: Vec<Vec<f64>>,
    random: ChaCha8Rng,
    second: u64,
    /// How much of the effect is there now; a component does not break from one second to the next.
    present: Vec<f64>,
}

/// The condition of one component, in the units of the recording, e.g. pump at 2 (severe internal leakage).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    pub component: String,
    pub level: String,
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("hydraulic template: {0}")]
    Table(#[from] csv::Error),
    #[error("hydraulic template: {0}")]
    Content(&'static str),
}

struct Channel {
    name: String,
    white: f64,
    phi: f64,
    slow: f64,
    state: f64,
}

#[derive(Deserialize)]
struct Noise {
    channel: String,
    white_sd: f64,
    ar1_phi: f64,
    ar1_sd: f64,
}

impl Rig {
    /// The rig that the binary brings along.
    pub fn new(seed: u64) -> Result<Self, TemplateError> {
        Self::from_tables(CYCLE, NOISE, seed)
    }

    fn from_tables(cycle: &str, noise: &str, seed: u64) -> Result<Self, TemplateError> {
        let mut channels = Vec::new();
        for row in csv::Reader::from_reader(noise.as_bytes()).deserialize() {
            let Noise { channel, white_sd, ar1_phi, ar1_sd } = row?;
            channels.push(Channel { name: channel, white: white_sd, phi: ar1_phi, slow: ar1_sd, state: 0.0 });
        }
        let mut effects: Vec<(String, String, Vec<Vec<f64>>)> = Vec::new();
        for record in csv::Reader::from_reader(cycle.as_bytes()).records() {
            let record = record?;
            let cell = |place: usize| record.get(place).unwrap_or_default();
            let values: Result<Vec<f64>, _> = (3..record.len()).map(|place| cell(place).parse()).collect();
            let values = values.map_err(|_| TemplateError::Content("a cell is no number"))?;
            if values.len() != channels.len() {
                return Err(TemplateError::Content("cycle and noise do not have the same channels"));
            }
            match effects.last_mut().filter(|(component, level, _)| component == cell(0) && level == cell(1)) {
                Some((_, _, rows)) => rows.push(values),
                None => effects.push((cell(0).to_owned(), cell(1).to_owned(), vec![values])),
            }
        }
        let base = effects.iter().position(|(component, ..)| component == "base");
        let base = base.map(|place| effects.remove(place).2).ok_or(TemplateError::Content("there is no base cycle"))?;
        if base.is_empty() || effects.iter().any(|(.., rows)| rows.len() != base.len()) {
            return Err(TemplateError::Content("not every cycle has the same length"));
        }
        let present = vec![0.0; effects.len()];
        Ok(Self { channels, effects, base, random: ChaCha8Rng::seed_from_u64(seed), second: 0, present })
    }

    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|channel| channel.name.as_str())
    }

    /// The next second of a rig in this condition, in the order of [`Rig::channels`]; `None`: all components sound.
    pub fn next_row(&mut self, condition: Option<&Defect>, row: &mut Vec<f64>) {
        let second = (self.second % self.base.len() as u64) as usize;
        self.second += 1;
        for (present, (component, level, _)) in self.present.iter_mut().zip(&self.effects) {
            let wanted = condition.is_some_and(|c| c.component == *component && c.level == *level);
            *present = if wanted { (*present + STEP).min(1.0) } else { (*present - STEP).max(0.0) };
        }
        row.clear();
        for (place, channel) in self.channels.iter_mut().enumerate() {
            let innovation = channel.slow * (1.0 - channel.phi * channel.phi).sqrt();
            channel.state = channel.phi * channel.state + innovation * standard_normal(&mut self.random);
            let noise = channel.state + channel.white * standard_normal(&mut self.random);
            let effects: f64 =
                self.present.iter().zip(&self.effects).map(|(present, (.., rows))| present * rows[second][place]).sum();
            // Where the rig stands still its flow and efficiency read zero, whatever the noise.
            let level = self.base[second][place];
            row.push(if level == 0.0 { 0.0 } else { level + effects + noise });
        }
    }
}

const CYCLE: &str = include_str!("../../models/hydraulic-template/cycle.csv");
const NOISE: &str = include_str!("../../models/hydraulic-template/noise.csv");
/// A condition comes and goes within thirty seconds.
const STEP: f64 = 1.0 / 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(seed: u64, condition: Option<&Defect>, count: usize) -> Vec<Vec<f64>> {
        let mut rig = Rig::new(seed).unwrap();
        let mut row = Vec::new();
        (0..count)
            .map(|_| {
                rig.next_row(condition, &mut row);
                row.clone()
            })
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_rows_and_another_one_others() {
        assert_eq!(rows(7, None, 100), rows(7, None, 100));
        assert_ne!(rows(7, None, 100), rows(8, None, 100));
    }

    #[test]
    fn a_leaking_pump_takes_flow_from_the_working_circuit() {
        let rig = Rig::new(0).unwrap();
        let flow = rig.channels().position(|channel| channel == "FS1").unwrap();
        let leak = Defect { component: "pump".into(), level: "2".into() };
        let mean = |rows: Vec<Vec<f64>>| rows[60..].iter().map(|row| row[flow]).sum::<f64>() / (rows.len() - 60) as f64;
        assert!(mean(rows(7, Some(&leak), 360)) < 0.97 * mean(rows(7, None, 360)));
    }
}
