use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::write_atomically;
use crate::acquisition::Name;
use crate::machine::Fitted;
use crate::notation::sha256_hex;

/// The folder of calibration files.
pub struct Calibrations {
    folder: PathBuf,
}

/// What stands in the folder for a machine.
#[derive(Debug, PartialEq)]
pub enum Found {
    Nothing,
    Fitted(Box<Fitted>),
    /// For another model, recipe or kind than the machine has now.
    ForAnotherProfile,
    /// Not to be trusted; it was put aside.
    Quarantined {
        why: String,
    },
}

/// A calibration that could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the file {}: {error}; check that the folder exists and can be written", path.display())]
pub struct CheckpointError {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

impl Calibrations {
    pub fn in_state_dir(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("calibration") }
    }

    pub fn path(&self, machine: &Name) -> PathBuf {
        self.folder.join(format!("{}.json", file_name(machine.as_str())))
    }

    pub fn save(&self, machine: &Name, fitted: &Fitted) -> Result<PathBuf, CheckpointError> {
        let path = self.path(machine);
        let written = write(&self.folder, &path, machine, fitted);
        written.map(|_| path.clone()).map_err(|error| CheckpointError { path, error })
    }

    /// What was kept of a machine, if it is whole and fits the fingerprint.
    pub fn load(&self, machine: &Name, fingerprint: &str) -> Found {
        let path = self.path(machine);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => return quarantine(&path, error.to_string()),
        };
        match read(&text, machine) {
            Ok(fitted) if fitted.fingerprint == fingerprint => Found::Fitted(Box::new(fitted)),
            Ok(_) => Found::ForAnotherProfile,
            Err(why) => quarantine(&path, why),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'f> {
    format: u32,
    machine: Name,
    sha256: String,
    #[serde(borrow)]
    body: &'f RawValue,
}

/// Writes what belongs to a machine, sealed with its hash; gives the hash.
pub(super) fn write(folder: &Path, path: &Path, machine: &Name, fitted: &impl Serialize) -> io::Result<String> {
    fs::create_dir_all(folder)?;
    let body = serde_json::value::to_raw_value(fitted)?;
    let sha256 = sha256_hex(body.get().as_bytes());
    let file = File { format: FORMAT, machine: machine.clone(), sha256: sha256.clone(), body: &body };
    write_atomically(path, &serde_json::to_vec(&file)?)?;
    Ok(sha256)
}

fn read(text: &str, machine: &Name) -> Result<Fitted, String> {
    let (fitted, _): (Fitted, String) = read_sealed(text, machine)?;
    if !fitted.calibration.is_whole() {
        return Err("its pieces do not fit together".to_owned());
    }
    Ok(fitted)
}

/// What belongs to a machine, and its hash.
pub(super) fn read_sealed<T: DeserializeOwned>(text: &str, machine: &Name) -> Result<(T, String), String> {
    let file: File<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if file.format != FORMAT {
        return Err(format!("it has the format {}, expected {FORMAT}", file.format));
    }
    if file.machine != *machine {
        return Err(format!("it belongs to the machine {}", file.machine));
    }
    if sha256_hex(file.body.get().as_bytes()) != file.sha256 {
        return Err("its hash does not fit its content".to_owned());
    }
    let kept = serde_json::from_str(file.body.get()).map_err(|error| error.to_string())?;
    Ok((kept, file.sha256))
}

fn quarantine(path: &Path, why: String) -> Found {
    put_aside(path);
    Found::Quarantined { why }
}

pub(super) fn put_aside(path: &Path) {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".quarantined");
    // If even this fails the file is in the way of nothing: the next calibration replaces it.
    let _ = fs::rename(path, aside);
}

/// A name that is a file's on any file system, and no other machine's.
pub(super) fn file_name(machine: &str) -> String {
    let mut name = String::with_capacity(machine.len());
    for (index, byte) in machine.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && index > 0);
        if plain && name.len() < LONGEST_PLAIN {
            name.push(char::from(byte));
        } else if name.len() < LONGEST_PLAIN {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02x}");
        } else {
            let _ = write!(name, "~{}", &sha256_hex(machine.as_bytes())[..16]);
            break;
        }
    }
    name
}

const FORMAT: u32 = 1;
/// Longer names end in a hash: a file's name has at most 255 bytes.
const LONGEST_PLAIN: usize = 180;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::{Calibration, ChannelProfile, LoadCycle, Rhythm};

    fn fitted() -> Fitted {
        let rows: Vec<Vec<f64>> =
            (0..400).map(|t| vec![f64::from((t * 7919) % 101), f64::from((t * 31) % 17)]).collect();
        let channels = ["a", "b"].map(|name| ChannelProfile::of(Name::parse(name).unwrap()));
        let rhythm = Rhythm { cadence: std::time::Duration::from_secs(1), cycle: LoadCycle::Unknown };
        Fitted {
            fingerprint: "f".to_owned(),
            cadence: rhythm.cadence,
            interval: rhythm.cadence,
            learned: None,
            calibration: Calibration::fit(&rows, &channels, rhythm, None).unwrap(),
        }
    }

    fn machine() -> Name {
        Name::parse("..press 1").unwrap()
    }

    #[test]
    fn a_calibration_comes_back_bit_for_bit_and_only_for_its_profile() {
        let folder = tempfile::tempdir().unwrap();
        let calibrations = Calibrations::in_state_dir(folder.path());
        assert_eq!(calibrations.load(&machine(), "f"), Found::Nothing);
        let path = calibrations.save(&machine(), &fitted()).unwrap();
        assert_eq!(path.parent(), Some(folder.path().join("calibration").as_path()));
        assert_eq!(calibrations.load(&machine(), "f"), Found::Fitted(Box::new(fitted())));
        assert_eq!(calibrations.load(&machine(), "g"), Found::ForAnotherProfile);
    }

    #[test]
    fn a_damaged_file_is_put_aside_whatever_was_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let calibrations = Calibrations::in_state_dir(folder.path());
        let path = calibrations.save(&machine(), &fitted()).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        for damaged in [
            whole[..whole.len() / 2].to_owned(),
            whole.replacen("\"format\":1", "\"format\":2", 1),
            whole.replacen("\"mean\":5", "\"mean\":6", 1),
            whole.replacen("..press 1", "another", 1),
            String::new(),
        ] {
            assert_ne!(damaged, whole);
            fs::write(&path, damaged).unwrap();
            assert!(matches!(calibrations.load(&machine(), "f"), Found::Quarantined { .. }));
            assert_eq!(calibrations.load(&machine(), "f"), Found::Nothing, "it is out of the way");
        }
    }

    #[test]
    fn every_machine_has_a_file_of_its_own_inside_the_folder() {
        let names = ["a", "A b", "a%20b", ".hidden", "..", &"ü".repeat(128), &("ü".repeat(127) + "v")];
        let files: std::collections::HashSet<String> = names.iter().map(|name| file_name(name)).collect();
        assert_eq!(files.len(), names.len());
        assert!(files.iter().all(|file| file.len() < 240 && !file.starts_with('.') && !file.contains('/')));
    }
}
