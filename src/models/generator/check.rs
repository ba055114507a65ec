use super::manifest::{ChannelEntry, Family, GeneratorManifest, LabelEntry, NetworkEntry, Role};
use super::{GeneratorKeys, Prediction};
use crate::manipulation::LARGEST_WINDOW;
use crate::models::intake::check_tolerance;

/// Whether what a manifest says of its generator makes sense, or why not.
pub(super) fn check(manifest: &GeneratorManifest) -> Result<(), String> {
    let GeneratorManifest { generator, networks, vectors, .. } = manifest;
    check_sizes(generator)?;
    check_loop(generator)?;
    for channel in &generator.channels {
        check_channel(channel)?;
    }
    for label in &generator.labels {
        check_label(label)?;
    }
    check_names(generator)?;
    check_conditions(generator)?;
    check_networks(generator, networks)?;
    check_tolerance(vectors)
}

fn check_sizes(generator: &GeneratorKeys) -> Result<(), String> {
    if generator.window == 0 || generator.channels.is_empty() {
        return Err("generator.window and the list of channels must not be empty".to_owned());
    }
    if generator.window.saturating_mul(generator.channels.len()) > LARGEST_WINDOW {
        return Err(format!(
            "generator.window is {}; with its channels at most {LARGEST_WINDOW} values fit",
            generator.window
        ));
    }
    let [channels, length] = generator.latent;
    if channels == 0 || length == 0 || channels.saturating_mul(length) > LARGEST_WINDOW {
        return Err(format!("generator.latent is [{channels}, {length}], expected 1 to {LARGEST_WINDOW} values"));
    }
    if generator.cadence.is_zero() {
        return Err("generator.cadence is zero".to_owned());
    }
    Ok(())
}

fn check_loop(generator: &GeneratorKeys) -> Result<(), String> {
    let GeneratorKeys { family, prediction, schedule, sampler, steps, guidance, .. } = generator;
    let given = [prediction.is_some(), schedule.is_some(), sampler.is_some(), steps.is_some(), guidance.is_some()];
    let wanted = family.denoises();
    if given.iter().any(|given| *given != wanted) {
        let word = if wanted { "must all be there" } else { "have no place" };
        return Err(format!(
            "prediction, schedule, sampler, steps and guidance {word} in the family {:?}",
            family.name()
        ));
    }
    if let Some(steps) = steps.filter(|steps| !(1..=MOST_STEPS).contains(steps)) {
        return Err(format!("generator.steps is {steps}, expected 1 to {MOST_STEPS}"));
    }
    if let Some(guidance) = guidance.filter(|guidance| !(0.0..=MOST_GUIDANCE).contains(guidance)) {
        return Err(format!("generator.guidance is {guidance}, expected 0 to {MOST_GUIDANCE}; 1 is none"));
    }
    Ok(())
}

fn check_channel(channel: &ChannelEntry) -> Result<(), String> {
    let ChannelEntry { name, resolution, low, high, .. } = channel;
    if !(*resolution > 0.0 && resolution.is_finite()) {
        return Err(format!("the resolution of channel {name} is {resolution}, expected a positive number"));
    }
    let bounds = [low, high].into_iter().flatten();
    if bounds.clone().any(|bound| !bound.is_finite()) || matches!((low, high), (Some(low), Some(high)) if low >= high) {
        return Err(format!("the bounds of channel {name} are {low:?} to {high:?}, expected the lower one first"));
    }
    Ok(())
}

fn check_label(label: &LabelEntry) -> Result<(), String> {
    let steps: Vec<f64> = label.levels.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let rises = steps.iter().all(|step| *step > 0.0);
    let falls = steps.iter().all(|step| *step < 0.0);
    if label.levels.len() < 2 || !(rises || falls) || label.levels.iter().any(|level| !level.is_finite()) {
        return Err(format!(
            "the levels of label {} are {:?}, expected two or more that rise or fall",
            label.name, label.levels
        ));
    }
    Ok(())
}

/// They become columns of one table.
fn check_names(generator: &GeneratorKeys) -> Result<(), String> {
    let channels = generator.channels.iter().map(|channel| channel.name.as_str());
    let labels = generator.labels.iter().map(|label| label.name.as_str());
    let mut names: Vec<&str> = RESERVED.into_iter().chain(channels).chain(labels).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(format!("a channel or label is called {:?}, which is taken", twice[0])),
        None => Ok(()),
    }
}

fn check_conditions(generator: &GeneratorKeys) -> Result<(), String> {
    let GeneratorKeys { labels, conditions, .. } = generator;
    if conditions.is_empty() {
        return if labels.is_empty() { Ok(()) } else { Err("there is no [[generator.condition]]".to_owned()) };
    }
    for condition in conditions {
        let known = condition.levels.len() == labels.len()
            && labels.iter().zip(&condition.levels).all(|(label, level)| label.levels.contains(level));
        if !known || condition.share.is_nan() || condition.share <= 0.0 {
            return Err(format!(
                "the condition {:?} with the share {} is none: expected one of the levels of each label and a positive \
                 share",
                condition.levels, condition.share
            ));
        }
    }
    let whole: f64 = conditions.iter().map(|condition| condition.share).sum();
    if (whole - 1.0).abs() > SHARES_WITHIN {
        return Err(format!("the shares of the conditions sum to {whole}, expected 1"));
    }
    Ok(())
}

fn check_networks(generator: &GeneratorKeys, networks: &[NetworkEntry]) -> Result<(), String> {
    let of = |role: Role| networks.iter().filter(move |network| network.role == role);
    for (role, needed) in [
        (Role::Denoiser, generator.family.denoises()),
        (Role::Decoder, true),
        (Role::Encoder, generator.family != Family::Gan),
        (Role::Continuation, true),
    ] {
        let found = of(role).count();
        let forbidden = role == Role::Denoiser && !needed;
        if found > 1 || (needed && found == 0) || (forbidden && found > 0) {
            return Err(format!(
                "there are {found} networks of the role {:?} in the family {:?}, expected {}",
                role.name(),
                generator.family.name(),
                usize::from(needed),
            ));
        }
    }
    for network in networks {
        let (inputs, outputs) = (strings(&network.inputs), strings(&network.output));
        let known = network.role.signatures().iter().any(|(ins, outs)| inputs == *ins && outputs == *outs);
        if !known {
            return Err(format!(
                "the {} takes {inputs:?} and gives {outputs:?}; expected one of {:?}",
                network.role.name(),
                network.role.signatures()
            ));
        }
        if networks.iter().filter(|other| other.path == network.path).count() > 1 {
            return Err(format!("{} serves two roles", network.path));
        }
    }
    Ok(())
}

fn strings(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Inputs and outputs of a graph, in order.
type Signature = (&'static [&'static str], &'static [&'static str]);

impl Role {
    /// The inputs and outputs that a graph of this role may have.
    fn signatures(self) -> &'static [Signature] {
        match self {
            Self::Denoiser => &[(&["x", "noise_level", "condition"], &["prediction"])],
            Self::Decoder => &[(&["x", "condition"], &["series"]), (&["x", "condition", "noise"], &["series"])],
            Self::Encoder => {
                &[(&["series", "condition"], &["mean"]), (&["series", "condition"], &["mean", "log_variance"])]
            }
            Self::Continuation => &[(&["previous", "noise"], &["next"])],
        }
    }

    /// The shape of one window of an input or output.
    pub(super) fn shape(self, name: &str, generator: &GeneratorKeys) -> Vec<usize> {
        match (self, name) {
            (_, "noise_level") => vec![1],
            (_, "condition") => vec![generator.condition()],
            (_, "series") | (Self::Decoder, "noise") => vec![generator.channels.len(), generator.window],
            _ => generator.latent.to_vec(),
        }
    }
}

impl Family {
    /// Whether noise becomes a window in many small steps.
    pub fn denoises(self) -> bool {
        matches!(self, Self::Diffusion | Self::LatentDiffusion)
    }
}

impl Prediction {
    /// As written in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::V => "v",
            Self::Epsilon => "epsilon",
            Self::X0 => "x0",
        }
    }
}

/// Columns that every table of generated telemetry has.
const RESERVED: [&str; 3] = ["window", "time", "imputed"];
const MOST_STEPS: usize = 10_000;
const MOST_GUIDANCE: f64 = 20.0;
/// Shares are written with few digits.
const SHARES_WITHIN: f64 = 1e-3;
