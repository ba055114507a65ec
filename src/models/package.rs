use std::io;

use serde::Serialize;

use super::engine::{Engine, EngineKind, TurnedDown};
use super::manifest::FileEntry;
use super::network::network;
use super::reference::Reference;
use super::vectors::TestVectors;
use super::window::WindowDenoiser;
use super::{Denoiser, InferenceError, Manifest, shipped};
use crate::manipulation::LARGEST_WINDOW;
use crate::notation::{read_toml, sha256_hex};

/// Where the files of a package come from: a folder, or the binary itself.
pub trait PackageFiles {
    /// The whole file, or an error; never more than `most` bytes of it.
    fn read(&self, path: &str, most: u64) -> io::Result<Vec<u8>>;

    /// Names the package in errors.
    fn origin(&self) -> String;
}

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
        let (manifest, bytes) = read_manifest(files, allow_unsigned).map_err(refuse)?;
        let (reproduced, (engine, turned_down)) = verify(files, &manifest, first).map_err(refuse)?;
        let (sha256, shipped) = (sha256_hex(&bytes), shipped::is_shipped_manifest(&bytes));
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

/// A package that was refused.
#[derive(Debug, thiserror::Error)]
#[error("model package {origin}: {what}")]
pub struct PackageError {
    origin: String,
    what: Broken,
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("cannot read {path}: {error}")]
    Unreadable { path: String, error: io::Error },
    #[error("{0}")]
    Manifest(String),
    #[error("manifest.toml: {0}")]
    Contract(String),
    #[error(
        "the manifest is not one that this binary was built with, and it is not signed; to use it all the same set \
         `allow_unsigned = true`"
    )]
    Unsigned,
    #[error("{path} is not listed in the manifest; add a [[file]] entry with its bytes and sha256")]
    NotListed { path: String },
    #[error("{path} has {found} bytes, the manifest says {expected}; the file was changed or cut short")]
    Size { path: String, found: u64, expected: u64 },
    #[error("{path} has the sha256 {found}, the manifest says {expected}; the file was changed")]
    Hash { path: String, found: String, expected: String },
    #[error("the network cannot be used: {0}")]
    Graph(String),
    #[error("{path}: {why}")]
    Vectors { path: String, why: String },
    #[error(
        "test vector {case} is missed by {largest:e}, the manifest allows {tolerance:e}; the package was made for \
         another engine or its files do not belong together"
    )]
    Difference { case: usize, largest: f32, tolerance: f32 },
}

fn read_manifest(files: &dyn PackageFiles, allow_unsigned: bool) -> Result<(Manifest, Vec<u8>), Broken> {
    let path = "manifest.toml";
    let unreadable = |error| Broken::Unreadable { path: path.to_owned(), error };
    let bytes = files.read(path, LARGEST_MANIFEST + 1).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_MANIFEST {
        return Err(Broken::Manifest(format!("manifest.toml has more than {LARGEST_MANIFEST} bytes")));
    }
    if !allow_unsigned && !shipped::is_shipped_manifest(&bytes) {
        return Err(Broken::Unsigned);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Broken::Manifest("manifest.toml is not UTF-8".to_owned()))?;
    let manifest: Manifest = read_toml(text, path).map_err(|error| Broken::Manifest(error.to_string()))?;
    check_contract(&manifest).map_err(Broken::Contract)?;
    Ok((manifest, bytes))
}

fn check_contract(manifest: &Manifest) -> Result<(), String> {
    let Manifest { format, task, contract, vectors, .. } = manifest;
    if *format != 1 {
        return Err(format!("format is {format}, this binary reads format 1"));
    }
    if task != "denoise" {
        return Err(format!("task is {task:?}, a model that scores must have the task \"denoise\""));
    }
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
    if !(vectors.tolerance > 0.0 && vectors.tolerance <= LOOSEST_TOLERANCE) {
        return Err(format!("vectors.tolerance is {}, expected up to {LOOSEST_TOLERANCE}", vectors.tolerance));
    }
    Ok(())
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
    let onnx = listed(files, manifest, &graph.path)?;
    for file in manifest.files.iter().filter(|file| file.path != graph.path) {
        listed(files, manifest, &file.path)?;
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
    let bytes = listed(files, manifest, &vectors.path)?;
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
            return Err(Broken::Difference { case: index, largest, tolerance: vectors.tolerance });
        }
        reproduced.largest = reproduced.largest.max(largest);
    }
    Ok((reference, reproduced))
}

/// A file of the package, if it is what the manifest says.
fn listed(files: &dyn PackageFiles, manifest: &Manifest, path: &str) -> Result<Vec<u8>, Broken> {
    let entry: &FileEntry = manifest
        .files
        .iter()
        .find(|file| file.path == path)
        .ok_or_else(|| Broken::NotListed { path: path.to_owned() })?;
    if path.is_empty() || path.contains(['/', '\\']) || path.starts_with('.') {
        return Err(Broken::Contract(format!("the file {path:?} does not lie in the package's own folder")));
    }
    if entry.bytes > LARGEST_FILE {
        return Err(Broken::Contract(format!(
            "{path} is said to have {} bytes, at most {LARGEST_FILE} are read",
            entry.bytes
        )));
    }
    let bytes = files
        .read(path, entry.bytes.saturating_add(1))
        .map_err(|error| Broken::Unreadable { path: path.to_owned(), error })?;
    let (found, expected) = (bytes.len() as u64, entry.bytes);
    if found != expected {
        return Err(Broken::Size { path: path.to_owned(), found, expected });
    }
    let found = sha256_hex(&bytes);
    if !found.eq_ignore_ascii_case(&entry.sha256) {
        return Err(Broken::Hash { path: path.to_owned(), found, expected: entry.sha256.clone() });
    }
    Ok(bytes)
}

const LARGEST_MANIFEST: u64 = 256 * 1024;
const LARGEST_FILE: u64 = 64 * 1024 * 1024;
/// A package may not excuse differences that would move a score.
const LOOSEST_TOLERANCE: f32 = 1e-3;
