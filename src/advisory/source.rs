use std::collections::BTreeSet;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::citation::Citation;
use super::document::{Placed, Table};
use super::error::{PlaybookError, Rule};
use super::recommendation::Source;
use super::sentence::Sentence;

/// Reads the `[[source]]` tables of a file, whose ids are `letter` and a number, and refuses a quotation that is not
/// what its hash says or that may not be quoted.
pub(super) fn read_sources(root: &Table<'_, '_>, letter: char) -> Result<Vec<Placed<Source>>, PlaybookError> {
    let mut sources: Vec<Placed<Source>> = Vec::new();
    for table in root.tables("source", "[[source]]")? {
        let source = read_source(&table, letter)?;
        if sources.iter().any(|known| known.value.id == source.value.id) {
            return Err(table.wrong_value(source.line, "id", &source.value.id, "an id that no other source has"));
        }
        sources.push(source);
    }
    Ok(sources)
}

/// Refuses an id that no source has, and a source that no sentence names.
pub(super) fn check_ids(
    root: &Table<'_, '_>,
    sources: &[Placed<Source>],
    sentences: &[&Sentence],
) -> Result<(), PlaybookError> {
    let mut named = BTreeSet::new();
    for sentence in sentences {
        for citation in &sentence.citations {
            let Citation::Source(id) = citation else { continue };
            if !sources.iter().any(|source| source.value.id == *id) {
                return Err(root.document.rule(sentence.line, Rule::K002, format!("source `{id}`, not defined")));
            }
            named.insert(id.as_str());
        }
    }
    match sources.iter().find(|source| !named.contains(source.value.id.as_str())) {
        Some(idle) => {
            Err(root.document.rule(idle.line, Rule::K002, format!("source `{}`, never named", idle.value.id)))
        }
        None => Ok(()),
    }
}

fn read_source(table: &Table<'_, '_>, letter: char) -> Result<Placed<Source>, PlaybookError> {
    table.allow(&["id", "title", "edition", "section", "rights", "excerpt", "excerpt_sha256", "cite_only"])?;
    let id = table.text("id")?;
    let number = id.value.strip_prefix(letter).filter(|rest| !rest.is_empty());
    if !number.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(table.wrong_value(id.line, "id", &id.value, &format!("`{letter}1`, `{letter}2`, …")));
    }
    let title = table.text("title")?;
    let title = match table.optional_text("edition")? {
        Some(edition) => format!("{}, {}", title.value, edition.value),
        None => title.value,
    };
    let section = table.text("section")?.value;
    let excerpt_sha256 = read_excerpt(table, &title)?;
    Ok(Placed { line: id.line, value: Source { id: id.value, title, section, excerpt_sha256 } })
}

/// The hash of the excerpt; `None` where the source is cited, not quoted.
fn read_excerpt(table: &Table<'_, '_>, title: &str) -> Result<Option<String>, PlaybookError> {
    let document = table.document;
    let rights = table.text("rights")?;
    if !RIGHTS.contains(&rights.value.as_str()) {
        return Err(table.wrong_value(rights.line, "rights", &rights.value, &RIGHTS.join(", ")));
    }
    let cite_only = table.flag("cite_only")?;
    let Some(excerpt) = table.optional_text("excerpt")? else {
        return match (cite_only, table.has("excerpt_sha256")) {
            (true, None) => Ok(None),
            (_, line) => Err(document.rule(line.unwrap_or(table.line), Rule::K003, "a source without its excerpt")),
        };
    };
    if cite_only || rights.value == "cite-only" {
        return Err(document.rule(excerpt.line, Rule::K004, "an excerpt of a source that is only cited"));
    }
    if let Some(owner) = NOT_QUOTABLE.into_iter().find(|owner| title.starts_with(owner)) {
        return Err(document.rule(excerpt.line, Rule::K004, format!("an excerpt of a text of `{}`", owner.trim())));
    }
    let length = excerpt.value.chars().count();
    if length > LONGEST_EXCERPT {
        return Err(document.rule(excerpt.line, Rule::K004, format!("an excerpt of {length} characters")));
    }
    let hash = hash_of(&excerpt.value);
    match table.optional_text("excerpt_sha256")? {
        Some(written) if written.value == hash => Ok(Some(hash)),
        Some(written) => {
            let found = format!("{}, where the excerpt's hash is {hash}", written.value);
            Err(document.rule(written.line, Rule::K003, found))
        }
        None => Err(document.rule(excerpt.line, Rule::K003, format!("no excerpt_sha256, it would be {hash}"))),
    }
}

/// SHA-256 of the text trimmed, with single spaces, in lower-case hexadecimal.
fn hash_of(excerpt: &str) -> String {
    let collapsed = excerpt.split_whitespace().collect::<Vec<_>>().join(" ");
    Sha256::digest(collapsed.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

const RIGHTS: [&str; 4] = ["us-gov", "own", "licensed", "cite-only"];
/// Publishers whose texts are under copyright: cited, never quoted.
const NOT_QUOTABLE: [&str; 7] = ["ISO ", "IEC ", "API ", "ISA", "EEMUA", "Hydraulic Institute", "Europump"];
const LONGEST_EXCERPT: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_excerpt_does_not_depend_on_how_its_lines_are_broken() {
        let expected = "1469a7205a6aa9d1efc1f178c3d5fd110f9f900171b99b66fc9169b425ff166c";
        assert_eq!(hash_of("Do not throttle the suction of a centrifugal pump."), expected);
        assert_eq!(hash_of("  Do not throttle\n the suction of a   centrifugal pump. "), expected);
    }
}
