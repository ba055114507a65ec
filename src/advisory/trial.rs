use minijinja::Value;
use minijinja::value::Serde;

use super::citation::{Citation, Payload, Pointer};
use super::facts::{LockoutFacts, MachineFacts};
use super::recommendation::Source;
use super::sentence::Sentence;
use super::templates::Templates;
use super::view::View;
use crate::acquisition::Name;
use crate::assessment::{Diagnosis, FaultProbability};
use crate::detection::{Contribution, Direction};

/// Renders every sentence against every stock payload in which its sources lead somewhere, so that what can go wrong
/// goes wrong at load. Answers with the line and what happened.
pub(super) fn render_all<'a>(
    templates: &Templates,
    sources: &[Source],
    sentences: impl Iterator<Item = &'a Sentence> + Clone,
    channels: &[Name],
) -> Result<(), (usize, String)> {
    let named = sentences.clone().flat_map(|sentence| &sentence.citations).filter_map(|citation| match citation {
        Citation::Payload(Pointer::Channel(name)) => Some(name.clone()),
        _ => None,
    });
    let mut channels = channels.to_vec();
    channels.extend(named);
    channels.sort();
    channels.dedup();
    for stock in stock_payloads(&channels) {
        let payload = stock.payload();
        let view = Value::from(Serde(View::new(&payload, stock.probable.to_owned())));
        for sentence in sentences.clone() {
            if !sentence.citations.iter().all(|citation| citation.resolves(sources, &payload)) {
                continue;
            }
            let refused = |line: usize, found: &str| (line, format!("{found} (stock payload: {})", stock.what));
            let text = templates
                .render(sentence.template, &view)
                .map_err(|error| refused(sentence.line + error.line, &error.message))?;
            if text.trim_matches(['.', ' ']).is_empty() {
                return Err(refused(sentence.line, "a sentence without a word"));
            }
        }
    }
    Ok(())
}

/// An alarm that no machine sent, to try templates on.
struct Stock {
    what: &'static str,
    diagnosis: Diagnosis,
    facts: MachineFacts,
    contributions: Vec<Contribution>,
    score: f64,
    probable: &'static str,
}

impl Stock {
    fn payload(&self) -> Payload<'_> {
        Payload {
            diagnosis: &self.diagnosis,
            facts: &self.facts,
            contributions: &self.contributions,
            score: self.score,
        }
    }
}

fn stock_payloads(channels: &[Name]) -> Vec<Stock> {
    let plain = |channel: &Name| contribution(channel.clone(), Direction::Low, (Some(6.4), Some(6.7)), Some("l/min"));
    let long = name(&format!("<b>{{{{c}}}}</b> [s1] & {}", "n".repeat(64)));
    let mut stocks = vec![
        Stock { what: "no contribution", diagnosis: Diagnosis::default(), ..stock(Vec::new()) },
        Stock { what: "all channels", ..stock(channels.iter().map(plain).collect()) },
        Stock {
            what: "all channels without values",
            ..stock(channels.iter().map(|c| contribution(c.clone(), Direction::High, (None, None), None)).collect())
        },
        Stock {
            what: "values that are no numbers",
            score: f64::NAN,
            ..stock(
                channels
                    .iter()
                    .map(|c| contribution(c.clone(), Direction::Neither, (Some(f64::NAN), Some(1e300)), Some("")))
                    .collect(),
            )
        },
        Stock {
            what: "strange names of 64 characters and more",
            facts: MachineFacts::new(long.clone()),
            ..stock(vec![contribution(long, Direction::High, (Some(-0.0), Some(1e-12)), Some("<i>°C</i>"))])
        },
        Stock {
            what: "other channels, no lockout on record, no fault named",
            diagnosis: Diagnosis::default(),
            facts: MachineFacts::new(name("m")),
            ..stock((0..3).map(|n| plain(&name(&format!("other {n}")))).collect())
        },
    ];
    // Each channel missing in turn, and alone: the order of contributions and their number are not the author's to know.
    for channel in channels {
        let others = channels.iter().filter(|other| *other != channel);
        stocks.push(Stock { what: "one channel missing", ..stock(others.map(plain).collect()) });
        stocks.push(Stock { what: "one channel alone", ..stock(vec![plain(channel)]) });
    }
    stocks
}

fn stock(contributions: Vec<Contribution>) -> Stock {
    let mut facts = MachineFacts::new(name("press-01"));
    facts.lockout = Some(LockoutFacts {
        procedure: "LOTO-17".to_owned(),
        isolation_points: "main switch Q1".to_owned(),
        stored_energy: "accumulator pressure".to_owned(),
    });
    Stock {
        what: "",
        diagnosis: Diagnosis { faults: vec![FaultProbability { fault: "a/b".to_owned(), probability: 0.8 }] },
        facts,
        contributions,
        score: 1.5,
        probable: "a stock fault (80 %)",
    }
}

fn contribution(
    channel: Name,
    direction: Direction,
    (value, expected): (Option<f64>, Option<f64>),
    unit: Option<&str>,
) -> Contribution {
    Contribution { channel, share: 0.5, direction, value, expected, unit: unit.map(str::to_owned) }
}

fn name(text: &str) -> Name {
    // Slashes would not be a name's: `</b>` loses its own.
    Name::parse(&text.replace('/', "|")).expect("the stock names hold no sign that a name may not")
}
