use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tracing::{info, warn};

use crate::acquisition::Name;
use crate::advisory::{Library, MachineFacts};
use crate::alarm::Standing;
use crate::assessment::SymptomTable;
use crate::checkpoint::{Calibrations, Found};
use crate::config::{Config, Kind};
use crate::detection::ChannelProfile;
use crate::generation::{Condition, LearnedGenerator};
use crate::machine::{Machine, Memory, Profile, Told};
use crate::manipulation::{Alignment, Channels};
use crate::models::Model;
use crate::plant::MachineMaker;

/// What a run takes from its surroundings, read and verified.
pub struct Stock {
    pub kinds: BTreeMap<Name, StockedKind>,
    pub library: Arc<Library>,
    /// For twins that are not to be made by what is fitted to their machines.
    pub twins: HashMap<Name, StockedTwin>,
}

/// A trained generator for a machine's twin, and the condition that it is to show.
pub struct StockedTwin {
    pub generator: LearnedGenerator,
    pub condition: Condition,
}

/// A kind with its model and the faults that it can have.
#[derive(Clone)]
pub struct StockedKind {
    pub kind: Kind,
    pub channels: Arc<[ChannelProfile]>,
    pub model: Option<Arc<Model>>,
    pub symptoms: Arc<SymptomTable>,
}

/// Makes machines: from the configuration, their kinds, and what was kept of them.
pub struct Workshop {
    config: Config,
    stock: Stock,
    /// The faults of a machine of no kind.
    symptoms: Arc<SymptomTable>,
    calibrations: Calibrations,
    standings: HashMap<Name, (Standing, Told)>,
    memories: HashMap<Name, Memory>,
}

impl Workshop {
    pub fn new(config: &Config, stock: Stock) -> Self {
        Self {
            calibrations: Calibrations::in_state_dir(&config.state_dir),
            config: config.clone(),
            symptoms: Arc::new(stock.library.symptoms(None)),
            stock,
            standings: HashMap::new(),
            memories: HashMap::new(),
        }
    }

    /// Where the alarms of machines stood before a restart.
    pub fn with_standings(self, standings: HashMap<Name, (Standing, Told)>) -> Self {
        Self { standings, ..self }
    }

    /// What machines remembered before a restart.
    pub fn with_memories(self, memories: HashMap<Name, Memory>) -> Self {
        Self { memories, ..self }
    }

    /// The trained generators of twins, by machine; they are handed out once.
    pub fn take_twins(&mut self) -> HashMap<Name, StockedTwin> {
        std::mem::take(&mut self.stock.twins)
    }

    pub fn profile(&self, name: &Name) -> Profile {
        let keys = self.config.machine(name);
        let stocked = keys.kind.as_ref().and_then(|kind| self.stock.kinds.get(kind));
        Profile {
            channels: stocked.map(|stocked| stocked.channels.clone()).unwrap_or_default(),
            model: stocked.and_then(|stocked| stocked.model.clone()),
            symptoms: stocked.map_or(&self.symptoms, |stocked| &stocked.symptoms).clone(),
            library: self.stock.library.clone(),
            facts: MachineFacts { name: name.clone(), lockout: keys.lockout.clone(), parts: keys.parts.clone() },
            calibrate: keys.calibration_length(),
            cadence: keys.cadence.or(stocked.map(|stocked| stocked.kind.cadence)),
            delays: self.config.delays,
            operating_point: keys.alarm_profile.unwrap_or(self.config.operating_point),
            false_alarms_per_day: self.config.false_alarms_per_day,
            cycle: keys.cycle.or(stocked.and_then(|stocked| stocked.kind.cycle())).unwrap_or_default(),
            running: keys.running.or_else(|| stocked.and_then(|stocked| stocked.kind.running())),
            maintenance: self.config.maintenance.clone(),
        }
    }

    fn alignment(&self, name: &Name, profile: &Profile) -> Alignment {
        let cadence = profile.cadence.unwrap_or(std::time::Duration::from_secs(1));
        Alignment { cadence, lateness: self.config.machine(name).lateness() }
    }

    /// A machine as it was calibrated before, or one that has yet to learn.
    fn machine(&self, name: &Name, profile: Profile) -> (Machine, Option<Channels>) {
        let learning = |profile| (Machine::learning(name.clone(), profile), None);
        match self.calibrations.load(name, &profile.fingerprint()) {
            Found::Fitted(fitted) => {
                let names: Vec<Name> = fitted.calibration.parts().map(|(name, _)| name.clone()).collect();
                match Machine::fitted(name.clone(), profile.clone(), *fitted) {
                    Ok(machine) => {
                        info!(machine = %name, "goes on with its calibration");
                        (machine, Some(Channels::fixed(names)))
                    }
                    Err(error) => {
                        warn!(machine = %name, %error, "its calibration cannot be used; it learns anew");
                        learning(profile)
                    }
                }
            }
            Found::Nothing => learning(profile),
            Found::ForAnotherProfile => {
                warn!(machine = %name, "was calibrated for another model or kind; it learns anew");
                learning(profile)
            }
            Found::Quarantined { why } => {
                warn!(machine = %name, %why, "its calibration file was put aside; it learns anew");
                learning(profile)
            }
        }
    }
}

impl MachineMaker for Workshop {
    fn make(&mut self, name: &Name) -> (Machine, Alignment, Channels) {
        let profile = self.profile(name);
        let alignment = self.alignment(name, &profile);
        let of_kind = Channels::fixed(profile.channels.iter().map(|channel| channel.name.clone()));
        let (mut machine, of_calibration) = self.machine(name, profile);
        if let Some((standing, told)) = self.standings.remove(name) {
            machine.resume(standing, told);
        }
        let mut channels = of_calibration.unwrap_or(if of_kind.is_empty() { Channels::default() } else { of_kind });
        if let Some(memory) = self.memories.remove(name) {
            if channels.is_empty() && memory.fingerprint == machine.profile().fingerprint() {
                channels = Channels::seen(memory.channels.iter().cloned());
            }
            machine.recall(channels.names(), memory);
        }
        (machine, alignment, channels)
    }

    fn renew(&mut self, machine: &mut Machine, names: &[Name]) -> (Alignment, Option<Channels>) {
        let name = machine.name().clone();
        let profile = self.profile(&name);
        let alignment = self.alignment(&name, &profile);
        if machine.adopt(profile) {
            return (alignment, None);
        }
        info!(machine = %name, "is made anew: what decides its score, or how long it learns, has changed");
        if let (Some(standing), Some(told)) = (machine.standing(), machine.told()) {
            self.standings.insert(name.clone(), (standing.clone(), told.clone()));
        }
        self.memories.insert(name.clone(), machine.memory(names));
        let (made, alignment, channels) = self.make(&name);
        *machine = made;
        (alignment, Some(channels))
    }
}
