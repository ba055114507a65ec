//! Files for targets whose way in is a file.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;

use tempfile::TempDir;

/// An empty folder that is gone when it is dropped.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("the folder for temporary files can be written")
}

/// A file with this content; the next call on the same thread overwrites it.
pub fn file(name: &str, content: &[u8]) -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(folder).path().join(format!("{:?}", thread::current().id()));
    fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    let path = folder.join(name);
    fs::write(&path, content).expect("the folder for temporary files can be written");
    path
}
