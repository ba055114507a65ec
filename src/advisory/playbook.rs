use super::citation::Citation;
use super::document::{Document, Placed, Table};
use super::error::{PlaybookError, Rule};
use super::recommendation::Source;
use super::sentence::Sentence;
use super::source::{check_ids, read_sources};
use super::templates::Templates;
use super::trial;
use crate::acquisition::Name;
use crate::assessment::{Signature, Symptom};
use crate::detection::Direction;

/// What is known about one fault: how it shows itself, what to say about it and what to do.
///
/// Prose stands in statements and steps only, each one sentence with its sources; a playbook that breaks a rule of the
/// linter cannot be built.
#[derive(Clone, Debug)]
pub struct Playbook {
    pub(super) name: String,
    pub(super) version: String,
    /// The fault in words that fit after "probable cause:".
    pub(super) title: String,
    pub(super) urgency: String,
    /// Faults that the same channels cannot tell from this one.
    pub(super) looks_like: Vec<String>,
    /// `None`: nothing points here, it is what is said when no fault can be named.
    pub(super) signature: Option<Signature>,
    pub(super) sources: Vec<Source>,
    pub(super) statements: Vec<Statement>,
    pub(super) steps: Vec<Instruction>,
    pub(super) parts: Vec<PlaybookPart>,
    pub(super) templates: Templates,
}

/// A sentence of a recommendation's text.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) place: Place,
    pub(super) sentence: Sentence,
}

/// Where in the text a statement stands; the first check comes between `Cause` and `Background`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Observation,
    Cause,
    Background,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub(super) struct Instruction {
    pub(super) class: Class,
    pub(super) sentence: Sentence,
}

/// How far a step goes into the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Observe,
    Operate,
    Touch,
    Open,
    Electrical,
}

#[derive(Clone, Debug)]
pub(super) struct PlaybookPart {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) quantity: f64,
}

impl Playbook {
    /// Reads a playbook, lints it and renders it against the stock payloads. `origin` is what errors call the file:
    /// its path, which ends with the playbook's name.
    pub fn parse(text: &str, origin: &str) -> Result<Self, PlaybookError> {
        let document = Document { origin, text };
        let table = document.parse()?;
        let root = document.root(&table);
        let (playbook, placed) = read_playbook(&root)?;
        check_ids(&root, &placed, &playbook.sentences().collect::<Vec<_>>())?;
        check_order(&root, &playbook.steps)?;
        trial::render_all(&playbook.templates, &playbook.sources, playbook.sentences(), &channels_of(&playbook))
            .map_err(|(line, found)| document.rule(line, Rule::K010, found))?;
        Ok(playbook)
    }

    /// E.g. `hydraulic/internal_pump_leakage`.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// The machines that it is for: the part of its name before the `/`.
    pub fn family(&self) -> &str {
        self.name.split_once('/').map_or("", |(family, _)| family)
    }

    fn sentences(&self) -> impl Iterator<Item = &Sentence> + Clone {
        let statements = self.statements.iter().map(|statement| &statement.sentence);
        statements.chain(self.steps.iter().map(|step| &step.sentence))
    }
}

impl Class {
    /// Whether people come into the reach of the machine's energy.
    pub(super) fn is_intrusive(self) -> bool {
        self >= Self::Touch
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "observe" => Self::Observe,
            "operate" => Self::Operate,
            "touch" => Self::Touch,
            "open" => Self::Open,
            "electrical" => Self::Electrical,
            _ => return None,
        })
    }
}

fn read_playbook(root: &Table<'_, '_>) -> Result<(Playbook, Vec<Placed<Source>>), PlaybookError> {
    root.allow(&[
        "format",
        "name",
        "version",
        "title",
        "urgency",
        "looks_like",
        "trigger",
        "one_channel",
        "source",
        "statement",
        "step",
        "part",
    ])?;
    check_format(root)?;
    let mut templates = Templates::new();
    let sources = read_sources(root, 's')?;
    let playbook = Playbook {
        name: read_name(root)?,
        version: root.text("version")?.value,
        title: root.text("title")?.value,
        urgency: read_time(root, "urgency")?,
        looks_like: root.texts("looks_like")?.into_iter().map(|name| name.value).collect(),
        signature: read_signature(root)?,
        sources: sources.iter().map(|source| source.value.clone()).collect(),
        statements: read_statements(root, &mut templates)?,
        steps: read_steps(root, &mut templates)?,
        parts: read_parts(root)?,
        templates,
    };
    Ok((playbook, sources))
}

/// Refuses a file of another format than this program reads.
pub(super) fn check_format(root: &Table<'_, '_>) -> Result<(), PlaybookError> {
    let format = root.number("format")?;
    if format.value != FORMAT {
        return Err(root.wrong_value(format.line, "format", &format.value.to_string(), "format 1"));
    }
    Ok(())
}

fn read_name(root: &Table<'_, '_>) -> Result<String, PlaybookError> {
    let name = root.text("name")?;
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if !name.value.split_once('/').is_some_and(|(family, fault)| plain(family) && plain(fault)) {
        return Err(root.wrong_value(name.line, "name", &name.value, "`family/fault` in a-z, 0-9 and _"));
    }
    let path = root.document.origin.replace('\\', "/");
    if !path.ends_with(&format!("{}.toml", name.value)) {
        return Err(root.wrong_value(name.line, "name", &name.value, "the file's own path without `.toml`"));
    }
    Ok(name.value)
}

fn read_time(table: &Table<'_, '_>, key: &'static str) -> Result<String, PlaybookError> {
    let time = table.text(key)?;
    let count = time.value.strip_suffix(['m', 'h', 'd']).unwrap_or_default();
    if count.is_empty() || count.starts_with('0') || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(table.wrong_value(time.line, key, &time.value, "a time such as `30m`, `8h` or `7d`"));
    }
    Ok(time.value)
}

fn read_signature(root: &Table<'_, '_>) -> Result<Option<Signature>, PlaybookError> {
    let mut symptoms: Vec<Symptom> = Vec::new();
    for table in root.tables("trigger", "[[trigger]]")? {
        let symptom = read_symptom(&table)?;
        if symptoms.iter().any(|known| known.channel == symptom.channel && known.direction == symptom.direction) {
            let found = symptom.channel.as_str();
            return Err(table.wrong_value(table.line, "channel", found, "each channel and direction once"));
        }
        symptoms.push(symptom);
    }
    let one_channel = match root.table("one_channel", "[one_channel]")? {
        None => None,
        Some(table) => {
            table.allow(&["share", "weight"])?;
            let share = table.number("share")?;
            if !(0.5..1.0).contains(&share.value) {
                let found = share.value.to_string();
                return Err(table.wrong_value(share.line, "share", &found, "a share from 0.5 to below 1"));
            }
            Some((table.line, Signature::OneChannel { share: share.value, weight: read_weight(&table)? }))
        }
    };
    match (symptoms.is_empty(), one_channel) {
        (true, None) => Ok(None),
        (true, Some((_, signature))) => Ok(Some(signature)),
        (false, None) => Ok(Some(Signature::Channels(symptoms))),
        (false, Some((line, _))) => {
            Err(root.wrong_value(line, "one_channel", "with [[trigger]]", "either [[trigger]] or [one_channel]"))
        }
    }
}

fn read_symptom(table: &Table<'_, '_>) -> Result<Symptom, PlaybookError> {
    table.allow(&["channel", "direction", "weight", "required"])?;
    let channel = table.text("channel")?;
    let direction = table.text("direction")?;
    Ok(Symptom {
        channel: Name::parse(&channel.value)
            .map_err(|error| table.wrong_value(channel.line, "channel", &channel.value, &error.to_string()))?,
        direction: match direction.value.as_str() {
            "high" => Direction::High,
            "low" => Direction::Low,
            "neither" => Direction::Neither,
            found => return Err(table.wrong_value(direction.line, "direction", found, "high, low or neither")),
        },
        weight: read_weight(table)?,
        required: table.flag("required")?,
    })
}

fn read_weight(table: &Table<'_, '_>) -> Result<f64, PlaybookError> {
    let weight = table.number("weight")?;
    if !(weight.value > 0.0 && weight.value <= HEAVIEST) {
        return Err(table.wrong_value(weight.line, "weight", &weight.value.to_string(), "nats above 0, at most 4"));
    }
    Ok(weight.value)
}

fn read_statements(root: &Table<'_, '_>, templates: &mut Templates) -> Result<Vec<Statement>, PlaybookError> {
    let mut statements: Vec<Statement> = Vec::new();
    for table in root.tables("statement", "[[statement]]")? {
        table.allow(&["place", "kind", "text", "sources"])?;
        let place = table.text("place")?;
        let place = match place.value.as_str() {
            "observation" => Place::Observation,
            "cause" => Place::Cause,
            "background" => Place::Background,
            found => return Err(table.wrong_value(place.line, "place", found, "observation, cause or background")),
        };
        let sentence = Sentence::read(&table, templates)?;
        check_kind(&table, &sentence)?;
        statements.push(Statement { place, sentence });
    }
    for (place, key) in [(Place::Observation, "observation"), (Place::Cause, "cause")] {
        if !statements.iter().any(|statement| statement.place == place) {
            return Err(root.missing("statement").remedy(format!("add a [[statement]] with `place = \"{key}\"`")));
        }
    }
    Ok(statements)
}

fn check_kind(table: &Table<'_, '_>, sentence: &Sentence) -> Result<(), PlaybookError> {
    let kind = table.text("kind")?;
    let of_alarm = |citation: &Citation| matches!(citation, Citation::Payload(_));
    let stray = match kind.value.as_str() {
        "data" => sentence.citations.iter().any(|citation| !of_alarm(citation)),
        "fact" => sentence.citations.iter().any(of_alarm),
        found => return Err(table.wrong_value(kind.line, "kind", found, "data or fact")),
    };
    if stray {
        let found = format!("a statement of kind `{}` with a source of the other kind", kind.value);
        return Err(table.document.rule(sentence.line, Rule::K001, found));
    }
    Ok(())
}

fn read_steps(root: &Table<'_, '_>, templates: &mut Templates) -> Result<Vec<Instruction>, PlaybookError> {
    let mut steps: Vec<Instruction> = Vec::new();
    for table in root.tables("step", "[[step]]")? {
        table.allow(&["class", "requires", "text", "sources", "duration"])?;
        let class = table.text("class")?;
        let class = Class::parse(&class.value).ok_or_else(|| {
            table.wrong_value(class.line, "class", &class.value, "observe, operate, touch, open or electrical")
        })?;
        let requires = table.texts("requires")?;
        if let Some(stray) = requires.iter().find(|required| required.value != "lockout") {
            return Err(table.wrong_value(stray.line, "requires", &stray.value, "lockout"));
        }
        // The renderer puts lockout first whatever stands here; the author has to have thought of it all the same.
        if class.is_intrusive() && requires.is_empty() {
            return Err(table.document.rule(table.line, Rule::K008, "an intrusive step without `requires`"));
        }
        // Checked now, so that a planner's view can rely on it.
        read_time(&table, "duration")?;
        steps.push(Instruction { class, sentence: Sentence::read(&table, templates)? });
    }
    Ok(steps)
}

fn check_order(root: &Table<'_, '_>, steps: &[Instruction]) -> Result<(), PlaybookError> {
    let Some(observation) = steps.iter().position(|step| step.class == Class::Observe) else {
        return Err(root.document.rule(root.line, Rule::K012, "no step of class observe"));
    };
    let intrusive = || steps.iter().enumerate().filter(|(_, step)| step.class.is_intrusive());
    let (Some((first, step)), Some((last, _))) = (intrusive().next(), intrusive().next_back()) else { return Ok(()) };
    if first < observation {
        return Err(root.document.rule(step.sentence.line, Rule::K012, "an intrusive step first"));
    }
    // Between the first and the last intrusive step the machine is locked out: nothing can be operated.
    match steps[first..last].iter().find(|step| step.class == Class::Operate) {
        Some(step) => {
            let found = "a step of class operate while the machine is locked out";
            Err(root.document.rule(step.sentence.line, Rule::K008, found))
        }
        None => Ok(()),
    }
}

fn read_parts(root: &Table<'_, '_>) -> Result<Vec<PlaybookPart>, PlaybookError> {
    root.tables("part", "[[part]]")?
        .iter()
        .map(|table| {
            if let Some(line) = table.has("number") {
                return Err(table.document.rule(line, Rule::K020, "`number` in [[part]]"));
            }
            table.allow(&["id", "name", "quantity"])?;
            let name = table.text("name")?;
            let is_number = |word: &str| word.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_OF_A_NUMBER;
            if let Some(word) = name.value.split_whitespace().find(|word| is_number(word)) {
                return Err(table.document.rule(name.line, Rule::K020, format!("`{word}` in a part's name")));
            }
            let quantity = table.number("quantity")?;
            if quantity.value <= 0.0 {
                let found = quantity.value.to_string();
                return Err(table.wrong_value(quantity.line, "quantity", &found, "a number above 0"));
            }
            Ok(PlaybookPart { id: table.text("id")?.value, name: name.value, quantity: quantity.value })
        })
        .collect()
}

/// The channels that the playbook speaks of, for the stock payloads.
fn channels_of(playbook: &Playbook) -> Vec<Name> {
    let mut channels: Vec<Name> = match &playbook.signature {
        Some(Signature::Channels(symptoms)) => symptoms.iter().map(|symptom| symptom.channel.clone()).collect(),
        _ => Vec::new(),
    };
    channels.dedup();
    channels
}

const FORMAT: f64 = 1.0;
/// A single symptom with more evidence than this would decide alone.
const HEAVIEST: f64 = 4.0;
/// A word with so many digits is taken for a part number.
const DIGITS_OF_A_NUMBER: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Defect;

    #[test]
    fn only_what_brings_people_into_the_reach_of_energy_is_intrusive() {
        let classes = ["observe", "operate", "touch", "open", "electrical"].map(Class::parse);
        let intrusive = classes.map(|class| class.is_some_and(Class::is_intrusive));
        assert_eq!(intrusive, [false, false, true, true, true]);
        assert_eq!(Class::parse("weld"), None);
    }

    #[test]
    fn a_playbook_that_is_not_for_its_path_is_refused() {
        let text = "format = 1\nname = \"a/b\"\n";
        let error = Playbook::parse(text, "playbooks/a/c.toml").expect_err("the path differs");
        assert_eq!((error.kind, error.line), (Defect::WrongValue, Some(2)));
    }
}
