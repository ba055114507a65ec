use std::path::PathBuf;

use super::outcome::{Failure, Outcome};
use super::surroundings;
use crate::gateway::{Daemon, Workshop};

/// Runs the daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper run --config /etc/wheeltapper/wheeltapper.toml")]
pub(super) struct Run {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Writes the log as JSON
    #[arg(long)]
    log_json: bool,
}

impl Run {
    pub fn run(self) -> Outcome {
        surroundings::log(self.log_json);
        let config = surroundings::config(&self.config)?;
        let stock = surroundings::stock(&config)?;
        let access = surroundings::access(&config)?;
        let workshop = Workshop::new(&config, stock);
        let runtime = surroundings::runtime()?;
        runtime.block_on(async {
            let daemon = Daemon::start(config, workshop, access).map_err(Failure::failed)?;
            surroundings::told_to_stop().await.map_err(Failure::failed)?;
            daemon.stop().await;
            Ok(())
        })
    }
}
