use std::path::PathBuf;

use super::outcome::Outcome;
use super::surroundings;
use crate::config::Config;
use crate::gateway::{Stock, StockedKind};

/// Validates everything that a run needs, without running
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self) -> Outcome {
        let config = surroundings::config(&self.config)?;
        let stock = surroundings::stock(&config)?;
        if let Some(path) = &config.mqtt.password_file {
            surroundings::password(path)?;
        }
        if self.json {
            println!("{}", as_json(&config, &stock));
        } else {
            print(&config, &stock);
        }
        Ok(())
    }
}

fn as_json(config: &Config, stock: &Stock) -> serde_json::Value {
    let kinds = stock.kinds.iter().map(|(name, stocked)| {
        let model = stocked.model.as_ref().map(|model| {
            let manifest = model.manifest();
            serde_json::json!({ "name": manifest.name, "version": manifest.version, "sha256": model.sha256() })
        });
        (name.to_string(), serde_json::json!({ "model": model }))
    });
    serde_json::json!({
        "ok": true,
        "gateway": config.gateway,
        "broker": format!("{}:{}", config.mqtt.host, config.mqtt.port),
        "subscribes": config.inputs.iter().map(|input| input.pattern.filter()).collect::<Vec<_>>(),
        "machines": config.machines.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "kinds": kinds.collect::<serde_json::Map<_, _>>(),
        "playbooks": stock.library.playbooks().len(),
        "config_sha256": config.sha256,
    })
}

fn print(config: &Config, stock: &Stock) {
    println!("gateway {} at the broker {}:{}", config.gateway, config.mqtt.host, config.mqtt.port);
    for input in &config.inputs {
        println!("  listens to {} as {:?}", input.pattern.filter(), input.format);
    }
    for (name, StockedKind { kind, model, .. }) in &stock.kinds {
        match model {
            Some(model) => {
                let manifest = model.manifest();
                println!(
                    "  kind {name}: {} channels, model {} {} reproduces its test vectors",
                    kind.channels().len(),
                    manifest.name,
                    manifest.version
                );
            }
            None => println!("  kind {name}: {} channels, charts alone", kind.channels().len()),
        }
    }
    println!("  {} playbooks render", stock.library.playbooks().len());
    println!("ok");
}
