use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Defect, PlaybookError, Rule};

/// A TOML file that is being read: knows what the file is called and which line a place is on.
#[derive(Clone, Copy)]
pub(super) struct Document<'d> {
    pub(super) origin: &'d str,
    pub(super) text: &'d str,
}

/// A value and the line that it starts on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

impl<'d> Document<'d> {
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'d>>, PlaybookError> {
        DeTable::parse(self.text).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line(&span));
            self.error(line, Defect::Syntax, error.message().lines().collect::<Vec<_>>().join(", "), "TOML")
                .remedy("correct the line; texts stand in double quotes, tables in [[double brackets]]")
        })
    }

    pub(super) fn root<'t>(&self, table: &'t Spanned<DeTable<'d>>) -> Table<'t, 'd> {
        Table { document: *self, name: "the file", table: table.as_ref(), line: 1 }
    }

    pub(super) fn error(
        &self,
        line: usize,
        kind: Defect,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> PlaybookError {
        PlaybookError {
            origin: self.origin.to_owned(),
            line: Some(line),
            kind,
            found: found.into(),
            expected: expected.into(),
            remedy: String::new(),
        }
    }

    pub(super) fn rule(&self, line: usize, rule: Rule, found: impl Into<String>) -> PlaybookError {
        self.error(line, Defect::Rule(rule), found, rule.expected()).remedy(rule.remedy())
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        1 + before.bytes().filter(|byte| *byte == b'\n').count()
    }
}

impl PlaybookError {
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// One table of the file. Each reading names the key, so that an error can.
#[derive(Clone, Copy)]
pub(super) struct Table<'t, 'd> {
    pub(super) document: Document<'d>,
    /// As the author wrote it, e.g. `[[trigger]]`.
    name: &'static str,
    table: &'t DeTable<'d>,
    pub(super) line: usize,
}

impl<'t, 'd> Table<'t, 'd> {
    /// Refuses every key but these.
    pub(super) fn allow(&self, keys: &[&str]) -> Result<(), PlaybookError> {
        for key in self.table.keys() {
            let found: &str = key.as_ref();
            if keys.contains(&found) {
                continue;
            }
            let nearest = keys
                .iter()
                .map(|key| (strsim::damerau_levenshtein(key, found), key))
                .min()
                .filter(|(distance, key)| *distance * 2 <= key.len());
            let remedy = match nearest {
                Some((_, nearest)) => format!("did you mean `{nearest}`?"),
                None => "take it out".to_owned(),
            };
            let line = self.document.line(&key.span());
            return Err(self
                .document
                .error(
                    line,
                    Defect::UnknownKey,
                    format!("key `{found}` in {}", self.name),
                    format!("one of {}", keys.join(", ")),
                )
                .remedy(remedy));
        }
        Ok(())
    }

    pub(super) fn has(&self, key: &str) -> Option<usize> {
        self.table.get(key).map(|value| self.document.line(&value.span()))
    }

    pub(super) fn text(&self, key: &'static str) -> Result<Placed<String>, PlaybookError> {
        self.optional_text(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn optional_text(&self, key: &'static str) -> Result<Option<Placed<String>>, PlaybookError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let text = self.as_text(key, value)?;
        if text.value.trim().is_empty() {
            return Err(self.wrong_value(text.line, key, "an empty text", "a text"));
        }
        Ok(Some(text))
    }

    pub(super) fn texts(&self, key: &'static str) -> Result<Vec<Placed<String>>, PlaybookError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let Some(array) = value.as_ref().as_array() else {
            return Err(self.wrong_type(key, value, "an array of texts"));
        };
        array.iter().map(|value| self.as_text(key, value)).collect()
    }

    pub(super) fn number(&self, key: &'static str) -> Result<Placed<f64>, PlaybookError> {
        let value = self.table.get(key).ok_or_else(|| self.missing(key))?;
        let written = match value.as_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return Err(self.wrong_type(key, value, "a number")),
        };
        let line = self.document.line(&value.span());
        match written.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Placed { value: number, line }),
            _ => Err(self.wrong_value(line, key, written, "a finite number")),
        }
    }

    pub(super) fn flag(&self, key: &'static str) -> Result<bool, PlaybookError> {
        match self.table.get(key).map(|value| (value, value.as_ref().as_bool())) {
            None => Ok(false),
            Some((_, Some(flag))) => Ok(flag),
            Some((value, None)) => Err(self.wrong_type(key, value, "true or false")),
        }
    }

    /// The tables under `[[key]]`, in the file's order.
    pub(super) fn tables(&self, key: &'static str, name: &'static str) -> Result<Vec<Table<'t, 'd>>, PlaybookError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let Some(array) = value.as_ref().as_array() else { return Err(self.wrong_type(key, value, name)) };
        array.iter().map(|value| self.as_table(key, name, value)).collect()
    }

    /// The table under `[key]`.
    pub(super) fn table(&self, key: &'static str, name: &'static str) -> Result<Option<Table<'t, 'd>>, PlaybookError> {
        self.table.get(key).map(|value| self.as_table(key, name, value)).transpose()
    }

    pub(super) fn missing(&self, key: &str) -> PlaybookError {
        self.document
            .error(self.line, Defect::MissingKey, format!("{} without `{key}`", self.name), format!("`{key} = …`"))
            .remedy("add the key")
    }

    pub(super) fn wrong_value(&self, line: usize, key: &str, found: &str, expected: &str) -> PlaybookError {
        self.document
            .error(line, Defect::WrongValue, format!("`{key}` = {found:?} in {}", self.name), expected)
            .remedy("correct the value")
    }

    fn as_text(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Placed<String>, PlaybookError> {
        let line = self.document.line(&value.span());
        match value.as_ref().as_str() {
            Some(text) => Ok(Placed { value: text.to_owned(), line }),
            None => Err(self.wrong_type(key, value, "a text in quotes")),
        }
    }

    fn as_table(
        &self,
        key: &str,
        name: &'static str,
        value: &'t Spanned<DeValue<'d>>,
    ) -> Result<Table<'t, 'd>, PlaybookError> {
        let Some(table) = value.as_ref().as_table() else { return Err(self.wrong_type(key, value, name)) };
        Ok(Table { document: self.document, name, table, line: self.document.line(&value.span()) })
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> PlaybookError {
        let found = format!("`{key}` of type {} in {}", value.as_ref().type_str(), self.name);
        self.document
            .error(self.document.line(&value.span()), Defect::WrongType, found, expected)
            .remedy("correct the value")
    }
}

impl Rule {
    fn expected(self) -> &'static str {
        match self {
            Rule::K001 => "a source for every sentence: `payload:/…` for data, an id of [[source]] for a fact",
            Rule::K002 => "ids that [[source]] defines, each of them named somewhere",
            Rule::K003 => "excerpt_sha256 = SHA-256 of the trimmed excerpt with single spaces",
            Rule::K004 => "an excerpt of at most 300 characters from a text that may be quoted",
            Rule::K007 => "one sentence that ends with a full stop",
            Rule::K008 => "lockout before each step of class touch, open or electrical",
            Rule::K009 => "words that promise nothing and defeat no protection",
            Rule::K010 => "a template that renders whatever the alarm holds",
            Rule::K012 => "a step of class observe before the first intrusive one",
            Rule::K020 => "a part without its number",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Rule::K001 => "name the source in `sources`",
            Rule::K002 => "correct the id, define the source, or take it out",
            Rule::K003 => "copy the excerpt again from its source, or give `cite_only = true` instead of it",
            Rule::K004 => "shorten the excerpt, or cite with `cite_only = true`",
            Rule::K007 => "split it, and give each part its own sources",
            Rule::K008 => "add `requires = [\"lockout\"]`, and keep work on the running machine out of it",
            Rule::K009 => "say what to do or what is known, in other words",
            Rule::K010 => {
                "use `{{ c.CHANNEL.seen }}` with the source `payload:/contributions/{CHANNEL}`, which leaves the \
                 sentence out where the channel is missing"
            }
            Rule::K012 => "put an observation first",
            Rule::K020 => "give the part an `id`; the number stands in the machine's own list under that id",
        }
    }
}
