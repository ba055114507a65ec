use std::path::PathBuf;

use tracing::error;

use super::outcome::{Failure, Outcome};
use super::surroundings::{self, Signals, Told};
use crate::config::Config;
use crate::gateway::{Access, Daemon, Workshop, tell_ready, tell_reloading};

/// Runs the daemon; SIGHUP makes it take over a changed configuration, SIGTERM ends it
#[derive(Clone, Debug, clap::Args)]
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
        let Order { config, workshop, access } = self.order()?;
        let runtime = surroundings::runtime()?;
        runtime.block_on(async {
            // Before the start: a reload that comes too early must not end the process.
            let mut signals = Signals::new().map_err(Failure::failed)?;
            let mut daemon = Daemon::start(config, workshop, access).map_err(Failure::failed)?;
            while signals.next().await == Told::Reload {
                tell_reloading();
                let status = match self.reload(&mut daemon).await {
                    Ok(()) => "took over the changed configuration",
                    Err(failure) => {
                        error!("{failure}");
                        "refused the changed configuration and goes on with the one before"
                    }
                };
                tell_ready(status);
            }
            daemon.stop().await;
            Ok(())
        })
    }

    /// What to run, from the files as they are now.
    fn order(&self) -> Result<Order, Failure> {
        let config = surroundings::config(&self.config)?;
        let stock = surroundings::stock(&config)?;
        let access = surroundings::access(&config)?;
        let workshop = Workshop::new(&config, stock);
        Ok(Order { config, workshop, access })
    }

    async fn reload(&self, daemon: &mut Daemon) -> Outcome {
        let run = self.clone();
        // Beside the link, which goes on meanwhile.
        let order = tokio::task::spawn_blocking(move || run.order()).await.map_err(Failure::failed)?;
        let Order { config, workshop, access } = order?;
        daemon.reload(config, workshop, access).await.map_err(Failure::failed)
    }
}

struct Order {
    config: Config,
    workshop: Workshop,
    access: Access,
}
