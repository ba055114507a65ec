use minijinja::Value;
use minijinja::value::Serde;

use super::citation::{Bibliography, Citation, Payload, Pointer};
use super::lockout::Lockout;
use super::playbook::{Class, Place, Playbook};
use super::recommendation::{FIRST_CHECK, Part, Recommendation, Source, Step};
use super::sentence::Sentence;
use super::templates::Templates;
use super::view::View;

/// A playbook's sentences put together for one alarm, and what could not be rendered.
pub(super) struct Rendered {
    pub(super) recommendation: Recommendation,
    pub(super) failures: Vec<String>,
}

/// Puts a recommendation together: what is seen, what it probably is, the first check, the background; then the steps,
/// with lockout before the first intrusive one, or without the intrusive ones where the machine's lockout is unknown.
pub(super) fn render(playbook: &Playbook, lockout: &Lockout, payload: &Payload<'_>, probable: String) -> Rendered {
    let mut writer = Writer {
        playbook,
        lockout,
        payload,
        view: Value::from(Serde(View::new(payload, probable))),
        bibliography: Bibliography::default(),
        failures: Vec::new(),
    };
    let text = writer.text();
    let steps = writer.steps();
    let parts = playbook.parts.iter().map(|part| Part {
        name: part.name.clone(),
        number: payload.facts.parts.get(&part.id).cloned(),
        quantity: part.quantity,
    });
    Rendered {
        recommendation: Recommendation {
            playbook: playbook.name.clone(),
            version: playbook.version.clone(),
            text,
            steps,
            parts: parts.collect(),
            urgency: playbook.urgency.clone(),
            sources: writer.bibliography.into_sources(),
        },
        failures: writer.failures,
    }
}

struct Writer<'a> {
    playbook: &'a Playbook,
    lockout: &'a Lockout,
    payload: &'a Payload<'a>,
    view: Value,
    bibliography: Bibliography,
    failures: Vec<String>,
}

/// A sentence that stands, and the ids of what it rests on.
struct Written {
    text: String,
    ids: Vec<String>,
}

impl Writer<'_> {
    fn text(&mut self) -> String {
        let mut sentences = self.statements(Place::Observation);
        sentences.extend(self.statements(Place::Cause));
        sentences.extend(self.first_check());
        sentences.extend(self.statements(Place::Background));
        if self.leaves_steps_out() {
            sentences.push(Written { text: LEFT_OUT.to_owned(), ids: vec![self.bibliography.cite_configuration()] });
        }
        sentences.iter().map(Written::with_marks).collect::<Vec<_>>().join(" ")
    }

    fn statements(&mut self, place: Place) -> Vec<Written> {
        let playbook = self.playbook;
        let here = playbook.statements.iter().filter(|statement| statement.place == place);
        here.filter_map(|statement| {
            let fallback = Fallback { text: SEE_ALARM, citations: &[Citation::Payload(Pointer::Contributions)] };
            self.write(&statement.sentence, &playbook.templates, &playbook.sources, fallback)
        })
        .collect()
    }

    fn first_check(&mut self) -> Option<Written> {
        let playbook = self.playbook;
        let mut observations = playbook.steps.iter().filter(|step| step.class == Class::Observe);
        let check = observations.find_map(|step| self.write_step(&step.sentence))?;
        Some(Written { text: format!("{FIRST_CHECK}{}", check.text), ids: check.ids })
    }

    fn steps(&mut self) -> Vec<Step> {
        let playbook = self.playbook;
        let without_intrusive = self.leaves_steps_out();
        let last_intrusive = playbook.steps.iter().rposition(|step| step.class.is_intrusive());
        let mut written = Vec::new();
        let mut locked_out = false;
        for (n, step) in playbook.steps.iter().enumerate() {
            if step.class.is_intrusive() {
                if without_intrusive {
                    continue;
                }
                if !locked_out {
                    written.extend(self.write_lockout(&self.lockout.before));
                    locked_out = true;
                }
            }
            written.extend(self.write_step(&step.sentence));
            if locked_out && Some(n) == last_intrusive {
                written.extend(self.write_lockout(&self.lockout.after));
            }
        }
        (1..).zip(written).map(|(n, step)| Step { n, text: step.text, sources: step.ids }).collect()
    }

    fn leaves_steps_out(&self) -> bool {
        self.payload.facts.lockout.is_none() && self.playbook.steps.iter().any(|step| step.class.is_intrusive())
    }

    fn write_step(&mut self, sentence: &Sentence) -> Option<Written> {
        let fallback = Fallback { text: STOP_HERE, citations: &sentence.citations };
        self.write(sentence, &self.playbook.templates, &self.playbook.sources, fallback)
    }

    fn write_lockout(&mut self, sentences: &[Sentence]) -> Vec<Written> {
        let lockout = self.lockout;
        let mut written = Vec::with_capacity(sentences.len());
        for sentence in sentences {
            let fallback = Fallback { text: STOP_HERE, citations: &sentence.citations };
            written.extend(self.write(sentence, &lockout.templates, &lockout.sources, fallback));
        }
        written
    }

    /// A sentence, or nothing where one of its sources leads nowhere: then there is nothing to say.
    fn write(
        &mut self,
        sentence: &Sentence,
        templates: &Templates,
        defined: &[Source],
        fallback: Fallback<'_>,
    ) -> Option<Written> {
        if !sentence.citations.iter().all(|citation| citation.resolves(defined, self.payload)) {
            return None;
        }
        let (text, citations) = match templates.render(sentence.template, &self.view) {
            Ok(text) => (text, sentence.citations.as_slice()),
            // The stock payloads found no way to this place; an alarm must not be lost because one was overlooked.
            Err(error) => {
                self.failures.push(format!("line {}: {}", sentence.line, error.message));
                (fallback.text.to_owned(), fallback.citations)
            }
        };
        let ids = self.bibliography.cite(citations, defined, self.payload)?;
        Some(Written { text, ids })
    }
}

/// What stands in a sentence's place when its template fails.
struct Fallback<'a> {
    text: &'static str,
    citations: &'a [Citation],
}

impl Written {
    /// The sentence with its marks before the full stop: `Oil is short [s1][d2].`
    fn with_marks(&self) -> String {
        let body = self.text.trim_end().trim_end_matches('.');
        let marks: String = self.ids.iter().map(|id| format!("[{id}]")).collect();
        format!("{body} {marks}.")
    }
}

const SEE_ALARM: &str = "The contributions of this alarm show which channels deviate.";
const STOP_HERE: &str = "Do not go on: this step could not be written, look it up in the playbook.";
const LEFT_OUT: &str = "Steps that open or touch the machine are left out because its lockout is not on record.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquisition::Name;
    use crate::advisory::MachineFacts;
    use crate::assessment::Diagnosis;
    use crate::detection::{Contribution, Direction};

    #[test]
    fn a_template_that_fails_at_run_time_leaves_a_fixed_sentence_and_is_told() {
        let (mut playbook, lockout) = shipped();
        // What the linter would have refused.
        let broken = playbook.templates.add("{{ c.absent.seen }}.").expect("it compiles");
        playbook.statements[0].sentence.template = broken;
        let check = playbook.steps.iter_mut().find(|step| step.class == Class::Observe).expect("it has a first check");
        check.sentence.template = broken;

        let diagnosis = Diagnosis::default();
        let facts = MachineFacts::new(Name::parse("m").expect("a name"));
        let contributions = [Contribution {
            channel: Name::parse("a").expect("a name"),
            share: 1.0,
            direction: Direction::High,
            value: None,
            expected: None,
            unit: None,
        }];
        let payload = Payload { diagnosis: &diagnosis, facts: &facts, contributions: &contributions, score: 2.0 };
        let rendered = render(&playbook, &lockout, &payload, "not known".to_owned());
        assert!(rendered.recommendation.text.starts_with(&format!("{} [d1].", SEE_ALARM.trim_end_matches('.'))));
        assert_eq!(rendered.recommendation.steps[0].text, STOP_HERE);
        // The statement, the first check in the text, and the same check among the steps.
        assert_eq!(rendered.failures.len(), 3, "{:?}", rendered.failures);
    }

    #[test]
    fn marks_stand_before_the_full_stop() {
        let written = Written { text: "Oil is short.".to_owned(), ids: vec!["s1".to_owned(), "d2".to_owned()] };
        assert_eq!(written.with_marks(), "Oil is short [s1][d2].");
    }

    fn shipped() -> (Playbook, Lockout) {
        let unknown = include_str!("../../firmware-config/playbooks/generic/unknown.toml");
        let lockout = include_str!("../../firmware-config/playbooks/lockout.toml");
        (
            Playbook::parse(unknown, "generic/unknown.toml").expect("a shipped playbook is sound"),
            Lockout::parse(lockout, "lockout.toml").expect("the shipped lockout is sound"),
        )
    }
}
