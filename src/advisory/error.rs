use std::fmt;

/// What is wrong with a playbook file: where, what was found, what was expected and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PlaybookError {
    /// The file, as its reader calls it.
    pub origin: String,
    /// From 1; `None` where the defect is not of one line.
    pub line: Option<usize>,
    pub kind: Defect,
    pub found: String,
    pub expected: String,
    pub remedy: String,
}

/// The kinds of defects in a playbook file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defect {
    /// The file is not TOML.
    Syntax,
    /// A key that nobody reads.
    UnknownKey,
    MissingKey,
    /// A key's value is of another TOML type.
    WrongType,
    /// A key's value is not one of those that may stand there.
    WrongValue,
    /// The playbook is well formed and still must not be rendered.
    Rule(Rule),
    /// Several files that do not fit together.
    Library,
}

/// The linter's rules, named as in the project's rule list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Each statement and step names a source; a statement about the alarm points into its payload.
    K001,
    /// Each named source exists, and each source is named.
    K002,
    /// A quotation carries its hash.
    K003,
    /// Only what may be quoted is quoted, and briefly.
    K004,
    /// One sentence a statement.
    K007,
    /// No intrusive step without lockout before it.
    K008,
    /// No words that promise, or that tell people to defeat a protection.
    K009,
    /// Every template renders, whatever the alarm holds.
    K010,
    /// Look before you open.
    K012,
    /// Part numbers come from the machine, never from the playbook.
    K020,
}

impl PlaybookError {
    /// Whether this is the given rule's finding.
    pub fn breaks(&self, rule: Rule) -> bool {
        self.kind == Defect::Rule(rule)
    }
}

impl fmt::Display for PlaybookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Defect::Rule(rule) = self.kind {
            write!(f, ": {rule:?}")?;
        }
        write!(f, ": found {}; expected {}; {}", self.found, self.expected, self.remedy)
    }
}
