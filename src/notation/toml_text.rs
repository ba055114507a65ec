use std::fmt;

use serde::de::DeserializeOwned;

/// Reads a TOML text into a type that refuses unknown keys.
pub fn read_toml<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, TomlError> {
    toml::from_str(text).map_err(|error| TomlError::new(text, origin, &error))
}

/// What is wrong with a TOML text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlError {
    origin: String,
    /// From 1; `None` where the fault has no one place, e.g. a missing key.
    place: Option<(usize, usize)>,
    line: String,
    message: String,
    meant: Option<String>,
}

impl TomlError {
    /// A value that is TOML and yet not what it should be.
    pub fn value(text: &str, origin: &str, key: Key<'_>, what: &str) -> Self {
        let line = key.line(text);
        Self {
            origin: origin.to_owned(),
            place: line.map(|line| (line + 1, 1)),
            line: line.and_then(|line| text.lines().nth(line)).map(shortened).unwrap_or_default(),
            message: format!("{}: {what}", key.name),
            meant: None,
        }
    }

    fn new(text: &str, origin: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map(|span| span.start.min(text.len())).filter(|&start| text.is_char_boundary(start));
        let before = start.map(|start| &text[..start]);
        let place = before.map(|before| {
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            (before.matches('\n').count() + 1, column)
        });
        let line = place.and_then(|(line, _)| text.lines().nth(line - 1)).map(shortened).unwrap_or_default();
        let message: String = error.message().chars().take(LONGEST_MESSAGE).collect();
        let meant = unknown_key(&message).and_then(|(found, known)| nearest(found, known).map(str::to_owned));
        Self { origin: origin.to_owned(), place, line, message, meant }
    }
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some((line, column)) = self.place {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message.trim_end())?;
        if let Some(meant) = &self.meant {
            write!(f, "; did you mean `{meant}`?")?;
        }
        if !self.line.is_empty() {
            write!(f, "\n  | {}", self.line)?;
        }
        Ok(())
    }
}

impl std::error::Error for TomlError {}

/// Where a key stands in a TOML text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'k> {
    /// The table that it stands in, empty for the top, and which of an array's tables, from 0.
    pub table: (&'k str, usize),
    pub name: &'k str,
}

impl Key<'_> {
    /// The line, from 0, if the key stands on one of its own.
    fn line(&self, text: &str) -> Option<usize> {
        let (mut table, mut seen) = ("", std::collections::HashMap::new());
        let mut count = 0;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
                let times = seen.entry(table).or_insert(0usize);
                count = *times;
                *times += 1;
            } else if (table, count) == self.table
                && line.strip_prefix(self.name).is_some_and(|rest| rest.trim_start().starts_with('='))
            {
                return Some(number);
            }
        }
        None
    }
}

/// A line as it can be shown.
fn shortened(line: &str) -> String {
    let line = line.trim_end();
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line.to_owned(),
    }
}

/// The candidate that is most like what was found, if one is like it at all.
pub fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(found, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// The key that serde did not know, and those that it knows, from its own words.
fn unknown_key(message: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let rest = message.split_once("unknown field `").or_else(|| message.split_once("unknown variant `"))?.1;
    let (found, rest) = rest.split_once('`')?;
    Some((found, rest.split('`').skip(1).step_by(2)))
}

/// In characters.
const LONGEST_LINE: usize = 120;
const LONGEST_MESSAGE: usize = 600;

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Example {
        gateway: String,
        lateness: Option<u32>,
        cadence: Option<u32>,
    }

    #[test]
    fn an_unknown_key_is_answered_with_its_place_and_the_key_that_was_meant() {
        let error = read_toml::<Example>("gateway = \"g\"\nlatenes = 3\n", "example.toml").unwrap_err().to_string();
        assert!(error.starts_with("example.toml, line 2, column 1: "), "{error}");
        assert!(error.contains("did you mean `lateness`?"), "{error}");
        assert!(error.ends_with("| latenes = 3"), "{error}");
    }

    #[test]
    fn a_value_is_found_in_its_own_table() {
        let text = "[a]\nx = 1\n[[b]]\nx = 2\n[[b]]\ny = 3\n  x = 4\n";
        let line = |table, name| Key { table, name }.line(text);
        assert_eq!(line(("a", 0), "x"), Some(1));
        assert_eq!(line(("b", 1), "x"), Some(6));
        assert_eq!(line(("b", 0), "y"), None);
        let error = TomlError::value(text, "x.toml", Key { table: ("b", 1), name: "x" }, "is four").to_string();
        assert_eq!(error, "x.toml, line 7, column 1: x: is four\n  |   x = 4");
    }

    #[test]
    fn a_wrong_type_a_missing_key_and_broken_syntax_are_told_apart() {
        for (text, expected) in [
            ("gateway = 3", "line 1, column 11"),
            ("lateness = 3", "missing field `gateway`"),
            ("gateway = \"g", "line 1"),
            ("gateway = \"ä\"\ngateway = \"b\"", "line 2"),
        ] {
            let error = read_toml::<Example>(text, "x").unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
