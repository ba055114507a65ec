use std::io;

use serde::Deserialize;

use super::manifest::{FileEntry, Vectors};
use super::shipped;
use crate::notation::{read_toml, sha256_hex};

/// Where the files of a package come from: a folder, or the binary itself.
pub trait PackageFiles {
    /// The whole file, or an error; never more than `most` bytes of it.
    fn read(&self, path: &str, most: u64) -> io::Result<Vec<u8>>;

    /// Names the package in errors.
    fn origin(&self) -> String;
}

/// What the networks of a package do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// They say what a sound machine would have shown: [`Model`](super::Model).
    Denoise,
    /// They make telemetry: [`GeneratorModel`](super::GeneratorModel).
    Generate,
}

/// What a package is for, read from its manifest before anything else is believed.
pub fn task(files: &dyn PackageFiles) -> Result<Task, PackageError> {
    let task = Opened::read(files, true).and_then(|opened| opened.task());
    task.map_err(|what| PackageError { origin: files.origin(), what })
}

/// A package that was refused.
#[derive(Debug, thiserror::Error)]
#[error("model package {origin}: {what}")]
pub struct PackageError {
    pub(super) origin: String,
    pub(super) what: Broken,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
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
    Difference { case: String, largest: f32, tolerance: f32 },
}

/// A manifest as it lies there, trusted or allowed.
pub(super) struct Opened {
    pub text: String,
    pub sha256: String,
    pub shipped: bool,
}

impl Opened {
    pub fn read(files: &dyn PackageFiles, allow_unsigned: bool) -> Result<Self, Broken> {
        let unreadable = |error| Broken::Unreadable { path: MANIFEST.to_owned(), error };
        let bytes = files.read(MANIFEST, LARGEST_MANIFEST + 1).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST_MANIFEST {
            return Err(Broken::Manifest(format!("manifest.toml has more than {LARGEST_MANIFEST} bytes")));
        }
        let shipped = shipped::is_shipped_manifest(&bytes);
        if !allow_unsigned && !shipped {
            return Err(Broken::Unsigned);
        }
        let sha256 = sha256_hex(&bytes);
        let text = String::from_utf8(bytes).map_err(|_| Broken::Manifest("manifest.toml is not UTF-8".to_owned()))?;
        Ok(Self { text, sha256, shipped })
    }

    /// The task, of a manifest whose layout this binary knows.
    pub fn task(&self) -> Result<Task, Broken> {
        let Head { format, task } = self.parse()?;
        if format != 1 {
            return Err(Broken::Contract(format!("format is {format}, this binary reads format 1")));
        }
        match task.as_str() {
            "denoise" => Ok(Task::Denoise),
            "generate" => Ok(Task::Generate),
            _ => Err(Broken::Contract(format!("task is {task:?}, expected \"denoise\" or \"generate\""))),
        }
    }

    pub fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Broken> {
        read_toml(&self.text, MANIFEST).map_err(|error| Broken::Manifest(error.to_string()))
    }
}

/// A file of the package, if it is what the manifest says.
pub(super) fn listed(files: &dyn PackageFiles, entries: &[FileEntry], path: &str) -> Result<Vec<u8>, Broken> {
    let entry =
        entries.iter().find(|file| file.path == path).ok_or_else(|| Broken::NotListed { path: path.to_owned() })?;
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

pub(super) fn check_tolerance(vectors: &Vectors) -> Result<(), String> {
    if !(vectors.tolerance > 0.0 && vectors.tolerance <= LOOSEST_TOLERANCE) {
        return Err(format!("vectors.tolerance is {}, expected up to {LOOSEST_TOLERANCE}", vectors.tolerance));
    }
    Ok(())
}

/// The two keys that every manifest has, whatever else stands in it.
#[derive(Deserialize)]
struct Head {
    format: u32,
    task: String,
}

const MANIFEST: &str = "manifest.toml";
const LARGEST_MANIFEST: u64 = 256 * 1024;
const LARGEST_FILE: u64 = 64 * 1024 * 1024;
/// A package may not excuse differences that would move a score.
const LOOSEST_TOLERANCE: f32 = 1e-3;
