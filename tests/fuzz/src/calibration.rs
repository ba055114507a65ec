//! Calibration files: the input as a file, and as the body of a file whose hash is right.

use std::fs;
use std::time::Duration;

use wheeltapper::checkpoint::{Calibrations, Found};
use wheeltapper::machine::{Fitted, Machine};
use wheeltapper::notation::sha256_hex;

use crate::bench::{self, name, wobble};
use crate::scratch;

pub fn run(data: &[u8]) {
    let folder = scratch::folder();
    let calibrations = Calibrations::in_state_dir(folder.path());
    let path = calibrations.path(&name("m"));
    fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("the scratch folder can be written");
    let body = String::from_utf8_lossy(data);
    let body = body.trim();
    let file = format!(r#"{{"format":1,"machine":"m","sha256":"{}","body":{body}}}"#, sha256_hex(body.as_bytes()));
    let fingerprint = serde_json::from_str::<Fitted>(body).map(|fitted| fitted.fingerprint).unwrap_or_default();
    for content in [data, file.as_bytes()] {
        fs::write(&path, content).expect("the scratch folder can be written");
        match calibrations.load(&name("m"), &fingerprint) {
            Found::Fitted(fitted) => try_on(*fitted),
            Found::Quarantined { .. } => assert!(!path.exists(), "it is still in the way"),
            Found::ForAnotherProfile => {}
            Found::Nothing => panic!("the file is there"),
        }
    }
}

fn try_on(fitted: Fitted) {
    let names: Vec<_> = fitted.calibration.parts().map(|(name, _)| name.clone()).collect();
    let Ok(mut machine) = Machine::fitted(name("m"), bench::universal(), fitted) else { return };
    for row in 0..12 {
        let values: Vec<f64> = (0..names.len()).map(|channel| wobble(row * row, channel)).collect();
        bench::observe(&mut machine, &names, &values, Duration::from_secs(row as u64));
        machine.write_shares(&mut vec![0.0; names.len()]);
    }
}
