use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::PackageFiles;

/// A model package in a folder.
pub struct Folder(pub PathBuf);

impl PackageFiles for Folder {
    fn read(&self, path: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.0.join(path))?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn origin(&self) -> String {
        self.0.display().to_string()
    }
}
