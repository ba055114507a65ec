//! Every seed, every finding of the fuzzer that was kept and every former crash, on any toolchain and without the fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use wheeltapper_fuzz::{TARGETS, target};

#[test]
fn nothing_that_ever_broke_a_target_or_is_in_its_corpus_breaks_it_now() {
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for path in inputs {
            println!("{}", path.display());
            (target.run)(&fs::read(path).expect("the corpora are part of the checkout"));
        }
    }
}

#[test]
fn every_corpus_belongs_to_a_target() {
    for entry in fs::read_dir(corpora()).expect("the corpora are part of the checkout") {
        let name = entry.expect("the corpora are part of the checkout").file_name();
        assert!(name.to_str().is_some_and(|name| target(name).is_some()), "{name:?}");
    }
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpora().join(target)).into_iter().flatten().flatten();
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    inputs.sort();
    inputs
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
