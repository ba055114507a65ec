use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::outcome::Failure;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::acquisition::Name;
use crate::advisory::{Library, PlaybookError, PlaybookFile};
use crate::config::{CalibrateKey, Config, Kind, Place, TlsKeys, shipped_kind, shipped_kinds};
use crate::gateway::{Access, Stock, StockedKind, StockedTwin};
use crate::generation::noise::stream;
use crate::generation::{CounterpartError, Generator, LearnedGenerator, Request};
use crate::machine::CalibrationLength;
use crate::models::{Folder, GeneratorModel, Model, PackageFiles, shipped, shipped_names};
use crate::notation::{TomlError, nearest, show_duration};
use crate::transport::{Credentials, Tls, TlsFiles};

/// Where kinds, models and playbooks are looked for: a folder first, then what the binary brings along.
pub(super) struct Shelves {
    pub models: PathBuf,
    pub kinds: PathBuf,
    pub playbooks: PathBuf,
    pub allow_unsigned: bool,
}

impl Shelves {
    /// What the binary brings along, and folders of kinds and of models if they are named.
    pub fn shipped(kinds: Option<PathBuf>, models: Option<PathBuf>, allow_unsigned: bool) -> Self {
        let [kinds, models] = [kinds, models].map(Option::unwrap_or_default);
        Self { models, kinds, playbooks: PathBuf::new(), allow_unsigned }
    }

    pub fn of(config: &Config) -> Self {
        Self {
            models: config.models.clone(),
            kinds: config.kinds.clone(),
            playbooks: config.playbooks.clone(),
            allow_unsigned: config.allow_unsigned,
        }
    }

    /// A kind with its model, verified.
    pub fn kind(&self, name: &Name, library: &Library) -> Result<StockedKind, Failure> {
        let path = self.kinds.join(format!("{name}.toml"));
        let kind = match fs::read_to_string(&path) {
            Ok(text) => Kind::parse(&text, &path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = shipped_kind(name.as_str()).ok_or_else(|| unknown_kind(name, &self.kinds))?;
                Kind::parse(text, &format!("kind {name} (shipped with the binary)"))
            }
            Err(error) => return Err(Failure::config(format_args!("{}: {error}", path.display()))),
        };
        let kind = kind.map_err(Failure::config)?;
        let model = kind.model.as_ref().map(|model| self.model(model)).transpose()?;
        if let Some(model) = &model {
            fits(&kind, model).map_err(Failure::config)?;
        }
        let symptoms = Arc::new(library.symptoms(kind.playbooks.as_deref()));
        Ok(StockedKind { channels: kind.channels().into(), kind, model, symptoms })
    }

    pub fn library(&self) -> Result<Arc<Library>, Failure> {
        let texts = playbooks_in(&self.playbooks)?;
        if texts.is_empty() {
            return Ok(Arc::new(Library::shipped()));
        }
        let files = texts.iter().map(|(origin, text)| PlaybookFile { origin, text });
        let all = |errors: Vec<PlaybookError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        Library::from_files(files).map(Arc::new).map_err(|errors| Failure::config(all(errors)))
    }

    /// A package that generates a window a call, verified.
    pub fn generator(&self, name: &Name) -> Result<GeneratorModel, Failure> {
        let files = self.package(name)?;
        GeneratorModel::load(&*files, self.allow_unsigned, 1).map_err(Failure::config)
    }

    fn model(&self, name: &Name) -> Result<Arc<Model>, Failure> {
        let files = self.package(name)?;
        Model::load(&*files, self.allow_unsigned).map(Arc::new).map_err(Failure::config)
    }

    fn package(&self, name: &Name) -> Result<Box<dyn PackageFiles>, Failure> {
        let folder = self.models.join(name.as_str());
        match (folder.is_dir(), shipped(name.as_str())) {
            (true, _) => Ok(Box::new(Folder(folder))),
            (false, Some(package)) => Ok(Box::new(package)),
            (false, None) => Err(Failure::config(format_args!(
                "there is no model package {name} in {}, and the binary brings only {:?} along",
                self.models.display(),
                shipped_names().collect::<Vec<_>>()
            ))),
        }
    }
}

/// Everything that a run takes from its surroundings, read and verified.
pub(super) fn stock(config: &Config) -> Result<Stock, Failure> {
    let shelves = Shelves::of(config);
    let library = shelves.library()?;
    let own = config.machines.iter().enumerate().map(|(index, (_, keys))| (("machine", index), keys));
    let mut kinds = BTreeMap::new();
    for (table, keys) in own.chain([(("machine_defaults", 0), &config.machine_defaults)]) {
        let Some(name) = keys.kind.as_ref().filter(|name| !kinds.contains_key(*name)) else { continue };
        let kind = shelves.kind(name, &library).map_err(|failure| match failure {
            Failure::Config(what) => Failure::config(config.wrong(table, "kind", &what)),
            other => other,
        })?;
        let window = kind.model.as_ref().map_or(0, |model| model.manifest().contract.window);
        let merged = keys.calibrate.or(config.machine_defaults.calibrate);
        if let Some(CalibrateKey(CalibrationLength::Samples(samples))) = merged.filter(|_| window > 0)
            && samples < 2 * window
        {
            let what = format!("{samples} samples are too few for the kind {name}, whose network needs {}", 2 * window);
            return Err(config.wrong(table, "calibrate", &what).into());
        }
        kinds.insert(name.clone(), kind);
    }
    let twins = twins(config, &shelves)?;
    Ok(Stock { kinds, library, twins })
}

/// The trained generators of twins, each with the condition that it is to show.
fn twins(config: &Config, shelves: &Shelves) -> Result<HashMap<Name, StockedTwin>, Failure> {
    let mut twins = HashMap::new();
    for (index, keys) in config.twins.iter().enumerate() {
        let Some(name) = &keys.model else { continue };
        let wrong = |key: &str, what: &str| Failure::from(config.wrong(("twin", index), key, what));
        let model = shelves.generator(name).map_err(|failure| wrong("model", &failure.to_string()))?;
        if !model.encodes() {
            return Err(wrong("model", &CounterpartError::NoEncoder.to_string()));
        }
        let generator = LearnedGenerator::new(model, keys.seed, false);
        let layout = generator.layout();
        let request = match &keys.label {
            Some(label) => Request::parse(label, layout).map_err(|error| wrong("label", &error.to_string()))?,
            None => Request::healthy(layout),
        };
        if request.is_open() {
            return Err(wrong("label", "a twin shows one condition; `any` has no place in it"));
        }
        let condition = request.draw(layout, &mut stream(0, 0));
        twins.insert(keys.machine.clone(), StockedTwin { generator, condition });
    }
    Ok(twins)
}

/// Reads and parses a configuration file.
pub(super) fn config(path: &Path) -> Result<Config, Failure> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Failure::config(format_args!("{}: it is not UTF-8 text", path.display())),
        _ => Failure::config(format_args!("cannot read the configuration {}: {error}", path.display())),
    })?;
    Ok(Config::parse(&text, &path.display().to_string())?)
}

/// The password and the certificates for the broker, from their files.
pub(super) fn access(config: &Config) -> Result<Access, Failure> {
    let password = config.mqtt.password_file.as_ref().map(|place| password(config, place)).transpose()?;
    let credentials =
        config.mqtt.username.clone().map(|username| Credentials { username, password: password.unwrap_or_default() });
    let Some(keys) = &config.mqtt.tls else { return Ok(Access { credentials, tls: None }) };
    let table = (TlsKeys::TABLE, 0);
    let path = |key: &str, place: &Option<Place>| {
        place.as_ref().map(|place| located(place).map_err(|what| config.wrong(table, key, &what))).transpose()
    };
    let files = TlsFiles {
        ca: path("ca_file", &keys.ca_file)?,
        own: path("cert_file", &keys.cert_file)?.zip(path("key_file", &keys.key_file)?),
        server_name: keys.server_name.clone(),
    };
    let tls = Tls::load(files).map_err(|error| config.wrong(table, error.key, &error.what))?;
    Ok(Access { credentials, tls: Some(tls) })
}

/// Secrets that everybody on this machine can read, each with what to do about it.
pub(super) fn exposed(config: &Config) -> Vec<String> {
    let key_file = config.mqtt.tls.as_ref().and_then(|keys| keys.key_file.as_ref());
    let secrets = [("mqtt.password_file", config.mqtt.password_file.as_ref()), ("mqtt.tls.key_file", key_file)];
    let readable = secrets.into_iter().filter_map(|(key, place)| {
        let path = located(place?).ok()?;
        let mode = fs::metadata(&path).ok()?.permissions().mode();
        let shown = path.display();
        (mode & OTHERS_READ != 0)
            .then(|| format!("{key}: everybody on this machine can read {shown}; run `chmod o= {shown}`"))
    });
    readable.collect()
}

/// The password in a file that the command line names.
pub(super) fn password_in(path: &Path) -> Result<String, Failure> {
    read_password(path).map_err(|what| Failure::config(format_args!("the password file {what}")))
}

/// The password in the file that a configuration names.
fn password(config: &Config, place: &Place) -> Result<String, TomlError> {
    let wrong = |what: String| config.wrong(("mqtt", 0), "password_file", &what);
    located(place).and_then(|path| read_password(&path)).map_err(wrong)
}

/// Without the line's end.
fn read_password(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn located(place: &Place) -> Result<PathBuf, String> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    place.path(credentials.as_deref()).map_err(|what| format!("{place} {what}"))
}

/// The daemon's log goes to standard error; `RUST_LOG` says how much of it.
pub(super) fn log(json: bool) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let set = if json { log.json().try_init() } else { log.with_ansi(io::stderr().is_terminal()).try_init() };
    // A log that was set up before is as good.
    drop(set);
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)
}

/// What a process is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The signals that a process listens to, from when this was made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        let [terminate, interrupt, hang_up] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt?, hang_up: hang_up? })
    }

    /// Waits until the process is to stop.
    pub async fn stop(&mut self) {
        while self.next().await != Told::Stop {}
    }

    pub async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}

/// Panics that are caught and answered as errors need no words of their own on standard error.
pub(super) fn quiet_caught_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let in_the_engine = panic.location().is_some_and(|place| place.file().contains("tract-"));
        if !in_the_engine {
            usual(panic);
        }
    }));
}

/// Whether a model was made for this kind of machine, or why not.
fn fits(kind: &Kind, model: &Model) -> Result<(), String> {
    let manifest = model.manifest();
    let contract = &manifest.contract;
    let of_kind = format!("kind {}: its model {}", kind.name, manifest.name);
    if kind.model.as_ref() != Some(&manifest.name) {
        return Err(format!("{of_kind} stands in a folder that bears another name; expected {:?}", kind.model));
    }
    if manifest.kind != kind.name {
        return Err(format!("{of_kind} was made for the kind {}", manifest.kind));
    }
    if contract.cadence != kind.cadence {
        let [made, wanted] = [contract.cadence, kind.cadence].map(show_duration);
        return Err(format!("{of_kind} was made for a sample every {made}, the kind has one every {wanted}"));
    }
    let channels = kind.channels();
    for wanted in &contract.channels {
        let Some(found) = channels.iter().find(|channel| channel.name == wanted.name) else {
            return Err(format!("{of_kind} reads the channel {}, which the kind does not have", wanted.name));
        };
        if let Some(unit) = found.unit.as_ref().filter(|unit| **unit != wanted.unit) {
            return Err(format!(
                "{of_kind} reads the channel {} in {}, the kind has it in {unit}",
                wanted.name, wanted.unit
            ));
        }
    }
    Ok(())
}

fn unknown_kind(name: &Name, folder: &Path) -> Failure {
    let known: Vec<&str> = shipped_kinds().collect();
    let meant = nearest(name.as_str(), known.iter().copied());
    let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
    let folder = match folder.as_os_str().is_empty() {
        true => String::new(),
        false => format!(" in {}", folder.display()),
    };
    Failure::config(format_args!(
        "there is no kind {name:?}{folder}, and the binary brings only {known:?} along{meant}"
    ))
}

/// All playbooks below a folder, sorted by path; none where there is no such folder.
fn playbooks_in(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let mut texts = Vec::new();
    if folder.as_os_str().is_empty() {
        return Ok(texts);
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::config(format_args!("{}: {error}", folder.display()))),
        };
        for entry in entries {
            let path = entry.map_err(Failure::config)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                let text = fs::read_to_string(&path)
                    .map_err(|error| Failure::config(format_args!("{}: {error}", path.display())))?;
                texts.push((path.display().to_string(), text));
            }
        }
    }
    texts.sort();
    Ok(texts)
}

/// In a file's mode.
const OTHERS_READ: u32 = 0o004;
