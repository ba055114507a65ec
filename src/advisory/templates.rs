use minijinja::{Environment, UndefinedBehavior, Value};

use super::view::View;

/// The compiled sentences of one file. A template may print and decide; it has no filters, no globals, no way to other
/// templates, and a bounded number of instructions.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
    count: usize,
}

/// Which template of its [`Templates`] a sentence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TemplateId(usize);

/// Why a template cannot be used, and on which of its lines, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemplateError {
    pub(super) message: String,
    pub(super) line: usize,
}

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION);
        Self { environment, count: 0 }
    }

    pub(super) fn add(&mut self, source: &str) -> Result<TemplateId, TemplateError> {
        let id = TemplateId(self.count);
        self.environment.add_template_owned(id.name(), source.to_owned()).map_err(TemplateError::from)?;
        let used = self.environment.get_template(&id.name()).map_err(TemplateError::from)?.undeclared_variables(false);
        let mut unknown: Vec<String> = used.into_iter().filter(|name| !View::NAMES.contains(&name.as_str())).collect();
        unknown.sort();
        if let Some(name) = unknown.into_iter().next() {
            let message = format!("`{name}`, where a template knows {}", View::NAMES.join(", "));
            return Err(TemplateError { message, line: 0 });
        }
        self.count += 1;
        Ok(id)
    }

    pub(super) fn render(&self, id: TemplateId, view: &Value) -> Result<String, TemplateError> {
        let template = self.environment.get_template(&id.name()).map_err(TemplateError::from)?;
        template.render(view.clone()).map_err(TemplateError::from)
    }
}

impl TemplateId {
    fn name(self) -> String {
        self.0.to_string()
    }
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        let message = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self { message, line: error.line().map_or(0, |line| line.saturating_sub(1)) }
    }
}

/// Instructions for one sentence: the longest shipped one takes a few dozen.
const FUEL: u64 = 10_000;
const RECURSION: usize = 32;
