use serde::Serialize;

use super::engine::{Engine, EngineKind, TurnedDown};
use super::intake::{Broken, Opened, PackageError, PackageFiles, Task, check_tolerance, listed};
use super::network::network;
use super::reference::Reference;
use super::vectors::TestVectors;
use super::window::WindowDenoiser;
use super::{Denoiser, InferenceError, Manifest};
use crate::manipulation::LARGEST_WINDOW;

/// A package that kept every promise of its manifest.
pub struct Model {
    manifest: Manifest,
    sha256: String,
    shipped: bool,
    reproduced: Reproduced,
    engine: Engine,
    turned_down: Vec<TurnedDown>,
}

/// How well the files of a package reproduced its test vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reproduced {
    pub cases: usize,
    /// The largest absolute difference, in scaled units.
    pub largest: f32,
    /// What the manifest allows.
    pub tolerance: f32,
}

impl Model {
    /// Reads a package, makes it prove what it promises, and chooses the fastest engine that keeps it.
    ///
    /// `allow_unsigned` admits a package whose manifest is not one of those that this binary was built with.
    pub fn load(files: &dyn PackageFiles, allow_unsigned: bool) -> Result<Self, PackageError> {
        Self::load_from(files, allow_unsigned, EngineKind::Ring)
    }

    /// The same without the engines that are faster than `first`.
    pub fn load_from(files: &dyn PackageFiles, allow_unsigned: bool, first: EngineKind) -> Result<Self, PackageError> {
        let refuse = |what| PackageError { origin: files.origin(), what };
        let (manifest, opened) = read_manifest(files, allow_unsigned).map_err(refuse)?;
        let (reproduced, (engine, turned_down)) = verify(files, &manifest, first).map_err(refuse)?;
        let Opened { sha256, shipped, .. } = opened;
        Ok(Self { manifest, sha256, shipped, reproduced, engine, turned_down })
    }

    pub fn manifest(&self) -> &Manifest {
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

    /// A denoiser that follows one machine.
    pub fn denoiser(&self) -> Result<Box<dyn Denoiser>, InferenceError> {
        self.engine.denoiser(&self.manifest.contract)
    }

    /// How its denoisers run.
    pub fn engine(&self) -> EngineKind {
        self.engine.kind()
    }

    /// The faster engines that it does not run on, and why.
    pub fn turned_down(&self) -> &[TurnedDown] {
        &self.turned_down
    }

    /// Whether a faster engine took it and gave other columns.
    pub fn fell_back(&self) -> bool {
        self.turned_down.iter().any(|it| it.difference.is_some())
    }
}

fn read_manifest(files: &dyn PackageFiles, allow_unsigned: bool) -> Result<(Manifest, Opened), Broken> {
    let opened = Opened::read(files, allow_unsigned)?;
    if opened.task()? != Task::Denoise {
        let what = "task is \"generate\", a model that scores must have the task \"denoise\"";
        return Err(Broken::Contract(what.to_owned()));
    }
    let manifest: Manifest = opened.parse()?;
    check_contract(&manifest).map_err(Broken::Contract)?;
    Ok((manifest, opened))
}

fn check_contract(manifest: &Manifest) -> Result<(), String> {
    let Manifest { contract, vectors, .. } = manifest;
    if contract.axes != ["batch", "channels", "time"] {
        return Err(format!("contract.axes is {:?}, expected [\"batch\", \"channels\", \"time\"]", contract.axes));
    }
    if contract.dtype != "float32" {
        return Err(format!("contract.dtype is {:?}, expected \"float32\"", contract.dtype));
    }
    if !contract.causal {
        return Err("contract.causal is false; a live score cannot wait for later samples".to_owned());
    }
    if contract.window.saturating_mul(contract.channels.len()) > LARGEST_WINDOW {
        return Err(format!(
            "contract.window is {}; with its channels at most {LARGEST_WINDOW} values fit",
            contract.window
        ));
    }
    if contract.window == 0 || contract.channels.is_empty() {
        return Err("contract.window and the list of channels must not be empty".to_owned());
    }
    if !(contract.clip > 0.0 && contract.clip.is_finite()) {
        return Err(format!("contract.clip is {}, expected a positive number", contract.clip));
    }
    for (index, channel) in contract.channels.iter().enumerate() {
        if contract.channels[..index].iter().any(|earlier| earlier.name == channel.name) {
            return Err(format!("the channel {} stands twice in the contract", channel.name));
        }
        if !(channel.floor >= 0.0 && channel.floor.is_finite()) {
            return Err(format!("the floor of channel {} is {}, expected zero or more", channel.name, channel.floor));
        }
        if let Some(drift) = channel.drift.filter(|drift| !(*drift >= 0.0 && drift.is_finite())) {
            return Err(format!("the drift of channel {} is {drift}, expected zero or more", channel.name));
        }
    }
    check_tolerance(vectors)
}

fn verify(
    files: &dyn PackageFiles,
    manifest: &Manifest,
    first: EngineKind,
) -> Result<(Reproduced, (Engine, Vec<TurnedDown>)), Broken> {
    let mut graphs = manifest.files.iter().filter(|file| file.path.ends_with(".onnx"));
    let (Some(graph), None) = (graphs.next(), graphs.next()) else {
        return Err(Broken::Contract("expected exactly one [[file]] that ends in .onnx".to_owned()));
    };
    let onnx = listed(files, &manifest.files, &graph.path)?;
    for file in manifest.files.iter().filter(|file| file.path != graph.path) {
        listed(files, &manifest.files, &file.path)?;
    }
    let network = network(&onnx, &manifest.contract).map_err(Broken::Graph)?;
    let unusable = |error: InferenceError| Broken::Graph(error.to_string());
    let mut window = WindowDenoiser::new(&network.plan, &manifest.contract).map_err(unusable)?;
    let (mut reference, reproduced) = reproduce_vectors(files, manifest, &mut window)?;
    if first < EngineKind::Window {
        reference.add_random(&manifest.contract, &mut window).map_err(unusable)?;
    }
    Ok((reproduced, Engine::choose(network, &onnx, &manifest.contract, &reference, first)))
}

fn reproduce_vectors(
    files: &dyn PackageFiles,
    manifest: &Manifest,
    window: &mut WindowDenoiser,
) -> Result<(Reference, Reproduced), Broken> {
    let Manifest { contract, vectors, .. } = manifest;
    let bytes = listed(files, &manifest.files, &vectors.path)?;
    let unfit = |why: String| Broken::Vectors { path: vectors.path.clone(), why };
    let cases: TestVectors = serde_json::from_slice(&bytes).map_err(|error| unfit(error.to_string()))?;
    if cases.cases.is_empty() {
        return Err(unfit("there is no case in it".to_owned()));
    }
    let mut reference = Reference::default();
    let mut reproduced = Reproduced { cases: cases.cases.len(), largest: 0.0, tolerance: vectors.tolerance };
    for (index, case) in cases.cases.iter().enumerate() {
        if case.length(contract.channels.len()).is_none_or(|columns| columns < contract.window) {
            return Err(unfit(format!(
                "case {index} is not {} channels of at least {} columns",
                contract.channels.len(),
                contract.window
            )));
        }
        let largest = reference.add_case(case, window).map_err(|error| unfit(error.to_string()))?;
        if largest > vectors.tolerance {
            return Err(Broken::Difference { case: index.to_string(), largest, tolerance: vectors.tolerance });
        }
        reproduced.largest = reproduced.largest.max(largest);
    }
    Ok((reference, reproduced))
}
