//! One table a data set: the product, each of its parts alone, and the baselines.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::baseline::baselines;
use super::judge::{Confusion, Events, auprc, vus_pr};
use super::series::{Scored, Series};

/// What one scorer reached on each file.
pub struct Line {
    pub scorer: String,
    pub files: Vec<Judged>,
}

#[derive(Clone)]
pub struct Judged {
    pub confusion: Confusion,
    pub auprc: f64,
    pub vus_pr: f64,
    pub events: Events,
}

/// The product comes first, then its parts, then the baselines.
pub struct Report {
    pub title: String,
    pub lines: Vec<Line>,
}

impl Report {
    /// Scores and judges all series; `first_seed` varies what is random in the baselines.
    pub fn of(title: &str, series: &[Series], first_seed: u64) -> Self {
        let half = series.len().div_ceil(2);
        let judged: Vec<Vec<(String, Judged)>> = std::thread::scope(|scope| {
            let work =
                move |series: &[Series]| -> Vec<_> { series.iter().map(|series| judge(series, first_seed)).collect() };
            let (one, other) = series.split_at(half);
            let other = scope.spawn(move || work(other));
            let mut judged = work(one);
            judged.extend(other.join().expect("the other half was judged"));
            judged
        });
        let mut lines: Vec<Line> = Vec::new();
        for (scorer, _) in judged.iter().flatten() {
            if !lines.iter().any(|line| line.scorer == *scorer) {
                lines.push(Line { scorer: scorer.clone(), files: Vec::new() });
            }
        }
        for line in &mut lines {
            // A part that is off for a file says there what the product says.
            let own = |file: &Vec<(String, Judged)>| {
                file.iter().find(|(scorer, _)| *scorer == line.scorer).unwrap_or(&file[0]).1.clone()
            };
            line.files = judged.iter().map(own).collect();
        }
        Self { title: title.to_owned(), lines }
    }

    /// The files of one half: every second one.
    pub fn half(&self, odd: usize, title: &str) -> Self {
        let lines = self.lines.iter().map(|line| Line {
            scorer: line.scorer.clone(),
            files: line.files.iter().skip(odd).step_by(2).cloned().collect(),
        });
        Self { title: title.to_owned(), lines: lines.collect() }
    }

    pub fn product(&self) -> &Line {
        &self.lines[0]
    }

    /// The best mean AUPRC of a single part.
    pub fn best_part(&self) -> f64 {
        let parts = self.lines.iter().filter(|line| line.scorer.starts_with("  "));
        parts.map(Line::auprc).fold(0.0, f64::max)
    }

    pub fn print(&self) {
        println!("\n{} ({} files)", self.title, self.product().files.len());
        println!(
            "  {:<26} {:>6} {:>6} {:>6} {:>7} {:>7} {:>8} {:>7} {:>7} {:>9}",
            "", "F1", "FAR", "MAR", "AUPRC", "VUS-PR", "events", "delay", "p90", "false/day"
        );
        for line in &self.lines {
            let (confusion, events) = (line.confusion(), line.events());
            println!(
                "  {:<26} {:>6.3} {:>6.1} {:>6.1} {:>7.4} {:>7.4} {:>8} {:>7.0} {:>7.0} {:>9.1}",
                line.scorer,
                confusion.f1(),
                confusion.far(),
                confusion.mar(),
                line.auprc(),
                line.mean(|file| file.vus_pr),
                format!("{}/{}", events.found, events.there),
                events.delay(0.5),
                events.delay(0.9),
                events.false_alarms_a_day()
            );
        }
    }

    /// The 90 % interval over files drawn again with replacement.
    pub fn print_bootstrap(&self, seed: u64) {
        let files = &self.product().files;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut f1, mut area): (Vec<f64>, Vec<f64>) = (0..1000)
            .map(|_| {
                let drawn: Vec<&Judged> =
                    (0..files.len()).map(|_| &files[random.random_range(0..files.len())]).collect();
                let mut confusion = Confusion::default();
                drawn.iter().for_each(|file| confusion.add(file.confusion));
                (confusion.f1(), drawn.iter().map(|file| file.auprc).sum::<f64>() / files.len() as f64)
            })
            .unzip();
        f1.sort_by(f64::total_cmp);
        area.sort_by(f64::total_cmp);
        println!(
            "  90 % over files drawn again, seed {seed}: F1 {:.3} to {:.3}, AUPRC {:.4} to {:.4}",
            f1[50], f1[949], area[50], area[949]
        );
    }
}

impl Line {
    pub fn confusion(&self) -> Confusion {
        let mut sum = Confusion::default();
        self.files.iter().for_each(|file| sum.add(file.confusion));
        sum
    }

    pub fn events(&self) -> Events {
        let mut sum = Events::default();
        self.files.iter().for_each(|file| sum.add(file.events.clone()));
        sum
    }

    pub fn auprc(&self) -> f64 {
        self.mean(|file| file.auprc)
    }

    fn mean(&self, figure: impl Fn(&Judged) -> f64) -> f64 {
        self.files.iter().map(figure).sum::<f64>() / self.files.len() as f64
    }
}

fn judge(series: &Series, seed: u64) -> Vec<(String, Judged)> {
    let Scored { scores, alarms, parts, .. } = series.score();
    let seconds = series.seconds();
    let labels = series.judged();
    let judged = |scores: &[f64], alarms: &[bool]| Judged {
        confusion: Confusion::of(labels, alarms),
        auprc: auprc(labels, scores),
        vus_pr: vus_pr(labels, scores, WIDEST_BUFFER),
        events: Events::of(labels, alarms, &seconds),
    };
    let mut lines = vec![("wheeltapper".to_owned(), judged(&scores, &alarms))];
    for (name, part) in parts {
        let alarms: Vec<bool> = part.iter().map(|score| *score > 1.0).collect();
        lines.push((format!("  {name} alone"), judged(&part, &alarms)));
    }
    for baseline in baselines(series, seed) {
        lines.push((baseline.name.to_owned(), judged(&baseline.scores, &baseline.alarms())));
    }
    lines
}

/// In rows; what the benchmark takes where a series has no period of its own.
const WIDEST_BUFFER: usize = 100;
