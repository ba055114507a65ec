//! Model packages: the manifest, then each further file behind a line `--- NAME`; an `.onnx` file is written in hexadecimal.
//! In the manifest `@bytes NAME@` and `@sha256 NAME@` stand for what is true of a file, so that only what was changed is wrong.

use std::io;

use wheeltapper::models::{Model, PackageFiles};
use wheeltapper::notation::sha256_hex;

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let package = Package::parse(&text);
    match Model::load(&package, true) {
        Ok(model) => {
            let channels = model.manifest().contract.channels.len();
            let Ok(mut denoiser) = model.denoiser() else { return };
            for column in 0..model.manifest().contract.window + 1 {
                let pushed = denoiser.push(&vec![column as f32; channels]);
                assert!(pushed.is_ok_and(|output| output.is_none_or(|output| output.len() == channels)));
            }
        }
        Err(error) => assert!(error.to_string().starts_with("model package p: "), "{error}"),
    }
    assert!(Model::load(&package, false).is_err(), "a package of a stranger was trusted");
}

struct Package(Vec<(String, Vec<u8>)>);

impl Package {
    fn parse(text: &str) -> Self {
        let mut sections = text.split("\n--- ");
        let mut manifest = sections.next().unwrap_or_default().to_owned();
        let mut files = Vec::new();
        for section in sections.take(4) {
            let (name, content) = section.split_once('\n').unwrap_or((section, ""));
            let bytes = if name.ends_with(".onnx") { from_hex(content) } else { content.as_bytes().to_vec() };
            manifest = manifest.replace(&format!("@bytes {name}@"), &bytes.len().to_string());
            manifest = manifest.replace(&format!("@sha256 {name}@"), &sha256_hex(&bytes));
            files.push((name.to_owned(), bytes));
        }
        files.push(("manifest.toml".to_owned(), manifest.into_bytes()));
        Self(files)
    }
}

impl PackageFiles for Package {
    fn read(&self, path: &str, most: u64) -> io::Result<Vec<u8>> {
        let (_, bytes) = self.0.iter().rev().find(|(name, _)| name == path).ok_or(io::ErrorKind::NotFound)?;
        Ok(bytes[..bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX))].to_vec())
    }

    fn origin(&self) -> String {
        "p".to_owned()
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}
