use std::path::PathBuf;

use super::outcome::{Failure, Outcome, print};
use super::recordings::{Feed, ReadArgs, calibration_length};
use super::surroundings;
use crate::acquisition::Name;
use crate::checkpoint::{Calibrations, Generators};
use crate::gateway::Workshop;
use crate::machine::{Baseline, CalibrationLength};
use crate::publication::DoubtPayload;

/// Learns from a recording what is normal for a machine, for `run` to use
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: wheeltapper calibrate sound.csv --machine press-01 --config /etc/wheeltapper/wheeltapper.toml"
)]
pub(super) struct Calibrate {
    /// A recording of the machine while it was sound
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The machine's name, as the topics have it
    #[arg(long)]
    machine: String,
    /// The gateway's configuration: it says what kind the machine is and where the calibration goes
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How much of the recording to use: rows, or a duration; without it, what the configuration says
    #[arg(long, value_name = "ROWS|DURATION", allow_hyphen_values = true, value_parser = calibration_length)]
    calibrate: Option<CalibrationLength>,
    #[command(flatten)]
    read: ReadArgs,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

impl Calibrate {
    pub fn run(self) -> Outcome {
        let config = surroundings::config(&self.config)?;
        let name = Name::parse(&self.machine)
            .map_err(|error| Failure::usage(format_args!("--machine {:?}: {error}", self.machine)))?;
        let workshop = Workshop::new(&config, surroundings::stock(&config)?);
        let mut profile = workshop.profile(&name);
        profile.calibrate = self.calibrate.unwrap_or(profile.calibrate);
        let mut recording = self.read.open(&self.input, &profile.channels)?;
        for channel in &recording.columns().channels {
            Name::parse(channel).map_err(|error| {
                Failure::failed(format_args!("the column {channel:?} cannot be a channel of a live machine: {error}"))
            })?;
        }
        let mut feed = Feed::new(&self.machine, profile, &recording)?;
        let mut rows = 0;
        while let Some(row) = recording.next_row().map_err(Failure::failed)? {
            rows += 1;
            let observation = feed.observe(row, rows);
            if let Some(trouble) = observation.trouble {
                return Err(Failure::failed(format_args!("after {rows} rows: {trouble}")));
            }
            if let Some(mut fitted) = observation.fitted {
                if recording.columns().time.is_none() {
                    fitted.learned = None;
                }
                let calibrations = Calibrations::in_state_dir(&config.state_dir);
                let path = calibrations.save(&name, &fitted).map_err(Failure::failed)?;
                if let Some(generator) = observation.lesson.and_then(|lesson| lesson.fit()) {
                    Generators::in_state_dir(&config.state_dir).save(&name, &generator).map_err(Failure::failed)?;
                }
                let baseline = Baseline::of(&fitted);
                return self.tell(&baseline, &path.display().to_string());
            }
        }
        Err(Failure::failed(format_args!(
            "the recording has {rows} rows, the calibration asks for more ({}); give a longer recording or --calibrate",
            feed.machine().state()
        )))
    }

    fn tell(&self, baseline: &Baseline, path: &str) -> Outcome {
        let Baseline { rows, doubt, .. } = baseline;
        if let Some(doubt) = doubt {
            eprintln!("warning: {doubt}");
        }
        print(&match self.json {
            true => {
                let doubt = doubt.as_ref().map(DoubtPayload::new);
                serde_json::json!({ "machine": self.machine, "rows": rows, "file": path, "doubt": doubt }).to_string()
            }
            false => format!("{}: calibrated on {rows} rows, kept in {path}", self.machine),
        })
    }
}
