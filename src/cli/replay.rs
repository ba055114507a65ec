use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::broker::BrokerUrl;
use super::outcome::{Failure, Outcome};
use super::publisher::{Publisher, one_topic};
use super::recordings::ReadArgs;
use super::surroundings;
use crate::acquisition::Name;
use crate::publication::show_stamp;
use crate::recording::Row;

/// Plays a recording onto a broker, a row a message
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: wheeltapper replay pump.csv --publish mqtt://127.0.0.1:1883 --topic plant/pump-1/telemetry --rate 10"
)]
pub(super) struct Replay {
    /// The recording: delimited text, plain or gzip, one row a sample
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The broker
    #[arg(long, value_name = "mqtt://[USER@]HOST[:PORT]")]
    publish: BrokerUrl,
    /// The file with the password of the broker's user
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The topic; {machine} in it stands for --machine
    #[arg(long)]
    topic: String,
    /// How many times faster than it was recorded; rows without a time are a second apart. 0: as fast as the broker takes it
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    rate: f64,
    /// The machine's name, where the topic has {machine}
    #[arg(long)]
    machine: Option<String>,
    /// Which stamps the messages bear
    #[arg(long, value_enum, default_value_t = Stamps::Recorded)]
    stamps: Stamps,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Stamps {
    /// Those of the recording; none where it has none
    Recorded,
    /// None: whoever receives a message stamps it
    None,
}

impl Replay {
    pub fn run(self) -> Outcome {
        if !(self.rate >= 0.0 && self.rate.is_finite()) {
            return Err(Failure::usage(format_args!("--rate {}: expected 0 or more, e.g. 10", self.rate)));
        }
        let topic = self.topic()?;
        let mut recording = self.read.open(&self.input, &[])?;
        let channels = recording.columns().channels.clone();
        for channel in &channels {
            if let Err(error) = Name::parse(channel) {
                eprintln!("wheeltapper: a gateway will not take the channel {channel:?}: {error}");
            }
        }
        let password = self.password_file.as_deref().map(surroundings::password_in).transpose()?;
        surroundings::runtime()?.block_on(async {
            let mut publisher = Publisher::connect(self.publish.options("replay", password)).await?;
            let (mut played, mut before) = (0u64, None);
            while let Some(row) = recording.next_row().map_err(Failure::failed)? {
                publisher.pause(self.pause(row, &mut before)).await?;
                publisher.publish(&topic, self.message(&channels, row)).await?;
                played += 1;
            }
            publisher.finish().await?;
            eprintln!("{played} rows played to {topic}");
            Ok(())
        })
    }

    fn topic(&self) -> Result<String, Failure> {
        let topic = match &self.machine {
            Some(machine) => self.topic.replace("{machine}", machine),
            None => self.topic.clone(),
        };
        if topic.contains("{machine}") {
            return Err(Failure::usage(format_args!("--topic {topic:?}: {{machine}} in it needs --machine")));
        }
        one_topic(&topic)?;
        Ok(topic)
    }

    /// How long to wait before this row, in real time.
    fn pause(&self, row: &Row, before: &mut Option<jiff::Timestamp>) -> Duration {
        let step = match (row.time, *before) {
            (Some(time), Some(before)) => time.duration_since(before),
            _ => jiff::SignedDuration::from_secs(1),
        };
        *before = row.time.or(*before);
        if self.rate == 0.0 || step.is_negative() {
            return Duration::ZERO;
        }
        // At a rate so low that a day would be too short the day is the longest pause.
        let seconds = (step.unsigned_abs().as_secs_f64() / self.rate).min(86_400.0);
        Duration::from_secs_f64(seconds)
    }

    fn message(&self, channels: &[String], row: &Row) -> Vec<u8> {
        let mut members = Map::new();
        if let (Stamps::Recorded, Some(time)) = (self.stamps, row.time) {
            members.insert("time".to_owned(), Value::String(show_stamp(time)));
        }
        for (channel, value) in channels.iter().zip(&row.values) {
            // What has no value is said to have none, so that nobody waits for it.
            members.insert(channel.clone(), Number::from_f64(*value).map_or(Value::Null, Value::Number));
        }
        Value::Object(members).to_string().into_bytes()
    }
}
