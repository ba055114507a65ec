use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::write_atomically;

/// The file of the topic filters that this gateway has ever listened to: a broker keeps them with the session until it is
/// told otherwise, also over a restart under another configuration.
pub struct Filters {
    path: PathBuf,
}

impl Filters {
    pub fn in_state_dir(state_dir: &Path) -> Self {
        Self { path: state_dir.join("filters.txt") }
    }

    /// Takes in the filters that are wanted now; gives those that are not wanted any more.
    pub fn replace(&self, wanted: &[&str]) -> io::Result<Vec<String>> {
        let before = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => String::new(),
            Err(error) => return Err(error),
        };
        let unwanted = before.lines().filter(|filter| !filter.is_empty() && !wanted.contains(filter));
        let unwanted: Vec<String> = unwanted.take(MOST).map(str::to_owned).collect();
        let all: Vec<&str> = wanted.iter().copied().chain(unwanted.iter().map(String::as_str)).collect();
        let text = all.join("\n") + "\n";
        if text != before {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            write_atomically(&self.path, text.as_bytes())?;
        }
        Ok(unwanted)
    }
}

/// Older ones are forgotten.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_configuration_listened_to_is_known_until_it_is_wanted_again() {
        let folder = tempfile::tempdir().unwrap();
        let filters = Filters::in_state_dir(folder.path());
        assert_eq!(filters.replace(&["a/+", "b"]).unwrap(), [""; 0]);
        assert_eq!(filters.replace(&["b", "c"]).unwrap(), ["a/+"]);
        assert_eq!(filters.replace(&["a/+"]).unwrap(), ["b", "c"]);
        fs::write(folder.path().join("filters.txt"), [0xff, 0xfe]).unwrap();
        assert_eq!(filters.replace(&["a/+"]).unwrap(), [""; 0], "a damaged file is no reason to stop");
    }
}
