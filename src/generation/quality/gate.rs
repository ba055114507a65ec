use serde::Serialize;

use super::report::Figure;

/// A bound that synthetic windows keep or do not.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    /// Memory, or quality.
    pub kind: &'static str,
    pub figure: String,
    pub met: bool,
    pub found: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// In a plain sentence.
    pub meaning: String,
}

/// The gates that can be judged by these figures.
pub(super) fn judge(figures: &[Figure]) -> Vec<Gate> {
    figures.iter().filter_map(gate).collect()
}

fn gate(figure: &Figure) -> Option<Gate> {
    let found = figure.synthetic?;
    let (kind, low, high, meaning) = match figure.name.as_str() {
        "c2st" => (
            QUALITY,
            None,
            Some(0.2),
            "a small network cannot tell synthetic windows from real ones much better than by guessing".to_owned(),
        ),
        "fine" => (
            QUALITY,
            None,
            Some(0.12),
            "nor can it by the steps from one row to the next, where wrong noise shows".to_owned(),
        ),
        "ks_ratio" => {
            (QUALITY, None, Some(1.25), "each channel's values are spread nearly as held-out real ones are".to_owned())
        }
        // Real windows differ too, the more the fewer runs were kept apart.
        "psd" => (
            QUALITY,
            None,
            Some(figure.real.map_or(0.2, |real| f64::max(0.2, 1.25 * real))),
            "no frequency is much stronger or weaker than in real windows".to_owned(),
        ),
        "high_frequency" => (
            QUALITY,
            Some(0.85),
            Some(1.15),
            "fast movements have the energy that real ones have: neither smoothed nor rough".to_owned(),
        ),
        "flags" => (
            MEMORY,
            None,
            Some(most_flags(figure)),
            "an attacker who holds the synthetic windows cannot tell which real windows the training saw".to_owned(),
        ),
        "near_duplicates" => (MEMORY, None, Some(0.0), "no synthetic window is a copy of a training window".to_owned()),
        "closer" => {
            let beside = figure.additive.or(figure.gaussian)?;
            (MEMORY, None, Some(beside.max(0.5) + 0.05), "synthetic windows are hardly nearer to the training than those of a Gaussian, which can remember no window".to_owned())
        }
        name => {
            let (measure, label) = name.split_once(':')?;
            match measure {
                "trained_ratio" => (
                    QUALITY,
                    Some(least_trained(label)),
                    None,
                    format!("what learns {label} from synthetic windows knows it in real ones"),
                ),
                "obeyed" => (
                    QUALITY,
                    Some(figure.real? - 0.05),
                    None,
                    format!("a window that is to show a condition of {label} shows it"),
                ),
                _ => return None,
            }
        }
    };
    let met = low.is_none_or(|low| found >= low - ROUNDING) && high.is_none_or(|high| found <= high + ROUNDING);
    Some(Gate { kind, figure: figure.name.clone(), met, found, low, high, meaning })
}

/// A Gaussian can remember no window, yet where few runs were kept apart it is flagged now more, now less than real
/// windows are: what is flagged hardly more than it remembers none either. Copies are flagged ten times as often.
fn most_flags(figure: &Figure) -> f64 {
    let beside = [figure.gaussian, figure.additive].into_iter().flatten().fold(0.0, f64::max);
    f64::max(1.5, 1.5 * beside)
}

/// What training on synthetic windows must keep of the accuracy of training on real ones: for the rig's components what
/// was found within reach, else nine tenths.
fn least_trained(label: &str) -> f64 {
    match label {
        "cooler" => 1.0 - 0.01,
        "valve" => 0.93,
        "pump" => 0.98,
        _ => 0.9,
    }
}

const QUALITY: &str = "quality";
const MEMORY: &str = "memory";
const ROUNDING: f64 = 1e-9;
