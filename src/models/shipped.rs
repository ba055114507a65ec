use std::io;

use super::PackageFiles;

/// A package that the binary brings along.
pub struct Shipped {
    name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// The shipped package of that name.
pub fn shipped(name: &str) -> Option<Shipped> {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|&(name, files)| Shipped { name, files })
}

/// The names of the packages that the binary brings along.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// Whether a manifest is one of those that this binary was built with, byte for byte. It holds the hashes of all other
/// files, so that such a package is known whole, wherever it was read from.
pub(super) fn is_shipped_manifest(bytes: &[u8]) -> bool {
    let manifests = SHIPPED.iter().flat_map(|(_, files)| *files).filter(|(path, _)| *path == "manifest.toml");
    manifests.into_iter().any(|(_, manifest)| *manifest == bytes)
}

impl PackageFiles for Shipped {
    fn read(&self, path: &str, most: u64) -> io::Result<Vec<u8>> {
        let file = self.files.iter().find(|(file, _)| *file == path).ok_or(io::ErrorKind::NotFound)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(file.1[..file.1.len().min(most)].to_vec())
    }

    fn origin(&self) -> String {
        format!("{} (shipped with the binary)", self.name)
    }
}

macro_rules! package {
    ($name:literal, $($file:literal),+) => {
        ($name, &[$(($file, include_bytes!(concat!("../../models/", $name, "/", $file)))),+])
    };
}

/// Packages by name, each with its files by name.
type Packages = [(&'static str, &'static [(&'static str, &'static [u8])])];

const SHIPPED: &Packages = &[
    package!("hydraulic-dae", "manifest.toml", "denoiser.onnx", "vectors.json", "MODEL_CARD.md"),
    package!("tennessee-eastman-dae", "manifest.toml", "denoiser.onnx", "vectors.json", "MODEL_CARD.md"),
    package!(
        "hydraulic-diffusion",
        "manifest.toml",
        "continuation.onnx",
        "decoder.onnx",
        "denoiser.onnx",
        "encoder.onnx",
        "vectors.json",
        "MODEL_CARD.md"
    ),
    package!(
        "hydraulic-latent",
        "manifest.toml",
        "continuation.onnx",
        "decoder.onnx",
        "denoiser.onnx",
        "encoder.onnx",
        "vectors.json",
        "MODEL_CARD.md"
    ),
    package!(
        "hydraulic-vae",
        "manifest.toml",
        "continuation.onnx",
        "decoder.onnx",
        "encoder.onnx",
        "vectors.json",
        "MODEL_CARD.md"
    ),
    package!("hydraulic-gan", "manifest.toml", "continuation.onnx", "decoder.onnx", "vectors.json", "MODEL_CARD.md"),
];
