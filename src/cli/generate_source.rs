use std::path::{Path, PathBuf};

use super::outcome::Failure;
use super::surroundings;
use crate::acquisition::Name;
use crate::checkpoint::{FoundGenerator, Generators};
use crate::generation::{Generator, LearnedGenerator, Lineage};
use crate::models::{Folder, GeneratorModel, SamplerName, ScheduleName, shipped};

/// Which generator, and how it is set up.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// The generator: a package's folder, or the name of one that the binary brings along
    #[arg(long, value_name = "NAME", default_value = "hydraulic-latent", conflicts_with = "machine")]
    model: PathBuf,
    /// The machine whose own calibration is the generator, instead of a package: its data are of a sound machine, without labels
    #[arg(long, value_name = "NAME", value_parser = Name::parse, requires = "config", conflicts_with_all = ONLY_OF_PACKAGES)]
    machine: Option<Name>,
    /// The configuration of the machine's gateway: it says where calibrations are kept
    #[arg(long, value_name = "FILE", requires = "machine")]
    config: Option<PathBuf>,
    /// A folder of packages that comes before those of the binary
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Takes a package that the binary was not built with
    #[arg(long)]
    allow_unsigned: bool,
    /// How strongly the condition is told to the denoiser; 1: not more than it was in training
    #[arg(long, value_name = "G")]
    guidance: Option<f64>,
    /// How a step is made: ddpm, ddim or dpm++
    #[arg(long)]
    sampler: Option<SamplerName>,
    /// How the noise falls: linear, cosine or offset-cosine
    #[arg(long)]
    schedule: Option<ScheduleName>,
    /// Steps from noise to data
    #[arg(long, value_name = "S")]
    steps: Option<usize>,
    /// Starts every window afresh, instead of where the one before ended
    #[arg(long)]
    loose: bool,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl SourceArgs {
    /// The generator, with where its data come from.
    pub fn open(&self) -> Result<(Box<dyn Generator + Send>, Lineage), Failure> {
        if let (Some(machine), Some(config)) = (&self.machine, &self.config) {
            return self.fitted(machine, config);
        }
        let generator = self.learned()?;
        let lineage = Lineage::of(&generator);
        Ok((Box::new(generator), lineage))
    }

    fn fitted(&self, machine: &Name, config: &Path) -> Result<(Box<dyn Generator + Send>, Lineage), Failure> {
        let generators = Generators::in_state_dir(&surroundings::config(config)?.state_dir);
        let missing = |why: &str| {
            let path = generators.path(machine);
            Failure::failed(format_args!(
                "--machine {machine}: {why} ({}); calibrate it with `wheeltapper calibrate RECORDING --machine {machine} --config \
                 {}`, or let the gateway do it",
                path.display(),
                config.display()
            ))
        };
        match generators.load(machine) {
            FoundGenerator::Fitted { generator, sha256 } => {
                let lineage = Lineage::of_fitted(machine, sha256, self.seed);
                Ok((Box::new(generator.series(self.seed)), lineage))
            }
            FoundGenerator::Nothing => Err(missing("no generator was fitted to it yet")),
            FoundGenerator::Quarantined { why } => Err(missing(&format!("its generator's file was put aside: {why}"))),
        }
    }

    fn learned(&self) -> Result<LearnedGenerator, Failure> {
        let mut generator = LearnedGenerator::new(self.package()?, self.seed, self.loose);
        let asked =
            self.guidance.is_some() || self.sampler.is_some() || self.schedule.is_some() || self.steps.is_some();
        let Some(descent) = generator.descent_mut() else {
            if asked {
                return Err(Failure::usage(format_args!(
                    "--guidance, --sampler, --schedule and --steps are for diffusion; the model {} needs no steps",
                    self.model.display()
                )));
            }
            return Ok(generator);
        };
        descent.sampler = self.sampler.unwrap_or(descent.sampler);
        descent.schedule = self.schedule.unwrap_or(descent.schedule);
        descent.steps = self.steps.unwrap_or(descent.steps);
        descent.guidance = self.guidance.unwrap_or(descent.guidance);
        if !(1..=10_000).contains(&descent.steps) {
            return Err(Failure::usage(format_args!("--steps {}: expected 1 to 10000, e.g. 20", descent.steps)));
        }
        if !(0.0..=20.0).contains(&descent.guidance) {
            return Err(Failure::usage(format_args!("--guidance {}: expected 0 to 20, e.g. 1.5", descent.guidance)));
        }
        Ok(generator)
    }

    fn package(&self) -> Result<GeneratorModel, Failure> {
        let in_folder = self.models.as_ref().map(|models| models.join(&self.model)).filter(|path| path.is_dir());
        let folder = in_folder.or_else(|| self.model.is_dir().then(|| self.model.clone()));
        let brought = self.model.to_str().and_then(shipped);
        let model = match (folder, brought) {
            (Some(folder), _) => GeneratorModel::load(&Folder(folder), self.allow_unsigned, BATCH),
            (None, Some(package)) => GeneratorModel::load(&package, self.allow_unsigned, BATCH),
            (None, None) => {
                return Err(Failure::usage(format_args!(
                    "--model {}: there is no such folder, and the binary brings no such package along; `wheeltapper model \
                     list` shows them",
                    self.model.display()
                )));
            }
        };
        model.map_err(Failure::config)
    }
}

/// Windows a call of the networks.
pub(super) const BATCH: usize = 64;
const ONLY_OF_PACKAGES: [&str; 7] = ["models", "allow_unsigned", "guidance", "sampler", "schedule", "steps", "loose"];
