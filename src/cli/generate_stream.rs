use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, channel};

use super::broker::BrokerUrl;
use super::generate_source::BATCH;
use super::outcome::Failure;
use super::progress::Progress;
use super::publisher::{Publisher, one_topic};
use super::surroundings::{self, Signals};
use crate::generation::{GenerationError, Layout, Lineage, Series, SeriesRow, telemetry, truth};

/// The broker that a series is published to, a row a message, with the truth about each beside it.
#[derive(Debug, clap::Args)]
pub(super) struct StreamArgs {
    /// Publishes to this broker instead of writing a file; without --windows until ctrl-C ends it
    #[arg(long, value_name = "mqtt://[USER@]HOST[:PORT]", requires = "topic")]
    pub publish: Option<BrokerUrl>,
    /// The file with the password of the broker's user
    #[arg(long, value_name = "FILE", requires = "publish")]
    password_file: Option<PathBuf>,
    /// The topic of the machine; on TOPIC/truth goes what is true of each row: its condition, and that it is synthetic
    #[arg(long, requires = "publish")]
    topic: Option<String>,
    /// How many times faster than real time; 0: as fast as the broker takes it
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "publish")]
    rate: f64,
}

impl StreamArgs {
    /// Whether rows can bear stamps although nobody said which: at real time they are made as their time comes.
    pub fn at_real_time(&self) -> bool {
        self.rate == 1.0
    }

    /// Holds the arguments to be good before any work is done.
    pub fn check(&self) -> Result<(), Failure> {
        if !(self.rate >= 0.0 && self.rate.is_finite()) {
            return Err(Failure::usage(format_args!("--rate {}: expected 0 or more, e.g. 10", self.rate)));
        }
        self.topic.as_deref().map_or(Ok(()), one_topic)
    }

    /// Publishes so many windows, or without end, until the process is told to stop, and says what it published.
    pub fn publish(&self, series: Series, windows: Option<u64>, lineage: &mut Lineage) -> Result<Value, Failure> {
        let (Some(broker), Some(topic)) = (&self.publish, &self.topic) else {
            return Err(Failure::usage("--publish and --topic belong together"));
        };
        let password = self.password_file.as_deref().map(surroundings::password_in).transpose()?;
        let layout = series.generator().layout().clone();
        // Stamps run with the clock of whoever reads them, which at another pace only the reader's own does.
        let stamps = match (lineage.start, self.at_real_time()) {
            (Some(_), _) => Stamps::Series,
            (None, true) => Stamps::Clock,
            (None, false) => Stamps::None,
        };
        let side = format!("{topic}/truth");
        let mut stream = Stream { layout, stamps, topic, side: &side, rate: self.rate, rows: 0, shift: None };
        surroundings::runtime()?.block_on(async {
            let mut signals = Signals::new().map_err(Failure::failed)?;
            let mut publisher = Publisher::connect(broker.options("generate", password)).await?;
            eprintln!("publishing to {topic}, what is true of it to {side}; ctrl-C ends it");
            tokio::select! {
                outcome = stream.run(&mut publisher, made_ahead(series, windows), (windows, lineage)) => outcome?,
                () = signals.stop() => {}
            }
            publisher.finish().await
        })?;
        let rows = stream.rows;
        eprintln!("{rows} rows published to {topic}");
        Ok(json!({ "topic": topic, "truth": side, "rows": rows, "lineage": lineage }))
    }
}

/// Rows on their way.
struct Stream<'a> {
    layout: Layout,
    stamps: Stamps,
    topic: &'a str,
    side: &'a str,
    rate: f64,
    /// Published so far.
    rows: u64,
    /// From the times of the series to those of the clock.
    shift: Option<SignedDuration>,
}

/// Which times rows bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamps {
    /// Those of the series.
    Series,
    /// Those at which they are published, in the series' cadence.
    Clock,
    /// None: whoever receives a row stamps it.
    None,
}

impl Stream<'_> {
    async fn run(
        &mut self,
        publisher: &mut Publisher,
        mut made: Receiver<Result<Vec<SeriesRow>, GenerationError>>,
        (windows, lineage): (Option<u64>, &mut Lineage),
    ) -> Result<(), Failure> {
        let whole = windows.map(|windows| windows.saturating_mul(self.layout.window as u64));
        let mut progress = Progress::new("rows", whole);
        let stamped = self.stamps != Stamps::None;
        let pace = self.pace();
        // Until the first rows are made no time passes.
        let mut pause = Duration::ZERO;
        while let Some(rows) = made.recv().await {
            for mut row in rows.map_err(Failure::failed)? {
                publisher.pause(pause).await?;
                if self.rows == 0 {
                    publisher.start_clock();
                }
                pause = pace;
                if self.stamps == Stamps::Clock {
                    let shift = *self.shift.get_or_insert_with(|| Timestamp::now().duration_since(row.time));
                    row.time = row.time.saturating_add(shift).unwrap_or(Timestamp::MAX);
                }
                publisher.publish(self.topic, telemetry(&row, &self.layout, stamped)).await?;
                let about = truth(&row, self.rows, stamped, (&self.layout, lineage));
                publisher.publish(self.side, about).await?;
                self.rows += 1;
                lineage.windows = row.window + 1;
                progress.tell(self.rows);
            }
        }
        Ok(())
    }

    /// The real time between two rows.
    fn pace(&self) -> Duration {
        if self.rate == 0.0 {
            return Duration::ZERO;
        }
        // At a rate so low that a day would be too short the day is the longest pause.
        Duration::from_secs_f64((self.layout.cadence.as_secs_f64() / self.rate).min(86_400.0))
    }
}

/// Makes rows on a thread of its own, two batches ahead at most, so that no row waits for the networks.
fn made_ahead(mut series: Series, windows: Option<u64>) -> Receiver<Result<Vec<SeriesRow>, GenerationError>> {
    let (sender, made) = channel(1);
    // It ends with its work, with whoever takes it, or with the process.
    std::thread::spawn(move || {
        let mut left = windows.unwrap_or(u64::MAX);
        while left > 0 {
            let count = left.min(BATCH as u64);
            let rows = series.next_windows(count as usize);
            let last = rows.is_err();
            if sender.blocking_send(rows).is_err() || last {
                break;
            }
            left -= count;
        }
    });
    made
}
