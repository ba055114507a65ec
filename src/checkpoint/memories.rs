use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::write_atomically;
use crate::acquisition::Name;
use crate::machine::Memory;

/// The file of what all machines remember.
pub struct Memories {
    path: PathBuf,
}

impl Memories {
    pub fn in_state_dir(state_dir: &Path) -> Self {
        Self { path: state_dir.join("machines.state") }
    }

    pub fn save(&self, memories: &[(Name, Memory)]) -> io::Result<()> {
        let body = postcard::to_stdvec(memories).map_err(io::Error::other)?;
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&Sha256::digest(&body));
        file.extend_from_slice(&body);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        write_atomically(&self.path, &file)
    }

    /// What is kept; nothing, and why, where it cannot be trusted.
    pub fn load(&self) -> Result<HashMap<Name, Memory>, String> {
        let file = match fs::read(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
            Err(error) => return Err(error.to_string()),
        };
        read(&file).inspect_err(|_| {
            let mut aside = self.path.as_os_str().to_owned();
            aside.push(".quarantined");
            // If even this fails the file is in the way of nothing: the next one replaces it.
            let _ = fs::rename(&self.path, aside);
        })
    }
}

fn read(file: &[u8]) -> Result<HashMap<Name, Memory>, String> {
    let rest = file.strip_prefix(MAGIC.as_slice()).ok_or("it is no file of this kind or version")?;
    let (hash, body) = rest.split_at_checked(HASH).ok_or("it is cut short")?;
    if Sha256::digest(body).as_slice() != hash {
        return Err("its hash does not fit its content".to_owned());
    }
    let memories: Vec<(Name, Memory)> = postcard::from_bytes(body).map_err(|error| error.to_string())?;
    Ok(memories.into_iter().collect())
}

const MAGIC: [u8; 8] = *b"WTSTATE3";
const HASH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_damage_is_taken_for_a_memory_and_a_damaged_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let memories = Memories::in_state_dir(folder.path());
        assert_eq!(memories.load().unwrap().len(), 0, "no file is no fault");
        memories.save(&[]).unwrap();
        assert_eq!(memories.load().unwrap().len(), 0);
        let path = folder.path().join("machines.state");
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            for damaged in [damaged, whole[..place].to_vec()] {
                fs::write(&path, damaged).unwrap();
                assert!(memories.load().is_err(), "byte {place}");
                assert!(!path.exists(), "it is out of the way");
            }
        }
    }
}
