use super::GeneratorManifest;
use super::batch::Stage;
use super::check::check;
use super::manifest::{NetworkEntry, Role};
use super::vectors::{RoleCase, RoleVectors};
use crate::models::Reproduced;
use crate::models::intake::{Broken, Opened, PackageError, PackageFiles, Task, listed};

/// A generator's package that kept every promise of its manifest.
pub struct GeneratorModel {
    manifest: GeneratorManifest,
    sha256: String,
    shipped: bool,
    reproduced: Reproduced,
    networks: Networks,
}

/// The networks of a generator, ready to run.
pub struct Networks {
    /// `x`, `noise_level`, `condition` → `prediction`; none in families that need no steps.
    pub denoiser: Option<Stage>,
    /// `x`, `condition` and, where the graph uses it, `noise` → `series`.
    pub decoder: Stage,
    /// `series`, `condition` → `mean` and, of a VAE, `log_variance`; none of a GAN.
    pub encoder: Option<Stage>,
    /// `previous`, `noise` → `next`, one window a call, for each needs the one before.
    pub continuation: Stage,
}

impl GeneratorModel {
    /// Reads a package and makes it prove what it promises, with networks for `batch` windows a call.
    ///
    /// `allow_unsigned` admits a package whose manifest is not one of those that this binary was built with.
    pub fn load(files: &dyn PackageFiles, allow_unsigned: bool, batch: usize) -> Result<Self, PackageError> {
        let loaded = Opened::read(files, allow_unsigned).and_then(|opened| Self::verified(files, opened, batch.max(1)));
        loaded.map_err(|what| PackageError { origin: files.origin(), what })
    }

    pub fn manifest(&self) -> &GeneratorManifest {
        &self.manifest
    }

    /// Of the manifest, which holds the hashes of all other files.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether it is one of those that this binary was built with.
    pub fn is_shipped(&self) -> bool {
        self.shipped
    }

    /// How well it reproduces its test vectors.
    pub fn reproduced(&self) -> Reproduced {
        self.reproduced
    }

    /// Each network, by its role.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, &Stage)> {
        let Networks { denoiser, decoder, encoder, continuation } = &self.networks;
        let all = [
            (Role::Denoiser, denoiser.as_ref()),
            (Role::Decoder, Some(decoder)),
            (Role::Encoder, encoder.as_ref()),
            (Role::Continuation, Some(continuation)),
        ];
        all.into_iter().filter_map(|(role, stage)| Some((role.name(), stage?)))
    }

    /// Whether it can take up measured windows.
    pub fn encodes(&self) -> bool {
        self.networks.encoder.is_some()
    }

    pub fn networks(&mut self) -> &mut Networks {
        &mut self.networks
    }

    fn verified(files: &dyn PackageFiles, opened: Opened, batch: usize) -> Result<Self, Broken> {
        if opened.task()? != Task::Generate {
            let what = "task is \"denoise\", a model that makes telemetry must have the task \"generate\"";
            return Err(Broken::Contract(what.to_owned()));
        }
        let manifest: GeneratorManifest = opened.parse()?;
        check(&manifest).map_err(Broken::Contract)?;
        check_other_files(files, &manifest)?;
        let bytes = listed(files, &manifest.files, &manifest.vectors.path)?;
        let unfit = |why: String| Broken::Vectors { path: manifest.vectors.path.clone(), why };
        let vectors: RoleVectors = serde_json::from_slice(&bytes).map_err(|error| unfit(error.to_string()))?;
        if let Some(role) = vectors.keys().find(|role| manifest.networks.iter().all(|it| it.role.name() != **role)) {
            return Err(unfit(format!("there is no network of the role {role:?}")));
        }
        let mut reproduced = Reproduced { cases: 0, largest: 0.0, tolerance: manifest.vectors.tolerance };
        let mut stages = Vec::new();
        for entry in &manifest.networks {
            let batch = if entry.role == Role::Continuation { 1 } else { batch };
            let onnx = listed(files, &manifest.files, &entry.path)?;
            let stage = Stage::read(&onnx, entry, &manifest.generator, batch);
            let mut stage = stage.map_err(|why| Broken::Graph(format!("{}: {why}", entry.path)))?;
            let cases = vectors.get(entry.role.name()).map_or(&[][..], Vec::as_slice);
            if cases.is_empty() {
                return Err(unfit(format!("there is no case of the {}", entry.role.name())));
            }
            for (index, case) in cases.iter().enumerate() {
                let case = Case { manifest: &manifest, entry, case, name: format!("{} {index}", entry.role.name()) };
                let largest = case.largest_difference(&mut stage)?;
                reproduced.cases += 1;
                reproduced.largest = reproduced.largest.max(largest);
            }
            stages.push((entry.role, stage));
        }
        let mut take = |role| stages.iter().position(|(of, _)| *of == role).map(|place| stages.swap_remove(place).1);
        let (denoiser, encoder) = (take(Role::Denoiser), take(Role::Encoder));
        let (Some(decoder), Some(continuation)) = (take(Role::Decoder), take(Role::Continuation)) else {
            return Err(Broken::Contract("a decoder and a continuation are needed".to_owned()));
        };
        let networks = Networks { denoiser, decoder, encoder, continuation };
        let Opened { sha256, shipped, .. } = opened;
        Ok(Self { manifest, sha256, shipped, reproduced, networks })
    }
}

/// A case of the vectors for one of the networks.
struct Case<'a> {
    manifest: &'a GeneratorManifest,
    entry: &'a NetworkEntry,
    case: &'a RoleCase,
    name: String,
}

impl Case<'_> {
    /// By how much the stage misses it at most, if the manifest allows it; of values beyond one as a share of them.
    fn largest_difference(&self, stage: &mut Stage) -> Result<f32, Broken> {
        let Self { manifest, entry, case, name } = self;
        let unfit =
            |why: String| Broken::Vectors { path: manifest.vectors.path.clone(), why: format!("case {name} {why}") };
        let size = |name: &str| entry.role.shape(name, &manifest.generator).iter().product();
        let inputs = case.inputs(&entry.inputs, size).map_err(unfit)?;
        let expected = case.outputs(&entry.output, size).map_err(unfit)?;
        let found = stage.run(1, &inputs).map_err(|error| unfit(error.to_string()))?;
        let pairs = found.iter().flatten().zip(expected.into_iter().flatten());
        let differences = pairs.map(|(found, expected)| (found - expected).abs() / expected.abs().max(1.0));
        let largest = differences.map(|it| if it.is_nan() { f32::INFINITY } else { it }).fold(0.0, f32::max);
        let tolerance = manifest.vectors.tolerance;
        if largest > tolerance {
            return Err(Broken::Difference { case: name.clone(), largest, tolerance });
        }
        Ok(largest)
    }
}

/// Files that are neither a network nor the vectors must be what the manifest says all the same.
fn check_other_files(files: &dyn PackageFiles, manifest: &GeneratorManifest) -> Result<(), Broken> {
    for file in &manifest.files {
        let network = manifest.networks.iter().any(|network| network.path == file.path);
        if file.path.ends_with(".onnx") && !network {
            return Err(Broken::Contract(format!("{} is listed, but no [[network]] is made of it", file.path)));
        }
        if !network && file.path != manifest.vectors.path {
            listed(files, &manifest.files, &file.path)?;
        }
    }
    Ok(())
}
