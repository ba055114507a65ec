use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;

use super::FittedGenerator;
use super::channel::Nature;
use super::innovation::Draw;
use super::regime::Stay;
use crate::generation::noise::stream;
use crate::generation::{Condition, GenerationError, Generator, Layout};

/// An endless series of a fitted machine.
pub struct FittedSeries {
    fitted: FittedGenerator,
    layout: Layout,
    random: ChaCha8Rng,
    state: State,
    /// Rows so far.
    made: usize,
    /// What each channel shows now: a counter's state, and what a slow sensor goes on showing.
    shown: Vec<f64>,
}

/// What goes on from row to row beneath the channels' own units.
struct State {
    /// The newest rows of the autoregression, one behind another.
    past: VecDeque<f64>,
    stay: Stay,
    draw: Draw,
    next: Vec<f64>,
    innovation: Vec<f64>,
}

impl FittedSeries {
    pub(super) fn new(fitted: FittedGenerator, seed: u64) -> Self {
        let mut random = stream(seed, PURPOSE);
        let state = State::new(&fitted, &mut random);
        let shown = fitted.channels.iter().map(|channel| match channel.nature {
            Nature::Counter { from } => from,
            Nature::Constant | Nature::Measured => f64::NAN,
        });
        let mut series = Self { layout: fitted.layout(), shown: shown.collect(), state, random, made: 0, fitted };
        // Until nothing is left of how it began.
        for row in 0..series.fitted.window() * SETTLING {
            let place = row % series.fitted.window();
            series.state.turn(&series.fitted, place, &mut series.random);
        }
        series
    }

    pub fn fitted(&self) -> &FittedGenerator {
        &self.fitted
    }

    /// The next row, in this phase of the cycle; without a cycle the phase says nothing.
    pub fn row(&mut self, phase: usize) -> Vec<f64> {
        let Self { fitted, state, random, shown, layout, made } = self;
        state.turn(fitted, phase, random);
        let mut moving = 0;
        for (place, channel) in fitted.channels.iter().enumerate() {
            if !channel.moves() {
                shown[place] = channel.centre;
                continue;
            }
            let value = channel.centre + channel.scale * state.value(fitted, phase, moving);
            moving += 1;
            match channel.nature {
                Nature::Counter { .. } => shown[place] += value.max(0.0),
                _ if *made % channel.hold == 0 || shown[place].is_nan() => {
                    shown[place] = channel.shown(value, &layout.channels[place]);
                }
                _ => {}
            }
        }
        *made += 1;
        let row = fitted.channels.iter().zip(&layout.channels).zip(shown).map(|((channel, layout), value)| {
            // A counter's own state stays exact.
            if matches!(channel.nature, Nature::Counter { .. }) { layout.shown(*value) } else { *value }
        });
        row.collect()
    }
}

impl Generator for FittedSeries {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn windows(&mut self, conditions: &[Condition]) -> Result<Vec<Vec<f64>>, GenerationError> {
        let window = self.layout.window;
        let windows = conditions.iter().map(|_| (0..window).flat_map(|phase| self.row(phase)).collect::<Vec<f64>>());
        let windows: Vec<Vec<f64>> = windows.collect();
        let channels = &self.layout.channels;
        match windows.iter().flat_map(|window| window.iter().enumerate()).find(|(_, value)| !value.is_finite()) {
            Some((place, _)) => {
                Err(GenerationError::NotFinite { channel: channels[place % channels.len()].name.to_string() })
            }
            None => Ok(windows),
        }
    }
}

impl State {
    fn new(fitted: &FittedGenerator, random: &mut ChaCha8Rng) -> Self {
        let width = fitted.marginals.len();
        Self {
            past: VecDeque::from(vec![0.0; fitted.autoregression.reach() * width]),
            stay: fitted.regimes.begin(random),
            draw: fitted.innovations.begin(),
            next: vec![0.0; width],
            innovation: vec![0.0; width],
        }
    }

    /// One row on.
    fn turn(&mut self, fitted: &FittedGenerator, phase: usize, random: &mut ChaCha8Rng) {
        fitted.regimes.go_on(&mut self.stay, random);
        let place = if fitted.cycle.is_some() { phase } else { self.stay.regime };
        fitted.autoregression.expect(self.past.make_contiguous(), &mut self.next);
        fitted.innovations.draw(&mut self.draw, place, random, &mut self.innovation);
        self.past.drain(..self.next.len());
        self.past.extend(self.next.iter().zip(&self.innovation).map(|(next, innovation)| next + innovation));
    }

    /// Of a moving channel, in standard deviations from its mean.
    fn value(&self, fitted: &FittedGenerator, phase: usize, moving: usize) -> f64 {
        let width = self.next.len();
        let newest = self.past[self.past.len() - width + moving];
        let mapped = fitted.marginals[moving].map(newest);
        let level = fitted.regimes.level(self.stay.regime).map_or(0.0, |level| level[moving]);
        match &fitted.cycle {
            Some(cycle) => {
                let place = phase * width + moving;
                f64::from(cycle.means[place]) + level + f64::from(cycle.scales[place]) * mapped
            }
            None => level + mapped,
        }
    }

    /// The newest row of the autoregression.
    fn newest(&self) -> impl Iterator<Item = f64> {
        self.past.iter().copied().skip(self.past.len() - self.next.len())
    }
}

/// What the autoregression makes by itself, `[row * channel]`: what [`Marginal`](super::Marginal)s are fitted to.
pub(super) fn unmapped(fitted: &FittedGenerator, rows: usize) -> Vec<f64> {
    let mut random = stream(0, PURPOSE);
    let mut state = State::new(fitted, &mut random);
    let window = fitted.window();
    let settling = window * SETTLING;
    let mut made = Vec::with_capacity(rows * state.next.len());
    for row in 0..settling + rows {
        state.turn(fitted, row % window, &mut random);
        if row >= settling {
            made.extend(state.newest());
        }
    }
    made
}

/// Of its random numbers.
const PURPOSE: u64 = 0xf177;
/// Windows that nobody sees.
const SETTLING: usize = 4;
