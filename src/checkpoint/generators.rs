use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::calibrations::{CheckpointError, file_name, put_aside, read_sealed, write};
use crate::acquisition::Name;
use crate::generation::fitted::FittedGenerator;

/// The folder of generators that were fitted to machines.
#[derive(Clone, Debug)]
pub struct Generators {
    folder: PathBuf,
}

/// What stands in the folder for a machine.
#[derive(Debug, PartialEq)]
pub enum FoundGenerator {
    Nothing,
    Fitted {
        generator: Box<FittedGenerator>,
        /// Of the file's body: it names the generator wherever its data are told of.
        sha256: String,
    },
    /// Not to be trusted; it was put aside.
    Quarantined {
        why: String,
    },
}

impl Generators {
    pub fn in_state_dir(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("generator") }
    }

    pub fn path(&self, machine: &Name) -> PathBuf {
        self.folder.join(format!("{}.json", file_name(machine.as_str())))
    }

    /// Gives the hash that names it from now on.
    pub fn save(&self, machine: &Name, generator: &FittedGenerator) -> Result<String, CheckpointError> {
        let path = self.path(machine);
        write(&self.folder, &path, machine, generator).map_err(|error| CheckpointError { path, error })
    }

    /// What was kept of a machine, if it is whole.
    pub fn load(&self, machine: &Name) -> FoundGenerator {
        let path = self.path(machine);
        let quarantined = |why: String| {
            put_aside(&path);
            FoundGenerator::Quarantined { why }
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return FoundGenerator::Nothing,
            Err(error) => return quarantined(error.to_string()),
        };
        match read_sealed::<FittedGenerator>(&text, machine) {
            Ok((generator, sha256)) if generator.is_whole() => {
                FoundGenerator::Fitted { generator: Box::new(generator), sha256 }
            }
            Ok(_) => quarantined("its pieces do not fit together".to_owned()),
            Err(why) => quarantined(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::detection::{ChannelProfile, LoadCycle, Rhythm};
    use crate::generation::fitted::Lesson;

    fn generator() -> FittedGenerator {
        let rows = (0..200).map(|t| vec![(f64::from(t) * 1.7).sin(), f64::from(t * 7919 % 101)]);
        let channels = ["a", "b"].map(|name| ChannelProfile::of(Name::parse(name).unwrap()));
        let rhythm = Rhythm { cadence: Duration::from_secs(1), cycle: LoadCycle::Unknown };
        Lesson { rows: rows.collect(), channels: channels.to_vec(), rhythm }.fit().unwrap()
    }

    #[test]
    fn a_generator_comes_back_as_it_was_and_a_damaged_one_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let generators = Generators::in_state_dir(folder.path());
        let machine = Name::parse("press 1").unwrap();
        assert_eq!(generators.load(&machine), FoundGenerator::Nothing);
        let sha256 = generators.save(&machine, &generator()).unwrap();
        assert_eq!(
            generators.load(&machine),
            FoundGenerator::Fitted { generator: Box::new(generator()), sha256: sha256.clone() }
        );
        let path = generators.path(&machine);
        let whole = fs::read_to_string(&path).unwrap();
        for damaged in
            [whole[..whole.len() / 2].to_owned(), whole.replacen("\"format\":1", "\"format\":2", 1), String::new()]
        {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(generators.load(&machine), FoundGenerator::Quarantined { .. }));
            assert_eq!(generators.load(&machine), FoundGenerator::Nothing, "it is out of the way");
        }
    }
}
