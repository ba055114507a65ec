use std::ops::Range;

use super::kind::{Kind, Measure};

/// An anomaly that is to be injected, with everything that was left out filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// From 1; events are injected in this order.
    pub id: u32,
    pub kind: Kind,
    /// Places of channels; none for a clock.
    pub channels: Vec<usize>,
    /// From 0.
    pub rows: Range<usize>,
    pub size: f64,
    pub unit: Unit,
    pub details: Details,
}

/// What a size is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The channel's own robust standard deviation.
    Deviation,
    /// The channel's own unit.
    Own,
    Factor,
    Rows,
    Seconds,
    Share,
    None,
}

/// What only some kinds have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Rows over which it comes, evenly; 0: at once.
    pub creep: usize,
    /// Rows to either side that an extremum stands out of; `None`: all.
    pub context: Option<usize>,
    /// Rows at either end over which a shift comes and goes.
    pub transition: usize,
    /// Share of the rows that have a spike.
    pub rate: f64,
}

impl Event {
    /// Its own keys, as they are written.
    pub fn parameters(&self) -> String {
        let Details { creep, context, transition, rate } = &self.details;
        let of_key = |key: &&str| match *key {
            "creep" => format!("creep={creep}"),
            "context" => context.map_or_else(|| "context=all".to_owned(), |rows| format!("context={rows}")),
            "transition" => format!("transition={transition}"),
            _ => format!("rate={rate}"),
        };
        self.kind.takes().iter().map(of_key).collect::<Vec<_>>().join(";")
    }
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Deviation => "deviation",
            Self::Own => "own",
            Self::Factor => "factor",
            Self::Rows => "rows",
            Self::Seconds => "seconds",
            Self::Share => "share",
            Self::None => "",
        }
    }

    pub(super) fn of(measure: Measure, own: bool) -> Self {
        match measure {
            Measure::Deviations if own => Self::Own,
            Measure::Deviations => Self::Deviation,
            Measure::Factor => Self::Factor,
            Measure::Rows => Self::Rows,
            Measure::Seconds => Self::Seconds,
            Measure::Share => Self::Share,
            Measure::Nothing => Self::None,
        }
    }
}
