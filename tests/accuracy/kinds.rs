//! Kinds of machine with their networks: those that the binary brings along, and those in a folder.

use std::path::Path;
use std::sync::Arc;

use wheeltapper::config::{Kind, shipped_kind};
use wheeltapper::machine::Profile;
use wheeltapper::models::{Folder, Model, shipped};

use super::report::Report;
use super::series::Series;
use super::sets;

/// A kind as a machine's profile has it.
#[derive(Clone)]
pub struct Trained {
    kind: Arc<Kind>,
    model: Option<Arc<Model>>,
}

impl Trained {
    /// A kind that the binary brings along, with the network that it brings along.
    pub fn shipped(name: &str) -> Self {
        let kind = Kind::parse(shipped_kind(name).expect("a shipped kind"), name).expect("a kind");
        let package = kind.model.as_ref().map(|model| shipped(model.as_str()).expect("a shipped package"));
        let model = package.map(|package| Arc::new(Model::load(&package, false).expect("a sound package")));
        Self { kind: Arc::new(kind), model }
    }

    /// The same kind with the network of its name in another folder of packages.
    pub fn with_model_in(self, folder: &Path) -> Self {
        let name = self.kind.model.as_ref().expect("a kind with a network");
        let model = Model::load(&Folder(folder.join(name.as_str())), true).expect("a sound package");
        Self { model: Some(Arc::new(model)), ..self }
    }

    /// A kind and its network as training has put them into a folder.
    pub fn in_folder(folder: &Path, name: &str) -> Self {
        let path = folder.join("kinds").join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let kind = Kind::parse(&text, &path.display().to_string()).expect("a kind");
        Self { kind: Arc::new(kind), model: None }.with_model_in(&folder.join("models"))
    }

    /// Gives a profile everything that this kind knows.
    pub fn shape(&self, universal: Profile) -> Profile {
        Profile {
            channels: self.kind.channels().into(),
            model: self.model.clone(),
            cadence: Some(self.kind.cadence),
            running: self.kind.running(),
            ..universal
        }
    }
}

/// Judges networks that may not be shipped: `folder/skab-even` has learned from the files with even places and judges the others,
/// `folder/skab-odd` the other way round.
pub fn report(data: &Path, folder: &Path) {
    let skab = sets::skab(data);
    let [even, odd] = ["skab-even", "skab-odd"].map(|name| folder.join(name));
    if even.is_dir() && odd.is_dir() {
        let networks = [odd, even].map(|folder| Trained::in_folder(&folder, "skab"));
        let of_kind = |(place, series): (usize, Series)| series.of_kind(&networks[place % 2]);
        let series: Vec<Series> = skab.into_iter().enumerate().map(of_kind).collect();
        let report = Report::of("SKAB, kind, network from the other half of the files", &series, 0);
        report.print();
        report.print_bootstrap(0);
    }
}
