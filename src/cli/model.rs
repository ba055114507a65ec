use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::outcome::{Failure, Outcome, print};
use crate::models::{
    ChannelContract, Folder, GeneratorModel, Model, PackageError, PackageFiles, Reproduced, Task, TurnedDown, shipped,
    shipped_names, task,
};
use crate::notation::show_duration;

/// Looks at model packages
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper model inspect hydraulic-dae")]
pub(super) struct ModelCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists the packages that the binary brings along, and those in a folder
    List(List),
    /// Makes one package prove what it promises, and says what it is and how it runs
    Inspect(Inspect),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper model list --models /usr/share/wheeltapper/models")]
struct List {
    /// A folder of packages
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper model inspect /usr/share/wheeltapper/models/hydraulic-dae")]
struct Inspect {
    /// The package's folder, or the name of one that the binary brings along
    #[arg(value_name = "PATH")]
    package: PathBuf,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

impl ModelCommand {
    pub fn run(self) -> Outcome {
        match self.verb {
            Verb::List(list) => list.run(),
            Verb::Inspect(inspect) => inspect.run(),
        }
    }
}

impl List {
    fn run(self) -> Outcome {
        let packages = self.packages()?;
        print(&match self.json {
            true => json!(packages.iter().map(listed_as_json).collect::<Vec<_>>()).to_string(),
            false => packages.iter().map(listed_as_text).collect::<Vec<_>>().join("\n"),
        })
    }

    /// Those of the binary first, then those of the folder, each by name.
    fn packages(&self) -> Result<Vec<Listed>, Failure> {
        let brought = shipped_names().filter_map(|name| Some((name.to_owned(), shipped(name)?)));
        let brought = brought.map(|(name, package)| Listed { name, model: Loaded::load(&package, false) });
        let mut packages: Vec<Listed> = brought.collect();
        let Some(models) = &self.models else { return Ok(packages) };
        let unreadable = |error| Failure::failed(format_args!("{}: {error}", models.display()));
        let mut folders = Vec::new();
        for entry in fs::read_dir(models).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            folders.extend(path.join("manifest.toml").exists().then_some(path));
        }
        folders.sort();
        packages.extend(
            folders
                .into_iter()
                .map(|path| Listed { name: path.display().to_string(), model: Loaded::load(&Folder(path), true) }),
        );
        Ok(packages)
    }
}

impl Inspect {
    fn run(self) -> Outcome {
        let Self { package, json } = self;
        let brought = package.to_str().filter(|_| !package.is_dir()).and_then(shipped);
        // Whoever looks at a package does not trust it yet.
        let model = match brought {
            Some(brought) => Loaded::load(&brought, true),
            None if package.is_dir() => Loaded::load(&Folder(package), true),
            None => {
                let known: Vec<&str> = shipped_names().collect();
                let shown = package.display();
                return Err(Failure::failed(format_args!(
                    "{shown} is neither a folder nor a package that the binary brings along; those are {known:?}"
                )));
            }
        };
        print(&match (model.map_err(Failure::failed)?, json) {
            (Loaded::Denoiser(model), true) => as_json(&model).to_string(),
            (Loaded::Denoiser(model), false) => as_text(&model),
            (Loaded::Generator(model), true) => generator_as_json(&model).to_string(),
            (Loaded::Generator(model), false) => generator_as_text(&model),
        })
    }
}

/// A package in a list, sound or not.
struct Listed {
    /// Its path, or its name if the binary brings it along.
    name: String,
    model: Result<Loaded, PackageError>,
}

/// A sound package, by what it is for.
enum Loaded {
    Denoiser(Box<Model>),
    Generator(Box<GeneratorModel>),
}

impl Loaded {
    fn load(files: &dyn PackageFiles, allow_unsigned: bool) -> Result<Self, PackageError> {
        Ok(match task(files)? {
            Task::Denoise => Self::Denoiser(Box::new(Model::load(files, allow_unsigned)?)),
            Task::Generate => Self::Generator(Box::new(GeneratorModel::load(files, allow_unsigned, 1)?)),
        })
    }
}

fn listed_as_json(Listed { name, model }: &Listed) -> Value {
    match model {
        Ok(Loaded::Generator(model)) => json!({
            "package": name,
            "name": model.manifest().name,
            "version": model.manifest().version,
            "kind": model.manifest().kind,
            "task": model.manifest().task,
            "shipped": model.is_shipped(),
            "family": model.manifest().generator.family,
        }),
        Ok(Loaded::Denoiser(model)) => json!({
            "package": name,
            "name": model.manifest().name,
            "version": model.manifest().version,
            "kind": model.manifest().kind,
            "shipped": model.is_shipped(),
            "engine": model.engine().name(),
        }),
        Err(error) => json!({ "package": name, "error": error.to_string() }),
    }
}

fn listed_as_text(Listed { name, model }: &Listed) -> String {
    match model {
        Ok(Loaded::Generator(model)) => {
            let manifest = model.manifest();
            let family = manifest.generator.family.name();
            format!("{name}: {} {}, kind {}, generates by {family}", manifest.name, manifest.version, manifest.kind)
        }
        Ok(Loaded::Denoiser(model)) => {
            let (manifest, engine) = (model.manifest(), model.engine().name());
            format!("{name}: {} {}, kind {}, engine {engine}", manifest.name, manifest.version, manifest.kind)
        }
        Err(error) => format!("{name}: refused: {error}"),
    }
}

fn as_json(model: &Model) -> Value {
    let manifest = model.manifest();
    let (contract, training) = (&manifest.contract, &manifest.training);
    let channel = |channel: &ChannelContract| json!({ "name": channel.name, "unit": channel.unit });
    json!({
        "name": manifest.name,
        "version": manifest.version,
        "sha256": model.sha256(),
        "shipped": model.is_shipped(),
        "kind": manifest.kind,
        "task": manifest.task,
        "licence": manifest.licence,
        "training": {
            "data": training.data,
            "data_licence": training.data_licence,
            "attribution": training.attribution,
            "command": training.command,
            "parameters": training.parameters,
        },
        "files": manifest.files.iter().map(|file| json!({
            "path": file.path, "bytes": file.bytes, "sha256": file.sha256,
        })).collect::<Vec<_>>(),
        "contract": {
            "input": contract.input,
            "output": contract.output,
            "axes": contract.axes,
            "dtype": contract.dtype,
            "window": contract.window,
            "cadence": show_duration(contract.cadence),
            "clip": contract.clip,
            "channels": contract.channels.iter().map(channel).collect::<Vec<_>>(),
        },
        "vectors": model.reproduced(),
        "engine": model.engine().name(),
        "turned_down": model.turned_down(),
    })
}

fn as_text(model: &Model) -> String {
    let manifest = model.manifest();
    let (contract, training) = (&manifest.contract, &manifest.training);
    let Reproduced { cases, largest, tolerance } = model.reproduced();
    let channel = |channel: &ChannelContract| format!("{} {}", channel.name, channel.unit).trim_end().to_owned();
    let channels: Vec<String> = contract.channels.iter().map(channel).collect();
    let files: Vec<String> = manifest.files.iter().map(|file| format!("{} {}", file.path, file.bytes)).collect();
    let trust = match model.is_shipped() {
        true => "the binary was built with it",
        false => "the binary was not built with it: a gateway takes it with `allow_unsigned = true` alone",
    };
    let mut lines = vec![
        format!("{} {}, {} for the kind {}", manifest.name, manifest.version, manifest.task, manifest.kind),
        format!("  manifest  {}", model.sha256()),
        format!("            {trust}"),
        format!("  licence   {}", manifest.licence),
        format!("  training  {} parameters; {}", training.parameters, training.data),
        format!("            {}; {}", training.data_licence, training.attribution),
        format!("  files     {}; sizes and hashes are those of the manifest", files.join(", ")),
        format!(
            "  contract  {} → {}, {} [{}], window {} columns of {}, clipped at ±{}",
            contract.input,
            contract.output,
            contract.dtype,
            contract.axes.join(", "),
            contract.window,
            show_duration(contract.cadence),
            contract.clip,
        ),
        format!("  channels  {}", channels.join(", ")),
        format!("  vectors   {cases} reproduced within {largest:.1e}, {tolerance:.0e} is allowed"),
        format!("  engine    {}", model.engine().name()),
    ];
    lines.extend(model.turned_down().iter().map(|TurnedDown { engine, why, .. }| format!("    not {engine}: {why}")));
    lines.join("\n")
}

fn generator_as_json(model: &GeneratorModel) -> Value {
    let manifest = model.manifest();
    let (keys, training) = (&manifest.generator, &manifest.training);
    json!({
        "name": manifest.name,
        "version": manifest.version,
        "sha256": model.sha256(),
        "shipped": model.is_shipped(),
        "kind": manifest.kind,
        "task": manifest.task,
        "licence": manifest.licence,
        "training": {
            "data": training.data,
            "data_licence": training.data_licence,
            "attribution": training.attribution,
            "command": training.command,
            "parameters": training.parameters,
        },
        "files": manifest.files.iter().map(|file| json!({
            "path": file.path, "bytes": file.bytes, "sha256": file.sha256,
        })).collect::<Vec<_>>(),
        "generator": {
            "family": keys.family,
            "window": keys.window,
            "cadence": show_duration(keys.cadence),
            "schedule": keys.schedule,
            "sampler": keys.sampler,
            "steps": keys.steps,
            "guidance": keys.guidance,
            "channels": keys.channels.iter().map(|it| json!({ "name": it.name, "unit": it.unit })).collect::<Vec<_>>(),
            "labels": keys.labels.iter().map(|it| json!({ "name": it.name, "unit": it.unit, "levels": it.levels }))
                .collect::<Vec<_>>(),
        },
        "vectors": model.reproduced(),
        "networks": model.stages().map(|(role, stage)| json!({
            "role": role, "engine": stage.engine(), "turned_down": stage.turned_down(),
        })).collect::<Vec<_>>(),
    })
}

fn generator_as_text(model: &GeneratorModel) -> String {
    let manifest = model.manifest();
    let (keys, training) = (&manifest.generator, &manifest.training);
    let Reproduced { cases, largest, tolerance } = model.reproduced();
    let channels: Vec<String> =
        keys.channels.iter().map(|it| format!("{} {}", it.name, it.unit).trim_end().to_owned()).collect();
    let labels: Vec<String> = keys.labels.iter().map(|it| format!("{} {:?} {}", it.name, it.levels, it.unit)).collect();
    let files: Vec<String> = manifest.files.iter().map(|file| format!("{} {}", file.path, file.bytes)).collect();
    let engines: Vec<String> = model.stages().map(|(role, stage)| format!("{role} {}", stage.engine())).collect();
    let mut lines = vec![
        format!("{} {}, {} for the kind {}", manifest.name, manifest.version, manifest.task, manifest.kind),
        format!("  manifest  {}", model.sha256()),
        format!("  licence   {}", manifest.licence),
        format!("  training  {} parameters; {}", training.parameters, training.data),
        format!("            {}; {}", training.data_licence, training.attribution),
        format!("  files     {}; sizes and hashes are those of the manifest", files.join(", ")),
        format!("  family    {}, {} rows of {} a window", keys.family.name(), keys.window, show_duration(keys.cadence)),
        format!("  channels  {}", channels.join(", ")),
        format!("  labels    {}", labels.join(", ")),
        format!("  vectors   {cases} reproduced within {largest:.1e}, {tolerance:.0e} is allowed"),
        format!("  engines   {}", engines.join(", ")),
    ];
    lines.extend(model.stages().filter_map(|(role, stage)| {
        let TurnedDown { engine, why, .. } = stage.turned_down()?;
        Some(format!("    {role} not {engine}: {why}"))
    }));
    lines.join("\n")
}
