use std::sync::Arc;

use fearless_simd::Level;
use serde::Serialize;

use super::dense::{self, DenseDenoiser};
use super::network::{Network, Plan, guarded};
use super::pulse::{self, PulseDenoiser};
use super::reference::Reference;
use super::ring::{self, Program, RingDenoiser};
use super::window::WindowDenoiser;
use super::{Contract, Denoiser, InferenceError};

/// A way to run a network, the fastest first. On the same file all give the same columns, but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// Own code for causal chains of convolutions, one column a sample.
    Ring,
    /// tract, one column a sample, for other causal networks.
    Pulse,
    /// Own code, a whole window a sample, for convolutions and products that look anywhere in their window.
    Dense,
    /// tract, a whole window a sample, for any network.
    Window,
}

/// A faster engine that a network does not run on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TurnedDown {
    pub engine: &'static str,
    pub why: String,
    /// By how much its columns differ from those of the whole window, in scaled units, if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<f32>,
}

/// A network on the engine that was chosen for it.
pub(super) enum Engine {
    Ring(Arc<Program>),
    Pulse(Plan),
    Dense(Arc<dense::Program>),
    Window(Plan),
}

impl EngineKind {
    /// As shown to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Pulse => "pulse",
            Self::Dense => "dense",
            Self::Window => "window",
        }
    }
}

impl Engine {
    /// The fastest engine from `first` on that does as tract does with the whole window.
    pub fn choose(
        network: Network,
        onnx: &[u8],
        contract: &Contract,
        reference: &Reference,
        first: EngineKind,
    ) -> (Self, Vec<TurnedDown>) {
        let mut turned_down = Vec::new();
        for kind in [EngineKind::Ring, EngineKind::Pulse, EngineKind::Dense].into_iter().filter(|kind| *kind >= first) {
            let engine = guarded(|| match kind {
                EngineKind::Ring => Ok(Self::Ring(Arc::new(ring::compile(&network.typed, contract, Level::new())?))),
                EngineKind::Dense => Ok(Self::Dense(Arc::new(dense::compile(&network.typed, Level::new())?))),
                _ => Ok(Self::Pulse(pulse::plan(onnx, contract)?)),
            });
            let unfit = |why| TurnedDown { engine: kind.name(), why, difference: None };
            match engine.map_err(unfit).and_then(|engine| engine.proved(contract, reference)) {
                Ok(engine) => return (engine, turned_down),
                Err(why) => turned_down.push(why),
            }
        }
        (Self::Window(network.plan), turned_down)
    }

    pub fn kind(&self) -> EngineKind {
        match self {
            Self::Ring(_) => EngineKind::Ring,
            Self::Pulse(_) => EngineKind::Pulse,
            Self::Dense(_) => EngineKind::Dense,
            Self::Window(_) => EngineKind::Window,
        }
    }

    /// A denoiser that follows one machine.
    pub fn denoiser(&self, contract: &Contract) -> Result<Box<dyn Denoiser>, InferenceError> {
        Ok(match self {
            Self::Ring(program) => Box::new(RingDenoiser::new(program)),
            Self::Dense(program) => Box::new(DenseDenoiser::new(program, contract)?),
            Self::Pulse(plan) => Box::new(PulseDenoiser::new(plan, contract)?),
            Self::Window(plan) => Box::new(WindowDenoiser::new(plan, contract)?),
        })
    }

    fn proved(self, contract: &Contract, reference: &Reference) -> Result<Self, TurnedDown> {
        let engine = self.kind().name();
        let largest = guarded(|| {
            let mut denoiser = self.denoiser(contract).map_err(|error| error.to_string())?;
            reference.difference(&mut *denoiser).map_err(|error| error.to_string())
        });
        let largest = largest.map_err(|why| TurnedDown { engine, why, difference: None })?;
        if largest > LARGEST_DIFFERENCE {
            tracing::warn!(engine, largest, "a network's columns differ from those of its whole window");
            let why = format!("its columns differ from those of the whole window by up to {largest:e}");
            return Err(TurnedDown { engine, why, difference: Some(largest) });
        }
        Ok(self)
    }
}

/// Between an engine's columns and those of the whole window, in scaled units.
const LARGEST_DIFFERENCE: f32 = 1e-4;

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
