use std::path::PathBuf;

use super::outcome::{Outcome, print};
use super::surroundings;
use crate::config::Config;
use crate::gateway::{Stock, StockedKind};
use crate::models::TurnedDown;

/// Validates everything that a run needs, without running
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper check --config /etc/wheeltapper/wheeltapper.toml")]
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
        if config.state_dir.exists() && !config.state_dir.is_dir() {
            return Err(config.wrong(("", 0), "state_dir", "is no folder").into());
        }
        surroundings::access(&config)?;
        let warnings = surroundings::exposed(&config);
        print(&match self.json {
            true => as_json(&config, &stock, &warnings).to_string(),
            false => as_text(&config, &stock, &warnings),
        })
    }
}

fn as_json(config: &Config, stock: &Stock, warnings: &[String]) -> serde_json::Value {
    let kinds = stock.kinds.iter().map(|(name, stocked)| {
        let model = stocked.model.as_ref().map(|model| {
            let manifest = model.manifest();
            serde_json::json!({
                "name": manifest.name,
                "version": manifest.version,
                "sha256": model.sha256(),
                "engine": model.engine().name(),
                "turned_down": model.turned_down(),
            })
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
        "warnings": warnings,
        "config_sha256": config.sha256,
    })
}

fn as_text(config: &Config, stock: &Stock, warnings: &[String]) -> String {
    let mut lines = vec![format!("gateway {} at the broker {}:{}", config.gateway, config.mqtt.host, config.mqtt.port)];
    for input in &config.inputs {
        lines.push(format!("  listens to {} as {:?}", input.pattern.filter(), input.format));
    }
    for (name, StockedKind { kind, model, .. }) in &stock.kinds {
        let channels = kind.channels().len();
        let Some(model) = model else {
            lines.push(format!("  kind {name}: {channels} channels, charts alone"));
            continue;
        };
        let (model_name, version, engine) = (&model.manifest().name, &model.manifest().version, model.engine().name());
        lines.push(format!(
            "  kind {name}: {channels} channels, model {model_name} {version} reproduces its test vectors, engine {engine}"
        ));
        for TurnedDown { engine, why, .. } in model.turned_down() {
            lines.push(format!("    not {engine}: {why}"));
        }
    }
    lines.push(format!("  {} playbooks render", stock.library.playbooks().len()));
    lines.extend(warnings.iter().map(|warning| format!("  warning: {warning}")));
    lines.push("ok".to_owned());
    lines.join("\n")
}
