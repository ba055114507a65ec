use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{FaultSymptoms, Signature, Symptom, SymptomTable};
use crate::detection::{Contribution, Direction};

/// What a machine may have: the most probable fault first. The probabilities sum to at most 1; what is missing belongs
/// to faults that the table does not know. Empty where no fault can be named honestly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diagnosis {
    pub faults: Vec<FaultProbability>,
}

/// A fault and how probable it is, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultProbability {
    pub fault: String,
    pub probability: f64,
}

/// Weighs each fault of `table` against the contributions of one score.
///
/// Naive Bayes in log space over signs: a symptom adds its weight, scaled by a strength that saturates with the share
/// that its channel has in the score; a channel that moves the wrong way, that stays quiet, or that the fault does not
/// explain counts against. A fault that the table does not know takes part with evidence of its own, and nothing is
/// named while it leads. A channel that is not measured says nothing.
///
/// It looks at directions only, never at levels: a level would betray the operating point, not the fault.
pub fn diagnose(table: &SymptomTable, contributions: &[Contribution]) -> Diagnosis {
    let evidence: Vec<(&str, f64)> = table
        .faults
        .iter()
        .filter_map(|fault| Some((fault.fault.as_str(), evidence_for(fault, contributions)?)))
        .collect();
    let whole: f64 = UNKNOWN.exp() + evidence.iter().map(|(_, nats)| nats.exp()).sum::<f64>();
    let unknown = UNKNOWN.exp() / whole;
    let mut faults: Vec<FaultProbability> = evidence
        .into_iter()
        .map(|(fault, nats)| FaultProbability { fault: fault.to_owned(), probability: nats.exp() / whole })
        .filter(|fault| fault.probability >= WORTH_NAMING)
        .collect();
    // Equal probabilities are ordered by name, so that the same evidence gives the same diagnosis on every machine.
    faults.sort_by(|a, b| {
        b.probability.partial_cmp(&a.probability).unwrap_or(Ordering::Equal).then_with(|| a.fault.cmp(&b.fault))
    });
    match faults.first() {
        Some(first) if first.probability >= NAMEABLE && first.probability > unknown => Diagnosis { faults },
        _ => Diagnosis::default(),
    }
}

/// The evidence for a fault in nats; `None` where it is out of the question.
fn evidence_for(fault: &FaultSymptoms, contributions: &[Contribution]) -> Option<f64> {
    match &fault.signature {
        Signature::Channels(symptoms) => evidence_of_channels(symptoms, contributions),
        Signature::OneChannel { share, weight } => evidence_of_one_channel(*share, *weight, contributions),
    }
}

fn evidence_of_channels(symptoms: &[Symptom], contributions: &[Contribution]) -> Option<f64> {
    let mut nats = 0.0;
    let mut seen_any = false;
    for contribution in contributions {
        let share = share_of(contribution);
        let of_channel = || symptoms.iter().filter(|symptom| symptom.channel == contribution.channel);
        let Some(heaviest) = of_channel().map(|symptom| symptom.weight).max_by(f64::total_cmp) else {
            nats -= UNEXPLAINED * share;
            continue;
        };
        let required = of_channel().any(|symptom| symptom.required);
        let strength = strength(share);
        if share < QUIET {
            nats -= heaviest * if required { 1.0 } else { SILENT };
        } else if let Some(symptom) = of_channel().find(|symptom| symptom.direction == contribution.direction) {
            seen_any = true;
            nats += symptom.weight * (strength - SILENT * (1.0 - strength));
        } else if required {
            return None;
        } else {
            let opposite = of_channel().any(|symptom| are_opposite(symptom.direction, contribution.direction));
            nats -= heaviest * strength * if opposite { REVERSED } else { BESIDE };
        }
    }
    seen_any.then_some(nats.min(MOST))
}

fn evidence_of_one_channel(share: f64, weight: f64, contributions: &[Contribution]) -> Option<f64> {
    // Where few channels are measured, one of them carries everything whatever the cause.
    if contributions.len() < ENOUGH_NEIGHBOURS {
        return None;
    }
    let largest = contributions.iter().map(share_of).fold(0.0, f64::max);
    (largest > share).then(|| (weight * (largest - share) / (1.0 - share)).min(MOST))
}

/// Evidence grows with a channel's share and saturates: a channel that carries half of the score has said all it can.
fn strength(share: f64) -> f64 {
    1.0 - (-share / SATURATION).exp()
}

fn share_of(contribution: &Contribution) -> f64 {
    if contribution.share.is_finite() { contribution.share.clamp(0.0, 1.0) } else { 0.0 }
}

fn are_opposite(a: Direction, b: Direction) -> bool {
    matches!((a, b), (Direction::High, Direction::Low) | (Direction::Low, Direction::High))
}

/// Evidence of a fault that the table does not know, in nats: two weak symptoms do not beat it.
const UNKNOWN: f64 = 1.0;
/// What the whole of a score costs a fault, in nats, when the fault explains none of it.
const UNEXPLAINED: f64 = 3.0;
/// The share at which a symptom has given 63 % of its evidence.
const SATURATION: f64 = 0.15;
/// Below this share a channel has not moved.
const QUIET: f64 = 0.02;
/// The part of a symptom's weight that counts against a fault while the channel stays quiet.
const SILENT: f64 = 0.25;
/// The same for a channel that moves the other way.
const REVERSED: f64 = 1.5;
/// The same for a channel that is unsteady where a level was expected, or the other way round.
const BESIDE: f64 = 0.5;
/// Symptoms of one fault are not independent, as naive Bayes would have it: together they do not count for more.
const MOST: f64 = 4.5;
/// A lone channel means something beside at least two others.
const ENOUGH_NEIGHBOURS: usize = 3;
/// The leading fault needs this probability to be named.
const NAMEABLE: f64 = 0.35;
/// Less probable faults are left out of a diagnosis.
const WORTH_NAMING: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquisition::Name;

    #[test]
    fn the_signs_of_a_fault_name_it() {
        let diagnosis =
            diagnose(&table(), &[seen("flow", 0.6, Direction::Low), seen("efficiency", 0.4, Direction::Low)]);
        assert_eq!(diagnosis.faults[0].fault, "leak");
        assert!(diagnosis.faults[0].probability > 0.8, "{diagnosis:?}");
    }

    #[test]
    fn a_reversed_required_sign_excludes_the_fault_however_strong_the_rest() {
        for share in [0.02, 0.3, 0.9] {
            let contributions = [seen("flow", share, Direction::High), seen("efficiency", 1.0 - share, Direction::Low)];
            assert!(diagnose(&table(), &contributions).faults.iter().all(|fault| fault.fault != "leak"));
        }
    }

    #[test]
    fn a_required_channel_that_stays_quiet_keeps_the_fault_from_being_named() {
        let contributions = [seen("efficiency", 0.99, Direction::Low), seen("flow", 0.01, Direction::Low)];
        assert_eq!(diagnose(&table(), &contributions), Diagnosis::default());
    }

    #[test]
    fn a_channel_that_is_not_measured_says_nothing() {
        let diagnosis = diagnose(&table(), &[seen("flow", 1.0, Direction::Low)]);
        assert_eq!(diagnosis.faults[0].fault, "leak");
    }

    #[test]
    fn what_no_fault_explains_is_not_given_a_name() {
        let strangers = [seen("current", 0.7, Direction::High), seen("flow", 0.3, Direction::Low)];
        assert_eq!(diagnose(&table(), &strangers), Diagnosis::default());
        assert_eq!(diagnose(&table(), &[]), Diagnosis::default());
        assert_eq!(diagnose(&SymptomTable::default(), &strangers), Diagnosis::default());
    }

    #[test]
    fn faults_that_look_alike_share_the_probability() {
        let mut table = table();
        table.faults.push(FaultSymptoms { fault: "worn".to_owned(), ..table.faults[0].clone() });
        let diagnosis = diagnose(&table, &[seen("flow", 0.6, Direction::Low), seen("efficiency", 0.4, Direction::Low)]);
        assert_eq!(diagnosis.faults[0].probability, diagnosis.faults[1].probability);
        assert_eq!(diagnosis.faults[0].fault, "leak");
        assert!(diagnosis.faults.iter().map(|fault| fault.probability).sum::<f64>() < 1.0);
    }

    #[test]
    fn a_lone_channel_points_at_its_sensor_only_beside_quiet_neighbours() {
        let table = SymptomTable {
            faults: vec![FaultSymptoms {
                fault: "sensor".to_owned(),
                signature: Signature::OneChannel { share: 0.9, weight: 2.0 },
            }],
        };
        let lone = |neighbours: usize| {
            let mut contributions = vec![seen("a", 1.0, Direction::High)];
            contributions.extend((0..neighbours).map(|n| seen(&format!("quiet{n}"), 0.0, Direction::High)));
            diagnose(&table, &contributions)
        };
        assert_eq!(lone(0), Diagnosis::default());
        assert_eq!(lone(3).faults[0].fault, "sensor");
    }

    #[test]
    fn a_share_that_is_no_number_counts_as_none() {
        let contributions = [seen("flow", f64::NAN, Direction::Low), seen("efficiency", f64::INFINITY, Direction::Low)];
        assert_eq!(diagnose(&table(), &contributions), Diagnosis::default());
    }

    fn table() -> SymptomTable {
        SymptomTable {
            faults: vec![FaultSymptoms {
                fault: "leak".to_owned(),
                signature: Signature::Channels(vec![
                    Symptom { channel: name("flow"), direction: Direction::Low, weight: 2.0, required: true },
                    Symptom { channel: name("efficiency"), direction: Direction::Low, weight: 1.5, required: false },
                ]),
            }],
        }
    }

    fn seen(channel: &str, share: f64, direction: Direction) -> Contribution {
        Contribution { channel: name(channel), share, direction, value: None, expected: None, unit: None }
    }

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name of this test")
    }
}
