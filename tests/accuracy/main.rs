//! How right the scores are, on recordings of real machines: `cargo test --release --test accuracy [-- --full]`.
//!
//! Runs the product's own pipeline, prints one table a data set and fails when a figure falls below what was reached before.
//! Labels judge, nothing else; no figure is point-adjusted. `--full` draws with five seeds; ACCURACY_SET=skab, tep, tep-kind, rig,
//! rig-kind, scatter, rates, foundation, profiles, controls or blame runs one set alone. ACCURACY_KINDS names a folder of networks
//! that were trained for this; see `models/README.md`.

mod baseline;
mod blame;
mod controls;
mod foundation;
mod judge;
mod kinds;
mod profiles;
mod rates;
mod report;
mod scatter;
mod series;
mod sets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kinds::Trained;
use report::Report;
use series::Series;
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
        skab.half(0, "SKAB, even files").print();
        skab.half(1, "SKAB, odd files").print();
        floors.at_least("SKAB F1", skab.product().confusion().f1(), [0.80, 0.77]);
        floors.at_least("SKAB AUPRC", skab.product().auprc(), [0.87, 0.85]);
        floors.at_least("SKAB against its best part", skab.product().auprc() - skab.best_part(), [-0.02; 2]);
    }
    if wanted("tep") {
        let tep = Report::of("Tennessee Eastman, detectable faults, universal", &sets::tep(&data), 0);
        tep.print();
        seeds.clone().for_each(|seed| tep.print_bootstrap(seed));
        floors.at_least("TEP AUPRC", tep.product().auprc(), [0.985; 2]);
        floors.at_most("TEP MAR", tep.product().confusion().mar(), [20.0; 2]);
        floors.at_least("TEP against its best part", tep.product().auprc() - tep.best_part(), [-0.02; 2]);
    }
    if wanted("rig") {
        let rig = Rig::open(&data);
        for (component, held) in [0.99, 0.92, 0.88, 0.96].into_iter().enumerate() {
            let name = COMPONENTS[component];
            let one = Report::of(&format!("rig, only the {name} differs"), &[rig.one_differs(component)], 0);
            one.print();
            floors.at_least(&format!("rig, only the {name} differs: AUPRC"), one.product().auprc(), [0.99, held]);
        }
        for (component, floor) in [[0.97; 2], [0.86, 0.75], [0.95, 0.84], [0.80; 2]].into_iter().enumerate() {
            let name = COMPONENTS[component];
            let title = format!("rig, {name}, the other three vary");
            let nuisance = Report::of(&title, &rig.nuisance(component), 0);
            nuisance.print();
            floors.at_least(&format!("{title}: AUPRC"), nuisance.product().auprc(), floor);
            let against = nuisance.product().auprc() - nuisance.best_part();
            floors.at_least(&format!("{title}: against its best part"), against, [-0.02, -0.04]);
        }
    }
    if wanted("rig-kind") {
        rig_kind(&data, &mut floors);
    }
    if wanted("tep-kind") {
        let kind = Trained::shipped("tennessee-eastman");
        let series: Vec<Series> = sets::tep(&data).into_iter().map(|series| series.of_kind(&kind)).collect();
        let tep = Report::of("Tennessee Eastman, detectable faults, kind", &series, 0);
        tep.print();
        floors.at_least("TEP, kind: AUPRC", tep.product().auprc(), [0.985; 2]);
        floors.at_most("TEP, kind: MAR", tep.product().confusion().mar(), [20.0; 2]);
        floors.at_least("TEP, kind, against its best part", tep.product().auprc() - tep.best_part(), [-0.02; 2]);
    }
    if let Some(folder) = std::env::var_os("ACCURACY_KINDS").map(PathBuf::from) {
        kinds::report(&data, &folder);
    }
    if wanted("scatter") {
        scatter::report(&data, seeds.clone(), &mut floors);
    }
    if wanted("rates") {
        rates::report(&data, &mut floors);
    }
    if wanted("foundation") {
        foundation::report(&data, seeds.clone(), &mut floors);
    }
    if wanted("profiles") {
        profiles::report(&data, &mut floors);
    }
    if wanted("controls") {
        controls::report(&data, seeds.start, &mut floors);
    }
    if wanted("blame") {
        blame::report(&data, seeds.clone(), &mut floors);
    }
    floors.verdict()
}

/// The rig with the network of its kind, as it learned from every second run; judged on the others.
fn rig_kind(data: &Path, floors: &mut Floors) {
    let held_out = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/accuracy/held-out");
    let kind = Trained::shipped("hydraulic-rig").with_model_in(&held_out);
    let rig = Rig::open(data).unseen();
    for (component, asked_held) in [[0.99; 2], [0.99; 2], [0.99; 2], [0.99, 0.98]].into_iter().enumerate() {
        let title = format!("rig, only the {} differs, kind", COMPONENTS[component]);
        let one = Report::of(&title, &[rig.one_differs(component).of_kind(&kind)], 0);
        one.print();
        floors.at_least(&format!("{title}: AUPRC"), one.product().auprc(), asked_held);
    }
    for (component, asked_held) in [[0.98; 2], [0.90; 2], [0.96; 2], [0.85, 0.84]].into_iter().enumerate() {
        let title = format!("rig, {}, the other three vary, unseen runs", COMPONENTS[component]);
        Report::of(&title, &rig.nuisance(component), 0).print();
        let series: Vec<Series> = rig.nuisance(component).into_iter().map(|series| series.of_kind(&kind)).collect();
        let nuisance = Report::of(&format!("{title}, kind"), &series, 0);
        nuisance.print();
        floors.at_least(&format!("{title}, kind: AUPRC"), nuisance.product().auprc(), asked_held);
    }
}

/// The figures that must not be worse.
#[derive(Default)]
pub struct Floors {
    reached: Vec<String>,
    short: Vec<String>,
    lost: Vec<String>,
}

impl Floors {
    /// `asked` is what is to be reached; `held` what was reached and must not be lost.
    pub fn at_least(&mut self, what: &str, figure: f64, [asked, held]: [f64; 2]) {
        self.note(figure >= asked, figure >= held, format!("{what}: {figure:.4}, asked {asked}, held {held}"));
    }

    pub fn at_most(&mut self, what: &str, figure: f64, [asked, held]: [f64; 2]) {
        self.note(figure <= asked, figure <= held, format!("{what}: {figure:.4}, at most {asked}, held {held}"));
    }

    fn note(&mut self, reached: bool, held: bool, line: String) {
        match (reached, held) {
            (true, _) => self.reached.push(line),
            (false, true) => self.short.push(line),
            (false, false) => self.lost.push(line),
        }
    }

    fn verdict(self) -> ExitCode {
        let Self { reached, short, lost } = self;
        for (title, lines) in [("reached", &reached), ("short of what is asked", &short), ("lost", &lost)] {
            println!("\n{title}:");
            lines.iter().for_each(|line| println!("  {line}"));
        }
        if lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
