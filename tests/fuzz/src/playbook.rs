//! Playbooks, each with the advice that it gives.

use wheeltapper::acquisition::Name;
use wheeltapper::advisory::{Library, MachineFacts, Playbook, PlaybookFile};
use wheeltapper::assessment::{Diagnosis, FaultProbability};
use wheeltapper::detection::{Contribution, Direction};

use crate::bench::name;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A playbook lies in the file that is called like it.
    let named = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let origin = format!("{}.toml", named.unwrap_or("hydraulic/internal_pump_leakage"));
    match Playbook::parse(text, &origin) {
        Ok(playbook) => advise(&playbook, PlaybookFile { origin: &origin, text }),
        Err(error) => {
            // A text that ends too soon ends on the line behind its last one.
            let lines = text.split('\n').count();
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "of {lines} lines: {error}");
        }
    }
}

fn advise(playbook: &Playbook, file: PlaybookFile<'_>) {
    let own = [LOCKOUT, UNKNOWN].into_iter().filter(|own| own.origin != file.origin);
    let Ok(library) = Library::from_files(own.chain([file])) else { return };
    library.symptoms(Some(playbook.family()));
    let fault = FaultProbability { fault: playbook.name().to_owned(), probability: 0.8 };
    let diagnosis = Diagnosis { faults: vec![fault] };
    let contributions = ["FS1", "PS1", "a <b> {{ c }}"].map(|channel| contribution(name(channel)));
    for some in [&contributions[..1], &contributions[..]] {
        let advice = library.recommend(&diagnosis, &MachineFacts::new(name("m")), some, 2.5);
        let advice = advice.expect("a channel is blamed");
        let known = |id: &String| advice.sources.iter().any(|source| source.id == *id);
        for step in &advice.steps {
            let mut own = step.sources.iter().filter(|id| !id.starts_with("payload:"));
            assert!(own.all(known), "a step rests on a source that nobody sees: {step:?}");
            assert!(!step.text.trim().is_empty(), "a step without words");
        }
    }
}

fn contribution(channel: Name) -> Contribution {
    let (value, expected) = (Some(6.4), Some(6.7));
    Contribution { channel, share: 0.3, direction: Direction::Low, value, expected, unit: Some("l/min".to_owned()) }
}

const LOCKOUT: PlaybookFile<'static> =
    PlaybookFile { origin: "lockout.toml", text: include_str!("../../../firmware-config/playbooks/lockout.toml") };
const UNKNOWN: PlaybookFile<'static> = PlaybookFile {
    origin: "generic/unknown.toml",
    text: include_str!("../../../firmware-config/playbooks/generic/unknown.toml"),
};
