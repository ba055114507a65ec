use super::facts::MachineFacts;
use super::recommendation::Source;
use crate::acquisition::Name;
use crate::assessment::Diagnosis;
use crate::detection::Contribution;

/// What a recommendation is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    pub(super) diagnosis: &'a Diagnosis,
    pub(super) facts: &'a MachineFacts,
    pub(super) contributions: &'a [Contribution],
    pub(super) score: f64,
}

/// What a sentence of a playbook rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Citation {
    /// An id of the playbook's `[[source]]`.
    Source(String),
    /// A place in the alarm's own payload.
    Payload(Pointer),
    /// What the configuration says about this machine's lockout: `machine:/lockout`.
    Lockout,
}

/// A place in the alarm's payload, as a playbook can name it before the payload exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pointer {
    /// The n-th largest contribution: `payload:/contributions/0`.
    Contribution(usize),
    /// A channel's contribution, wherever it stands: `payload:/contributions/{FS1}`.
    Channel(Name),
    Contributions,
    Diagnosis,
    FirstFault,
    Score,
    Limit,
    Machine,
}

impl Citation {
    /// `None` for a payload or machine pointer that nobody understands.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "machine:/lockout" {
            return Some(Self::Lockout);
        }
        match text.split_once(':') {
            Some(("payload", pointer)) => Pointer::parse(pointer).map(Self::Payload),
            Some(_) => None,
            None => Some(Self::Source(text.to_owned())),
        }
    }

    /// The syntax, for an error's remedy.
    pub(super) const SYNTAX: &'static str = "an id of [[source]], `payload:/contributions/0`, \
        `payload:/contributions/{CHANNEL}`, `payload:/contributions`, `payload:/diagnosis`, `payload:/diagnosis/0`, \
        `payload:/score`, `payload:/limit`, `payload:/machine` or `machine:/lockout`";

    /// Whether it leads to something that is there.
    pub(super) fn resolves(&self, defined: &[Source], payload: &Payload<'_>) -> bool {
        look_up(self, defined, payload).is_some()
    }
}

impl Pointer {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "/contributions" => return Some(Self::Contributions),
            "/diagnosis" => return Some(Self::Diagnosis),
            "/diagnosis/0" => return Some(Self::FirstFault),
            "/score" => return Some(Self::Score),
            "/limit" => return Some(Self::Limit),
            "/machine" => return Some(Self::Machine),
            _ => {}
        }
        let place = text.strip_prefix("/contributions/")?;
        match place.strip_prefix('{').and_then(|place| place.strip_suffix('}')) {
            Some(channel) => Name::parse(channel).ok().map(Self::Channel),
            None => place.parse().ok().map(Self::Contribution),
        }
    }

    /// The JSON pointer into this payload; `None` where it has nothing there.
    pub(super) fn resolve(&self, payload: &Payload<'_>) -> Option<String> {
        let contributions = payload.contributions;
        match self {
            Self::Contribution(n) => (*n < contributions.len()).then(|| format!("/contributions/{n}")),
            Self::Channel(name) => {
                let n = contributions.iter().position(|contribution| contribution.channel == *name)?;
                Some(format!("/contributions/{n}"))
            }
            Self::Contributions => (!contributions.is_empty()).then(|| "/contributions".to_owned()),
            Self::Diagnosis => Some("/diagnosis".to_owned()),
            Self::FirstFault => (!payload.diagnosis.faults.is_empty()).then(|| "/diagnosis/0".to_owned()),
            Self::Score => payload.score.is_finite().then(|| "/score".to_owned()),
            Self::Limit => Some("/limit".to_owned()),
            Self::Machine => Some("/machine".to_owned()),
        }
    }
}

/// The sources of one recommendation, each once, in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct Bibliography {
    sources: Vec<Source>,
    of_payload: usize,
}

impl Bibliography {
    /// The ids under which these stand, or `None`, and nothing is entered, where one of them leads nowhere.
    pub(super) fn cite(
        &mut self,
        citations: &[Citation],
        defined: &[Source],
        payload: &Payload<'_>,
    ) -> Option<Vec<String>> {
        let found: Vec<Source> =
            citations.iter().map(|citation| look_up(citation, defined, payload)).collect::<Option<_>>()?;
        let mut ids: Vec<String> = Vec::with_capacity(found.len());
        for source in found {
            let id = self.enter(source);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Some(ids)
    }

    /// For what the configuration does not say.
    pub(super) fn cite_configuration(&mut self) -> String {
        self.enter(configuration())
    }

    pub(super) fn into_sources(self) -> Vec<Source> {
        self.sources
    }

    fn enter(&mut self, mut source: Source) -> String {
        let same = |known: &&Source| {
            if source.id.is_empty() { known.section == source.section } else { known.id == source.id }
        };
        if let Some(known) = self.sources.iter().find(same) {
            return known.id.clone();
        }
        if source.id.is_empty() {
            self.of_payload += 1;
            source.id = format!("d{}", self.of_payload);
        }
        let id = source.id.clone();
        self.sources.push(source);
        id
    }
}

/// The source behind a citation; that of a payload pointer gets its id when it is entered.
fn look_up(citation: &Citation, defined: &[Source], payload: &Payload<'_>) -> Option<Source> {
    match citation {
        Citation::Source(id) => defined.iter().find(|source| source.id == *id).cloned(),
        Citation::Payload(pointer) => Some(Source {
            id: String::new(),
            title: "This alarm".to_owned(),
            section: format!("payload:{}", pointer.resolve(payload)?),
            excerpt_sha256: None,
        }),
        Citation::Lockout => payload.facts.lockout.as_ref().map(|_| configuration()),
    }
}

fn configuration() -> Source {
    Source {
        id: "c1".to_owned(),
        title: "This gateway's configuration".to_owned(),
        section: "lockout of this machine".to_owned(),
        excerpt_sha256: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_that_nobody_understands_is_no_citation() {
        assert_eq!(Citation::parse("s1"), Some(Citation::Source("s1".to_owned())));
        assert_eq!(Citation::parse("payload:/contributions/2"), Some(Citation::Payload(Pointer::Contribution(2))));
        assert_eq!(Citation::parse("payload:/contributions/{a/b}"), None);
        assert_eq!(Citation::parse("payload:/secret"), None);
        assert_eq!(Citation::parse("http://example.org"), None);
    }
}
