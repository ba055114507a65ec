use serde::{Deserialize, Serialize};

/// What an anomaly does; the room's documentation has what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Amplitude,
    Extremum,
    Frequency,
    Mean,
    Pattern,
    PatternShift,
    Platform,
    Trend,
    Variance,
    ModeCorrelation,
    Stuck,
    Drift,
    Dropout,
    SpikeBurst,
    ClockSkew,
    CrossChannelBreak,
}

/// What the size of a kind is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// The channel's deviation, or its unit.
    Deviations,
    Factor,
    Rows,
    Seconds,
    Share,
    /// It has no size.
    Nothing,
}

impl Kind {
    pub const ALL: [Self; 16] = [
        Self::Amplitude,
        Self::Extremum,
        Self::Frequency,
        Self::Mean,
        Self::Pattern,
        Self::PatternShift,
        Self::Platform,
        Self::Trend,
        Self::Variance,
        Self::ModeCorrelation,
        Self::Stuck,
        Self::Drift,
        Self::Dropout,
        Self::SpikeBurst,
        Self::ClockSkew,
        Self::CrossChannelBreak,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Amplitude => "amplitude",
            Self::Extremum => "extremum",
            Self::Frequency => "frequency",
            Self::Mean => "mean",
            Self::Pattern => "pattern",
            Self::PatternShift => "pattern-shift",
            Self::Platform => "platform",
            Self::Trend => "trend",
            Self::Variance => "variance",
            Self::ModeCorrelation => "mode-correlation",
            Self::Stuck => "stuck",
            Self::Drift => "drift",
            Self::Dropout => "dropout",
            Self::SpikeBurst => "spike-burst",
            Self::ClockSkew => "clock-skew",
            Self::CrossChannelBreak => "cross-channel-break",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn measure(self) -> Measure {
        match self {
            Self::Amplitude | Self::Frequency | Self::Pattern | Self::Variance => Measure::Factor,
            Self::PatternShift => Measure::Rows,
            Self::ClockSkew => Measure::Seconds,
            Self::Dropout => Measure::Share,
            Self::ModeCorrelation | Self::CrossChannelBreak => Measure::Nothing,
            Self::Extremum
            | Self::Mean
            | Self::Platform
            | Self::Trend
            | Self::Stuck
            | Self::Drift
            | Self::SpikeBurst => Measure::Deviations,
        }
    }

    /// The size where none is given.
    pub(super) fn usual_size(self) -> f64 {
        match self {
            Self::Amplitude | Self::Frequency => 2.0,
            Self::Pattern | Self::PatternShift => 10.0,
            Self::Variance => 9.0,
            Self::Extremum | Self::Mean | Self::Platform | Self::Trend | Self::Drift => 4.0,
            Self::SpikeBurst => 6.0,
            Self::ClockSkew => 30.0,
            Self::Dropout => 1.0,
            Self::Stuck | Self::ModeCorrelation | Self::CrossChannelBreak => 0.0,
        }
    }

    /// What a size may be, if this one may not.
    pub(super) fn wrong_size(self, size: f64) -> Option<&'static str> {
        let right = match self {
            Self::Frequency => (0.05..=20.0).contains(&size),
            Self::Pattern => size > 0.0 && size <= MOST,
            Self::Amplitude | Self::Variance => (0.0..=MOST).contains(&size),
            Self::Dropout => size > 0.0 && size <= 1.0,
            Self::ModeCorrelation | Self::CrossChannelBreak => size == 0.0,
            _ => size.abs() <= MOST,
        };
        let expected = match self {
            Self::Frequency => "a factor of 0.05 to 20, e.g. 2: twice as fast",
            Self::Pattern => "how strongly the shape is rammed, more than 0, e.g. 10",
            Self::Amplitude | Self::Variance => "a factor, 0 or more, e.g. 4",
            Self::Dropout => "a share of the rows above 0 up to 1, e.g. 0.5",
            Self::ModeCorrelation | Self::CrossChannelBreak => "no size: the kind has none",
            Self::ClockSkew => "seconds, e.g. 30",
            Self::PatternShift => "rows, e.g. 10",
            _ => "how far, in the channel's deviations, e.g. 4",
        };
        (!right).then_some(expected)
    }

    /// Keys that this kind has beside those of all.
    pub(super) fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Amplitude | Self::Mean | Self::Variance => &["creep"],
            Self::Extremum => &["context"],
            Self::PatternShift => &["transition"],
            Self::SpikeBurst => &["rate"],
            _ => &[],
        }
    }

    /// Whether it says something of a channel's relation to others.
    pub(super) fn relates(self) -> bool {
        matches!(self, Self::ModeCorrelation | Self::CrossChannelBreak)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Of any size; beyond it arithmetic with usual values loses their digits.
const MOST: f64 = 1e9;
