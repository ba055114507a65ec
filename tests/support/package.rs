//! A copy of the shipped model package that a test may break.

use std::fs;
use std::path::{Path, PathBuf};

use wheeltapper::notation::sha256_hex;

/// A folder of packages that holds one copy of `hydraulic-dae`.
pub struct Package {
    models: tempfile::TempDir,
}

impl Package {
    pub fn copy() -> Self {
        let package = Self { models: tempfile::tempdir().expect("a folder for the test") };
        fs::create_dir(package.folder()).expect("the test's folder can be written");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(NAME);
        for entry in fs::read_dir(shipped).expect("the package is part of the checkout") {
            let path = entry.expect("the package is part of the checkout").path();
            fs::copy(&path, package.path(path.file_name().expect("a file"))).expect("the test's folder can be written");
        }
        package
    }

    /// What `--models` takes.
    pub fn models(&self) -> &Path {
        self.models.path()
    }

    pub fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.folder().join(file)
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.path(file)).expect("the package has this file")
    }

    pub fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(file), bytes).expect("the test's folder can be written");
    }

    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).expect("the package has this file");
    }

    /// Replaces the first `from` in the manifest.
    pub fn edit_manifest(&self, from: &str, to: &str) {
        let manifest = String::from_utf8(self.read("manifest.toml")).expect("the manifest is text");
        assert!(manifest.contains(from), "the manifest has no {from:?}");
        self.write("manifest.toml", manifest.replacen(from, to, 1));
    }

    /// Writes a file and lists it in the manifest with its size and hash, so that only what it says is wrong.
    pub fn write_listed(&self, file: &str, bytes: &[u8]) {
        let before = self.read(file);
        self.write(file, bytes);
        self.edit_manifest(&format!("bytes = {}\n", before.len()), &format!("bytes = {}\n", bytes.len()));
        self.edit_manifest(&sha256_hex(&before), &sha256_hex(bytes));
    }

    fn folder(&self) -> PathBuf {
        self.models.path().join(NAME)
    }
}

const NAME: &str = "hydraulic-dae";
