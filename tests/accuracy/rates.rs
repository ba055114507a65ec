//! How often sound rows lie above the limit, against how often they are meant to.

use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use wheeltapper::acquisition::Name;

use super::series::{Series, second};
use super::sets::{Rig, skab_sound};
use super::{Floors, series};

pub fn report(data: &Path, floors: &mut Floors) {
    println!("\nsound rows above the limit, in percent; nominal {:.1}", 100.0 * NOMINAL);
    println!("  {:<28} {:>6} {:>8} {:>12} {:>8} {:>9}", "", "rows", "all", "later half", "in alarm", "episodes");
    for machine in machines(data) {
        let series = Series { calibrate: 1000, ..machine };
        let scored = series.score();
        let above = |scores: &[f64]| scores.iter().filter(|score| **score > 1.0).count() as f64 / scores.len() as f64;
        let half = scored.scores.len() / 2;
        let later = above(&scored.scores[half..]);
        let alarms = scored.alarms.iter().filter(|alarm| **alarm).count() as f64 / scored.alarms.len() as f64;
        let episodes = scored.alarms.windows(2).filter(|pair| pair[1] && !pair[0]).count();
        println!(
            "  {:<28} {:>6} {:>8.2} {:>12.2} {:>8.2} {:>9}",
            series.name,
            scored.scores.len(),
            100.0 * above(&scored.scores),
            100.0 * later,
            100.0 * alarms,
            episodes
        );
        // The pump drifts further in two hours than any limit may follow.
        let held = if series.name == PUMP { f64::INFINITY } else { 6.0 };
        let factor = (later / NOMINAL).max(NOMINAL / later.max(1e-9));
        floors.at_most(&format!("false alarms, {}: factor", series.name), factor, [5.0, held]);
    }
}

pub fn machines(data: &Path) -> Vec<Series> {
    let pump = Series { name: PUMP.to_owned(), ..skab_sound(data) };
    let grid = Series { name: TRANSFORMER.to_owned(), ..series::read(&data.join("etth1/ETTh1.csv"), None, &[]) };
    let mut machines = Rig::open(data).longest(data);
    machines.extend([pump, grid, noise(), walks(), cycles()]);
    machines
}

fn made_up(name: &str, rows: Vec<Vec<f64>>) -> Series {
    let channels = (0..rows[0].len()).map(|n| Name::from_recording(&format!("c{n}"))).collect();
    let times = (0..rows.len()).map(|row| second(row as i64)).collect();
    let labels = vec![false; rows.len()];
    Series { name: name.to_owned(), channels, rows, times, labels, calibrate: 0, kind: None }
}

pub fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

pub fn noise() -> Series {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    made_up("noise, 8 channels", (0..ROWS).map(|_| (0..8).map(|_| normal(&mut random)).collect()).collect())
}

pub fn walks() -> Series {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut states = [0.0; 12];
    let row = |_| {
        states.iter_mut().for_each(|state: &mut f64| *state = 0.98 * *state + 0.2 * normal(&mut random));
        (0..12).map(|i| states[i] + states[(i + 1) % 12] + 0.3 * normal(&mut random)).collect()
    };
    made_up("slow walks, 12 channels", (0..ROWS).map(row).collect())
}

fn cycles() -> Series {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let row = |t: usize| {
        let phase = std::f64::consts::TAU * t as f64 / 45.0;
        (0..6)
            .map(|i| 3.0 * (phase + f64::from(i)).sin() + (2.0 * phase).cos().signum() + 0.4 * normal(&mut random))
            .collect()
    };
    made_up("a load cycle, 6 channels", (0..ROWS).map(row).collect())
}

pub const PUMP: &str = "pump without faults";
pub const TRANSFORMER: &str = "power transformer";
const NOMINAL: f64 = 0.01;
const ROWS: usize = 9000;
