//! How right the scores are, on recordings of real machines: `cargo test --release --test accuracy [-- --full]`.
//!
//! Runs the product's own pipeline, prints one table a data set and fails when a figure falls below its floor. Labels judge,
//! nothing else; no figure is point-adjusted. Constants were chosen on the first half of the files (every second one); the
//! second half reports.

mod baseline;
mod judge;
mod rates;
mod report;
mod scatter;
mod series;
mod sets;

use std::process::ExitCode;

use report::Report;
use sets::{COMPONENTS, Rig};

fn main() -> ExitCode {
    judge::check_the_yardstick();
    let full = std::env::args().any(|argument| argument == "--full");
    let only = std::env::var("ACCURACY_SET").ok();
    let wanted = |set: &str| only.as_deref().is_none_or(|only| only == set);
    let Some(data) = series::data() else { return ExitCode::SUCCESS };
    let seeds = if full { 0..5 } else { 0..1 };
    let mut floors = Floors::default();

    if wanted("skab") {
        let skab = Report::of("SKAB, universal", &sets::skab(&data), 0);
        skab.print();
        seeds.clone().for_each(|seed| skab.print_bootstrap(seed));
        skab.half(0, "SKAB, the half that constants were chosen on").print();
        skab.half(1, "SKAB, the half that reports").print();
        floors.at_least("SKAB F1", skab.product().confusion().f1(), 0.80);
        floors.at_least("SKAB AUPRC", skab.product().auprc(), 0.87);
        floors.at_least("SKAB against its best part", skab.product().auprc() - skab.best_part(), -0.02);
    }
    if wanted("tep") {
        let tep = Report::of("Tennessee Eastman, detectable faults, universal", &sets::tep(&data), 0);
        tep.print();
        seeds.clone().for_each(|seed| tep.print_bootstrap(seed));
        floors.at_least("TEP AUPRC", tep.product().auprc(), 0.985);
        floors.at_most("TEP MAR", tep.product().confusion().mar(), 20.0);
        floors.at_least("TEP against its best part", tep.product().auprc() - tep.best_part(), -0.02);
    }
    if wanted("rig") {
        let rig = Rig::open(&data);
        for (component, name) in COMPONENTS.iter().enumerate() {
            let one = Report::of(&format!("rig, only the {name} differs"), &[rig.one_differs(component)], 0);
            one.print();
            floors.at_least(&format!("rig, only the {name} differs: AUPRC"), one.product().auprc(), 0.99);
        }
        for (component, floor) in [0.97, 0.86, 0.95, 0.80].into_iter().enumerate() {
            let name = COMPONENTS[component];
            let title = format!("rig, {name}, the other three vary");
            let halves = [rig.nuisance(component, 0), rig.nuisance(component, 1)];
            let nuisance = Report::of(&title, &halves, 0);
            nuisance.print();
            floors.at_least(&format!("{title}: AUPRC"), nuisance.product().auprc(), floor);
            let against = nuisance.product().auprc() - nuisance.best_part();
            floors.at_least(&format!("{title}: against its best part"), against, -0.02);
        }
    }
    if wanted("scatter") {
        scatter::report(&data, seeds.clone(), &mut floors);
    }
    if wanted("rates") {
        rates::report(&data, &mut floors);
    }
    floors.verdict()
}

/// The figures that must not be worse.
#[derive(Default)]
pub struct Floors {
    kept: Vec<String>,
    missed: Vec<String>,
}

impl Floors {
    pub fn at_least(&mut self, what: &str, figure: f64, floor: f64) {
        self.note(figure >= floor, format!("{what}: {figure:.4}, floor {floor}"));
    }

    pub fn at_most(&mut self, what: &str, figure: f64, most: f64) {
        self.note(figure <= most, format!("{what}: {figure:.4}, at most {most}"));
    }

    fn note(&mut self, kept: bool, line: String) {
        if kept { self.kept.push(line) } else { self.missed.push(line) }
    }

    fn verdict(self) -> ExitCode {
        println!("\nfloors kept:");
        self.kept.iter().for_each(|line| println!("  {line}"));
        if self.missed.is_empty() {
            return ExitCode::SUCCESS;
        }
        println!("floors missed:");
        self.missed.iter().for_each(|line| println!("  {line}"));
        ExitCode::FAILURE
    }
}
