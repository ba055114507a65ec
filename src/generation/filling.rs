use std::collections::VecDeque;

use super::{Condition, GenerationError, Generator, Layout, LearnedGenerator};

/// A trained generator that keeps what is known of a series, fills in what is not, and goes on where it ends.
pub struct Filling {
    generator: LearnedGenerator,
    known: VecDeque<Vec<f64>>,
    /// The newest window, where what follows has not yet been told of it.
    newest: Option<(Vec<f64>, Condition)>,
}

impl Filling {
    /// `known`: whole windows, rows by time, NaN where nothing is known. The generator must have an encoder.
    pub fn new(generator: LearnedGenerator, known: Vec<Vec<f64>>) -> Self {
        Self { generator, known: known.into(), newest: None }
    }

    fn window(&mut self, known: Vec<f64>, condition: &Condition) -> Result<Vec<f64>, GenerationError> {
        let window = if known.iter().all(|value| value.is_finite()) {
            known
        } else {
            self.go_on()?;
            self.generator.fill(&known, condition)?
        };
        self.newest = Some((window.clone(), condition.clone()));
        Ok(window)
    }

    /// What follows goes on from the noise that the newest window would have come from.
    fn go_on(&mut self) -> Result<(), GenerationError> {
        let Some((window, condition)) = self.newest.take() else { return Ok(()) };
        let conditions = [condition];
        if let Some(latent) = self.generator.encode(&[window], &conditions)? {
            let noise = self.generator.invert(latent, &conditions)?;
            self.generator.resume(noise);
        }
        Ok(())
    }
}

impl Generator for Filling {
    fn layout(&self) -> &Layout {
        self.generator.layout()
    }

    fn windows(&mut self, conditions: &[Condition]) -> Result<Vec<Vec<f64>>, GenerationError> {
        let mut windows = Vec::with_capacity(conditions.len());
        while windows.len() < conditions.len()
            && let Some(known) = self.known.pop_front()
        {
            windows.push(self.window(known, &conditions[windows.len()])?);
        }
        let rest = &conditions[windows.len()..];
        if !rest.is_empty() {
            self.go_on()?;
            windows.extend(self.generator.windows(rest)?);
        }
        Ok(windows)
    }
}
