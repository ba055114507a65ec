//! What must not matter: if one of these figures moves, another figure of this test is worth nothing.

use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Floors;
use super::judge::auprc;
use super::series::{Series, read};
use super::sets::{skab, skab_paths};

pub fn report(data: &Path, seed: u64, floors: &mut Floors) {
    println!("\ncontrols, SKAB");
    let files = skab(data);
    let count = files.len() as f64;
    let scores: Vec<Vec<f64>> = files.iter().map(|file| file.score().scores).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut beyond_chance = 0.0;
    for (file, scores) in files.iter().zip(&scores) {
        let mut labels = file.judged().to_vec();
        let chance = labels.iter().filter(|label| **label).count() as f64 / labels.len() as f64;
        labels.shuffle(&mut random);
        beyond_chance += (auprc(&labels, scores) - chance) / count;
    }
    println!("  labels permuted: AUPRC beyond chance {beyond_chance:+.4}");
    floors.at_most("controls: permuted labels beyond chance", beyond_chance.abs(), [0.03; 2]);

    let cut = |file: &Series| {
        let rows = file.calibrate + (file.rows.len() - file.calibrate) / 2;
        let mut file = file.clone();
        file.rows.truncate(rows);
        file.times.truncate(rows);
        file.labels.truncate(rows);
        file
    };
    let differing = files.iter().zip(&scores).filter(|(file, scores)| !begins_with(scores, &cut(file).score().scores));
    floors.at_most("controls: files whose scores a cut changes", differing.count() as f64, [0.0; 2]);

    let before: f64 = files.iter().zip(&scores).map(|(file, scores)| auprc(file.judged(), scores) / count).sum();
    let after: f64 =
        files.iter().map(|file| auprc(file.judged(), &with_more_in_front(file).score().scores) / count).sum();
    println!("  as many sound rows more in front, calibrated on all of them: AUPRC {before:.4}, then {after:.4}");
    floors.at_most("controls: sound rows in front, change of AUPRC", (after - before).abs(), [0.02, 0.03]);

    let mut strayed = [0, 0];
    for (path, scores) in skab_paths(data).iter().zip(&scores) {
        for (strayed, file) in strayed.iter_mut().zip([with_shuffled_labels(path, seed), with_labels_in_sight(path)]) {
            *strayed += usize::from(!begins_with(scores, &file.score().scores) || file.rows.len() < scores.len());
        }
    }
    floors.at_most("controls: files whose scores shuffled labels change", f64::from(strayed[0] as u32), [0.0; 2]);
    floors.at_most("controls: files whose scores labels in sight change", f64::from(strayed[1] as u32), [0.0; 2]);
}

/// Bit by bit.
fn begins_with(scores: &[f64], beginning: &[f64]) -> bool {
    !beginning.is_empty() && scores.iter().zip(beginning).all(|(one, other)| one.to_bits() == other.to_bits())
}

/// The sound rows at the start twice, the first time mirrored, so that they end where they begin.
fn with_more_in_front(file: &Series) -> Series {
    let mirrored: Vec<Vec<f64>> = file.rows[..file.calibrate].iter().rev().cloned().collect();
    let start = file.times[0];
    let times = (1..=file.calibrate as i64).rev().map(|back| start - jiff::SignedDuration::from_secs(back));
    Series {
        rows: [&mirrored[..], &file.rows].concat(),
        times: times.chain(file.times.iter().copied()).collect(),
        labels: [vec![false; file.calibrate], file.labels.clone()].concat(),
        calibrate: 2 * file.calibrate,
        ..file.clone()
    }
}

/// The file with its labels in another order and in front of everything else, and told to be ignored.
fn with_shuffled_labels(path: &Path, seed: u64) -> Series {
    let text = std::fs::read_to_string(path).expect("a recording");
    let mut lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(';').collect()).collect();
    let header = lines.remove(0);
    let places = LABELS.map(|label| header.iter().position(|name| *name == label).expect("a column of labels"));
    let mut labels: Vec<[&str; 2]> = lines.iter().map(|cells| places.map(|place| cells[place])).collect();
    labels.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let joined = |labels: [&str; 2], cells: &[&str]| {
        let others = cells.iter().enumerate().filter(|(place, _)| !places.contains(place)).map(|(_, cell)| *cell);
        labels.into_iter().chain(others).collect::<Vec<_>>().join(";") + "\n"
    };
    let mut shuffled = joined(LABELS, &header);
    lines.iter().zip(labels).for_each(|(cells, labels)| shuffled.push_str(&joined(labels, cells)));
    let folder = tempfile::tempdir().expect("a folder for a moment");
    let copy = folder.path().join("shuffled.csv");
    std::fs::write(&copy, shuffled).expect("the folder can be written");
    Series { calibrate: 400, ..read(&copy, None, &LABELS) }
}

/// The file as somebody reads it who forgets to say which columns are labels: they never change while calibrating, and so say
/// nothing later.
fn with_labels_in_sight(path: &Path) -> Series {
    Series { calibrate: 400, ..read(path, None, &[]) }
}

const LABELS: [&str; 2] = ["anomaly", "changepoint"];
