use super::document::Document;
use super::error::{PlaybookError, Rule};
use super::playbook::check_format;
use super::recommendation::Source;
use super::sentence::Sentence;
use super::source::{check_ids, read_sources};
use super::templates::Templates;
use super::trial;

/// What comes before the first and after the last step that brings people into the reach of a machine's energy.
#[derive(Clone, Debug)]
pub(super) struct Lockout {
    pub(super) sources: Vec<Source>,
    pub(super) before: Vec<Sentence>,
    pub(super) after: Vec<Sentence>,
    pub(super) templates: Templates,
}

impl Lockout {
    pub(super) fn parse(text: &str, origin: &str) -> Result<Self, PlaybookError> {
        let document = Document { origin, text };
        let table = document.parse()?;
        let root = document.root(&table);
        root.allow(&["format", "version", "jurisdiction", "source", "step"])?;
        check_format(&root)?;
        root.text("version")?;
        root.text("jurisdiction")?;
        let sources = read_sources(&root, 'l')?;
        let mut templates = Templates::new();
        let mut sentences = Vec::new();
        for (n, table) in root.tables("step", "[[step]]")?.iter().enumerate() {
            table.allow(&["id", "text", "sources"])?;
            let id = table.text("id")?;
            if ORDER.get(n) != Some(&id.value.as_str()) {
                let found = format!("lockout step `{}` in place {}", id.value, n + 1);
                return Err(document.rule(id.line, Rule::K008, found).remedy(IN_ORDER));
            }
            sentences.push(Sentence::read(table, &mut templates)?);
        }
        if sentences.len() < ORDER.len() {
            let found = format!("{} lockout steps of {}", sentences.len(), ORDER.len());
            return Err(document.rule(root.line, Rule::K008, found).remedy(IN_ORDER));
        }
        check_ids(&root, &sources, &sentences.iter().collect::<Vec<_>>())?;
        let sources: Vec<Source> = sources.into_iter().map(|source| source.value).collect();
        trial::render_all(&templates, &sources, sentences.iter(), &[])
            .map_err(|(line, found)| document.rule(line, Rule::K010, found))?;
        let after = sentences.split_off(BEFORE);
        Ok(Self { sources, before: sentences, after, templates })
    }
}

/// Prepare, stop, isolate, lock, relieve, verify; the work; release.
const ORDER: [&str; 8] = ["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8"];
/// So many of them come before the work.
const BEFORE: usize = 7;
const IN_ORDER: &str = "keep the steps L1 to L8, each once and in this order";
