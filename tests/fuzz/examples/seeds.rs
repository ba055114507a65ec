//! Writes the seeds that no editor could: `cargo run --release -p wheeltapper-fuzz --example seeds`.

use std::path::Path;
use std::{fs, io};

use wheeltapper_fuzz::{calibration_seed, memories_seeds};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let [learning, scoring] = memories_seeds();
    for (file, content) in [
        ("calibration/fitted.json", calibration_seed()),
        ("memories/learning", learning),
        ("memories/scoring", scoring),
    ] {
        let path = corpus.join(file);
        fs::create_dir_all(path.parent().expect("it lies in a folder"))?;
        fs::write(path, content)?;
    }
    Ok(())
}
