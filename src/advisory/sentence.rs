use super::citation::Citation;
use super::document::Table;
use super::error::{Defect, PlaybookError, Rule};
use super::templates::{TemplateId, Templates};

/// One sentence of a file: what it says and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sentence {
    pub(super) template: TemplateId,
    pub(super) citations: Vec<Citation>,
    pub(super) line: usize,
}

impl Sentence {
    /// Reads `text` and `sources` of a statement or step, and refuses what must not be said or has no source.
    pub(super) fn read(table: &Table<'_, '_>, templates: &mut Templates) -> Result<Self, PlaybookError> {
        let text = table.text("text")?;
        let document = table.document;
        let prose = prose_of(&text.value);
        if let Some(found) = breach_of_sentence(&prose) {
            return Err(document.rule(text.line, Rule::K007, found));
        }
        if prose.contains(['[', ']']) {
            return Err(table.wrong_value(text.line, "text", &text.value, "no brackets: they mark citations"));
        }
        if let Some(word) = forbidden_word(&prose) {
            return Err(document.rule(text.line, Rule::K009, format!("`{word}`")));
        }
        let template = templates
            .add(&text.value)
            .map_err(|error| document.rule(text.line + error.line, Rule::K010, error.message))?;
        Ok(Self { template, citations: read_citations(table)?, line: text.line })
    }
}

fn read_citations(table: &Table<'_, '_>) -> Result<Vec<Citation>, PlaybookError> {
    let written = table.texts("sources")?;
    if written.is_empty() {
        return Err(table.document.rule(table.line, Rule::K001, "a sentence without `sources`"));
    }
    written
        .iter()
        .map(|source| {
            Citation::parse(&source.value).ok_or_else(|| {
                let found = format!("source {:?}", source.value);
                table
                    .document
                    .error(source.line, Defect::WrongValue, found, Citation::SYNTAX)
                    .remedy("correct the pointer")
            })
        })
        .collect()
}

/// The text without its template parts, for which a word stands in.
fn prose_of(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let close = if rest[start..].starts_with("{{") { "}}" } else { "%}" };
        let Some(end) = rest[start..].find(close) else { break };
        prose.push_str(&rest[..start]);
        // A printed value is a word; a decision is nothing.
        if close == "}}" {
            prose.push('x');
        }
        rest = &rest[start + end + 2..];
    }
    prose.push_str(rest);
    prose
}

fn breach_of_sentence(prose: &str) -> Option<String> {
    let Some(body) = prose.strip_suffix('.') else {
        return Some("a text that does not end with a full stop".to_owned());
    };
    if body.contains('\n') {
        return Some("a line break".to_owned());
    }
    let ends = |pair: &(char, char)| matches!(pair.0, '.' | '!' | '?') && pair.1.is_whitespace() || pair.0 == ';';
    let mut pairs = body.chars().zip(body.chars().skip(1));
    pairs.find(ends).map(|(sign, _)| format!("`{sign}` within the sentence"))
}

fn forbidden_word(prose: &str) -> Option<&'static str> {
    let words: Vec<String> =
        prose.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    FORBIDDEN.into_iter().find(|phrase| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).any(|window| window.iter().zip(&phrase).all(|(word, part)| word == part))
    })
}

/// What a recommendation never says: promises, and calls to defeat a protection.
const FORBIDDEN: [&str; 16] = [
    "safe",
    "safely",
    "guaranteed",
    "guarantee",
    "certainly",
    "always",
    "never",
    "restart",
    "reset",
    "bypass",
    "override",
    "disable the alarm",
    "disable the alarms",
    "asbestos",
    "hot work",
    "should",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_parts_are_no_prose() {
        assert_eq!(prose_of("{% if c.bypass %}The {{ c.bypass.seen }}{% endif %} runs."), "The x runs.");
        assert_eq!(forbidden_word(&prose_of("{{ c.bypass.seen }} is low.")), None);
    }

    #[test]
    fn forbidden_words_are_found_whole_and_in_any_case() {
        assert_eq!(forbidden_word("It is Safe."), Some("safe"));
        assert_eq!(forbidden_word("Disable  the alarm."), Some("disable the alarm"));
        assert_eq!(forbidden_word("Check the safety valve and the preset."), None);
    }

    #[test]
    fn a_number_with_a_point_does_not_end_a_sentence() {
        assert_eq!(breach_of_sentence("The limit is 1.0 here."), None);
        assert!(breach_of_sentence("One. Two.").is_some());
        assert!(breach_of_sentence("One; two.").is_some());
        assert!(breach_of_sentence("One").is_some());
    }
}
