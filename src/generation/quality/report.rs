use std::collections::HashMap;

use ndarray::Array2;
use serde::Serialize;

use super::frechet::RandomConvolutions;
use super::gate::{Gate, judge};
use super::labels::LabelReader;
use super::pictures::Pictures;
use super::privacy::Privacy;
use super::two_sample::TwoSample;
use super::windows::{Scale, WindowSet, WindowsError};
use super::{autocorrelation, baseline, correlation, frechet, marginal, mmd, spectrum};

/// What became of the comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub figures: Vec<Figure>,
    pub gates: Vec<Gate>,
    #[serde(skip)]
    pub pictures: Pictures,
}

/// One figure of the synthetic windows, and what others get by the same measure. Distances are to the held-out windows.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// With `:label` or `:channel` where it is of one of them.
    pub name: String,
    pub unit: String,
    /// What it says.
    pub what: &'static str,
    pub synthetic: Option<f64>,
    /// What real windows get: those of the training, or, of what the training would give away, half of the held-out ones.
    pub real: Option<f64>,
    pub gaussian: Option<f64>,
    /// Of the Gaussian whose mean is a linear model of the labels.
    pub additive: Option<f64>,
}

/// Compares synthetic windows with those that the training saw (`real`) and those that it did not (`holdout`). The same
/// windows give the same report. Of long files an even part is taken, so that time and memory are bounded: ten windows a
/// group, at most 2,000 real windows of either kind and 1,000 synthetic ones.
pub fn assess(real: &WindowSet, holdout: &WindowSet, synthetic: &WindowSet) -> Result<Report, WindowsError> {
    real.check("--real", real)?;
    holdout.check_held_out(real)?;
    synthetic.check("--synthetic", real)?;
    let scale = Scale::of(real)?;
    let synthetic = synthetic.thinned(PER_GROUP).at_most(MOST_WINDOWS);
    let (real, holdout) = (real.at_most(MOST_REAL), holdout.at_most(MOST_REAL));
    let yardstick = Yardstick::new(&real, &holdout, scale);
    let (half, rest) = yardstick.holdout.halves();
    let drawn = [Some(baseline::gaussian(&real, &synthetic)), baseline::additive(&real, &synthetic)];
    let columns = [
        Some(yardstick.measure(&synthetic, None)),
        Some(yardstick.measure(&yardstick.thin_real.clone(), Some((&half, &rest)))),
        drawn[0].as_ref().map(|set| yardstick.measure(set, None)),
        drawn[1].as_ref().map(|set| yardstick.measure(set, None)),
    ];
    let figures = yardstick.figures(&columns);
    let pictures = Pictures::of(&yardstick.thin_holdout, &synthetic, &yardstick.scale);
    Ok(Report { gates: judge(&figures), figures, pictures })
}

/// Real windows and what is worked out of them once.
struct Yardstick {
    scale: Scale,
    thin_real: WindowSet,
    thin_holdout: WindowSet,
    /// In deviations, with all windows of a group.
    real: WindowSet,
    holdout: WindowSet,
    spectrum: Vec<Vec<f64>>,
    convolutions: RandomConvolutions,
    features: Array2<f64>,
    readers: Vec<Option<LabelReader>>,
}

impl Yardstick {
    fn new(real: &WindowSet, holdout: &WindowSet, scale: Scale) -> Self {
        let (thin_real, thin_holdout) = (real.thinned(PER_GROUP), holdout.thinned(PER_GROUP));
        let convolutions = RandomConvolutions::fixed(real.channels.len(), real.rows);
        let learnt = scale.apply(&thin_real);
        Self {
            real: scale.apply(real),
            holdout: scale.apply(holdout),
            spectrum: spectrum::of(&thin_holdout),
            features: convolutions.features(&scale.apply(&thin_holdout)),
            readers: (0..real.labels.len()).map(|label| LabelReader::learn(&learnt, &learnt, label)).collect(),
            convolutions,
            scale,
            thin_real,
            thin_holdout,
        }
    }

    /// Everything about one set, by the name of the figure. Where `halves` are given, privacy is that of the first of them,
    /// beside the second.
    fn measure(&self, set: &WindowSet, halves: Option<(&WindowSet, &WindowSet)>) -> HashMap<String, f64> {
        let scaled = self.scale.apply(set);
        let mut found = HashMap::new();
        self.spreads(set, &scaled, &mut found);
        self.shapes(set, &scaled, &mut found);
        self.labels(&scaled, &mut found);
        let privacy = match halves {
            Some((half, rest)) => Privacy::of(&self.real, rest, half),
            None => Privacy::of(&self.real, &self.holdout, &scaled),
        };
        found.extend(
            [
                ("closer", privacy.closer),
                ("flags", privacy.flags),
                ("nearest_ratio", privacy.nearest_ratio),
                ("near_duplicates", privacy.near_duplicates),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        found
    }

    fn spreads(&self, set: &WindowSet, scaled: &WindowSet, found: &mut HashMap<String, f64>) {
        let (holdout, real) = (self.scale.apply(&self.thin_holdout), self.scale.apply(&self.thin_real));
        let (half, rest) = holdout.halves();
        let channels = set.channels.len();
        let (mut own, mut floor, mut between_halves) = ([0.0; 2], [0.0; 2], [0.0; 2]);
        for (channel, name) in set.channels.iter().enumerate() {
            let ks = marginal::kolmogorov_smirnov(&set.channel(channel), &self.thin_holdout.channel(channel));
            let area = marginal::wasserstein(&set.channel(channel), &self.thin_holdout.channel(channel));
            found.insert(format!("ks:{name}"), ks);
            found.insert(format!("wasserstein:{name}"), area);
            own[0] += ks / channels as f64;
            own[1] += marginal::wasserstein(&scaled.channel(channel), &holdout.channel(channel)) / channels as f64;
            floor[0] +=
                marginal::kolmogorov_smirnov(&real.channel(channel), &holdout.channel(channel)) / channels as f64;
            floor[1] += marginal::wasserstein(&real.channel(channel), &holdout.channel(channel)) / channels as f64;
            let [one, other] = [&half, &rest].map(|set| set.channel(channel));
            between_halves[0] += marginal::kolmogorov_smirnov(&one, &other) / channels as f64;
            between_halves[1] += marginal::wasserstein(&one, &other) / channels as f64;
        }
        // By chance the training may lie closer to what was kept apart than any other sample would. Half as many windows differ
        // by the root of two more.
        let floor = [0, 1].map(|at| floor[at].max(between_halves[at] / 2f64.sqrt()).max(f64::MIN_POSITIVE));
        found.insert("ks".into(), own[0]);
        found.insert("wasserstein".into(), own[1]);
        found.insert("ks_ratio".into(), own[0] / floor[0]);
        found.insert("wasserstein_ratio".into(), own[1] / floor[1]);
    }

    fn shapes(&self, set: &WindowSet, scaled: &WindowSet, found: &mut HashMap<String, f64>) {
        let spectrum = spectrum::of(set);
        let holdout = self.scale.apply(&self.thin_holdout);
        let features = self.convolutions.features(scaled);
        // As many of one as of the other.
        let count = scaled.windows.len().min(holdout.windows.len()).min(MOST_TWO_SAMPLE);
        let (one, other) = (holdout.at_most(count), scaled.at_most(count));
        let (values, fine) = (TwoSample::of(&one, &other), TwoSample::fine(&one, &other));
        found.extend(
            [
                ("correlation", correlation::difference(set, &self.thin_holdout)),
                ("acf", autocorrelation::difference(set, &self.thin_holdout)),
                ("psd", spectrum::log_ratio(&spectrum, &self.spectrum)),
                ("high_frequency", spectrum::high_frequency_ratio(&spectrum, &self.spectrum)),
                ("mmd", mmd::squared(&one.matrix(), &other.matrix())),
                ("rc_fid", frechet::distance(&features, &self.features)),
                ("c2st", values.perceptron),
                ("c2st_logistic", values.logistic),
                ("fine", fine.perceptron),
                ("fine_logistic", fine.logistic),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
    }

    fn labels(&self, scaled: &WindowSet, found: &mut HashMap<String, f64>) {
        let (real, holdout) = (self.scale.apply(&self.thin_real), self.scale.apply(&self.thin_holdout));
        if scaled.labels != real.labels {
            return;
        }
        for (label, name) in scaled.labels.iter().enumerate() {
            let Some(reader) = &self.readers[label] else { continue };
            let Some(on_real) = reader.judge(&holdout) else { continue };
            if let Some(obeyed) = reader.judge(scaled) {
                found.insert(format!("obeyed:{name}"), obeyed.discriminant);
            }
            let trained = LabelReader::learn(scaled, &real, label).and_then(|reader| reader.judge(&holdout));
            if let Some(trained) = trained {
                found.insert(format!("trained:{name}"), trained.discriminant);
                found.insert(format!("trained_ridge:{name}"), trained.ridge);
                found.insert(format!("trained_neighbours:{name}"), trained.neighbours);
                let ratio = trained.discriminant / on_real.discriminant.max(f64::MIN_POSITIVE);
                found.insert(format!("trained_ratio:{name}"), ratio);
            }
        }
    }

    fn figures(&self, columns: &[Option<HashMap<String, f64>>; 4]) -> Vec<Figure> {
        let held_out = self.scale.apply(&self.thin_holdout);
        let accuracy = |name: &str| {
            let label = self.real.labels.iter().position(|label| label == name)?;
            Some(self.readers[label].as_ref()?.judge(&held_out)?.discriminant)
        };
        let mut figures = Vec::new();
        for &(measure, unit, what, of) in &MEASURES {
            let names: Vec<String> = match of {
                Of::All => vec![measure.to_owned()],
                Of::Label => self.real.labels.iter().map(|label| format!("{measure}:{label}")).collect(),
                Of::Channel => self.real.channels.iter().map(|channel| format!("{measure}:{channel}")).collect(),
            };
            for name in names {
                let of = |column: &Option<HashMap<String, f64>>| column.as_ref()?.get(&name).copied();
                // A reader agrees with what it has learnt from; what counts is real windows that it has not seen.
                let real = match name.split_once(':') {
                    Some(("obeyed", label)) => accuracy(label),
                    _ => of(&columns[1]),
                };
                let [synthetic, _, gaussian, additive] = [0, 1, 2, 3].map(|column| of(&columns[column]));
                if synthetic.is_some() || real.is_some() {
                    figures.push(Figure { unit: unit.into(), what, synthetic, real, gaussian, additive, name });
                }
            }
        }
        figures
    }
}

#[derive(Clone, Copy)]
enum Of {
    All,
    Label,
    Channel,
}

/// Name, unit and meaning of each figure, in the order in which they are shown.
const MEASURES: [(&str, &str, &str, Of); 25] = [
    ("c2st", "|accuracy - 0.5|", "a small network tells the windows from real ones", Of::All),
    ("c2st_logistic", "|accuracy - 0.5|", "logistic regression does", Of::All),
    ("fine", "|accuracy - 0.5|", "a small network does by first differences", Of::All),
    ("fine_logistic", "|accuracy - 0.5|", "logistic regression does by first differences", Of::All),
    ("ks_ratio", "ratio", "distance of the channels' values to held-out ones, over that of real ones", Of::All),
    ("wasserstein_ratio", "ratio", "the same by Wasserstein's distance", Of::All),
    ("ks", "0 to 1", "largest gap between distribution functions, mean of the channels", Of::All),
    ("wasserstein", "deviations", "area between distribution functions, mean of the channels", Of::All),
    ("correlation", "", "difference of the correlation matrices, lower triangle over ten", Of::All),
    ("acf", "", "mean difference of autocorrelations", Of::All),
    ("psd", "|log ratio|", "mean difference of power spectra", Of::All),
    ("high_frequency", "ratio", "energy in the upper half of the frequencies", Of::All),
    ("mmd", "", "squared maximum mean discrepancy, unbiased", Of::All),
    ("rc_fid", "", "Fréchet distance on fixed random convolutions", Of::All),
    ("trained_ratio", "ratio", "trained on these, tested on held-out real windows, over trained on real", Of::Label),
    ("trained", "accuracy", "trained on these, tested on held-out real windows: linear discriminants", Of::Label),
    ("trained_ridge", "accuracy", "the same: ridge regression", Of::Label),
    ("trained_neighbours", "accuracy", "the same: five nearest neighbours", Of::Label),
    ("obeyed", "agreement", "trained on real windows, agrees with the condition asked for", Of::Label),
    ("flags", "ratio", "training windows that an attacker finds out, over false finds", Of::All),
    ("closer", "share", "nearer to a training window than to a held-out one", Of::All),
    ("near_duplicates", "share", "copies of training windows", Of::All),
    ("nearest_ratio", "ratio", "distance to the nearest training window over that to the second nearest", Of::All),
    ("ks", "0 to 1", "largest gap between distribution functions", Of::Channel),
    ("wasserstein", "the channel's", "area between distribution functions", Of::Channel),
];
/// Windows of a group that count.
const PER_GROUP: usize = 10;
const MOST_WINDOWS: usize = 1000;
const MOST_REAL: usize = 2000;
const MOST_TWO_SAMPLE: usize = 500;
