use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde::{Deserialize, Deserializer, de};

use super::alarm::{AlarmKeys, LONGEST_DELAY, MaintenanceTable, RunningKeys};
use super::cycle::{some_cycle, too_short, wrong_cycle};
use super::{Place, TwinKeys};
use crate::acquisition::{Format, Name, TopicPattern};
use crate::advisory::LockoutFacts;
use crate::alarm::{MaintenanceWindow, RunningRule};
use crate::detection::LoadCycle;
use crate::machine::{CalibrationLength, Delays, MOST_CALIBRATION_ROWS, OperatingPoint};
use crate::notation::{Key, TomlError, parse_duration, parse_size, read_toml, sha256_hex, some_duration};
use crate::plant::Input;

/// A gateway's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub gateway: Name,
    pub prefix: String,
    pub state_dir: PathBuf,
    pub models: PathBuf,
    pub kinds: PathBuf,
    pub playbooks: PathBuf,
    pub allow_unsigned: bool,
    pub max_machines: usize,
    pub mqtt: MqttKeys,
    pub inputs: Vec<Input>,
    pub machine_defaults: MachineKeys,
    pub machines: Vec<(Name, MachineKeys)>,
    pub delays: Delays,
    pub operating_point: OperatingPoint,
    pub false_alarms_per_day: Option<f64>,
    pub maintenance: Arc<[MaintenanceWindow]>,
    pub score_every: Duration,
    pub twins: Vec<TwinKeys>,
    /// Of the file's text.
    pub sha256: String,
    source: Source,
}

/// What a configuration was read from.
#[derive(Clone, Debug)]
struct Source {
    text: Arc<str>,
    origin: Arc<str>,
}

/// How to reach the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct MqttKeys {
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub max_payload: usize,
    pub username: Option<String>,
    pub password_file: Option<Place>,
    pub tls: Option<TlsKeys>,
}

/// How the broker proves who it is, and the gateway to it: `[mqtt.tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsKeys {
    /// The certificates that the broker's is signed by; the system's where it is left out.
    pub ca_file: Option<Place>,
    /// The gateway's own certificate with its chain.
    pub cert_file: Option<Place>,
    pub key_file: Option<Place>,
    /// The name that the broker's certificate bears, where that is not the host's.
    pub server_name: Option<String>,
}

/// What may be said of a machine, for all of them or for one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineKeys {
    #[serde(default, deserialize_with = "some_duration")]
    pub cadence: Option<Duration>,
    pub calibrate: Option<CalibrateKey>,
    #[serde(default, deserialize_with = "some_duration")]
    pub lateness: Option<Duration>,
    pub kind: Option<Name>,
    /// How its telemetry tells whether it runs.
    #[serde(default, deserialize_with = "some_rule")]
    pub running: Option<RunningRule>,
    /// Whether it goes through a load cycle, and how long one lasts; left out: the calibration's rows tell.
    #[serde(default, deserialize_with = "some_cycle")]
    pub cycle: Option<LoadCycle>,
    /// Instead of `alarm.profile`.
    pub alarm_profile: Option<OperatingPoint>,
    /// How the machine is locked out before somebody opens it; steps that need it are shown only where it is known.
    pub lockout: Option<LockoutFacts>,
    /// Part numbers by the playbooks' part ids.
    #[serde(default)]
    pub parts: BTreeMap<String, String>,
}

/// `calibrate = 400` or `calibrate = "2h"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrateKey(pub CalibrationLength);

impl Config {
    pub fn parse(text: &str, origin: &str) -> Result<Self, TomlError> {
        let file: File = read_toml(text, origin)?;
        file.resolve(&Source { text: text.into(), origin: origin.into() })
    }

    /// An error about a value that only somebody else could judge, e.g. because it names a file.
    pub fn wrong(&self, table: (&str, usize), name: &str, what: &str) -> TomlError {
        self.source.wrong(Key { table, name }, what)
    }

    /// What is said of a machine: its own keys, then the defaults.
    pub fn machine(&self, name: &Name) -> MachineKeys {
        let own = self.machines.iter().find(|(own, _)| own == name).map(|(_, keys)| keys.clone()).unwrap_or_default();
        let defaults = &self.machine_defaults;
        MachineKeys {
            cadence: own.cadence.or(defaults.cadence),
            calibrate: own.calibrate.or(defaults.calibrate),
            lateness: own.lateness.or(defaults.lateness),
            kind: own.kind.or_else(|| defaults.kind.clone()),
            running: own.running.or_else(|| defaults.running.clone()),
            cycle: own.cycle.or(defaults.cycle),
            alarm_profile: own.alarm_profile.or(defaults.alarm_profile),
            lockout: own.lockout.or_else(|| defaults.lockout.clone()),
            parts: if own.parts.is_empty() { defaults.parts.clone() } else { own.parts },
        }
    }
}

impl Config {
    /// Looks at what several tables say of one machine.
    fn check_together(&self) -> Result<(), TomlError> {
        let tables =
            self.machines.iter().enumerate().map(|(index, (name, _))| (("machine", index), self.machine(name)));
        for (table, keys) in tables.chain([(("machine_defaults", 0), self.machine_defaults.clone())]) {
            let cadence = keys.cadence.unwrap_or(Duration::from_secs(1));
            let point = keys.alarm_profile.unwrap_or(self.operating_point);
            let alarms = self.false_alarms_per_day;
            if let Some(what) = alarms.and_then(|alarms| point.contradicted_by(alarms, cadence)) {
                let key = match keys.alarm_profile {
                    Some(_) => Key { table, name: "alarm_profile" },
                    None => Key { table: ("alarm", 0), name: "profile" },
                };
                return Err(self.source.wrong(key, &what));
            }
            let Some(cycle) = keys.cycle else { continue };
            // A kind may know its cadence better.
            let known = keys.cadence.is_some() || keys.kind.is_none();
            let wrong = wrong_cycle(cycle, cadence).or_else(|| too_short(keys.calibration_length(), cycle, cadence));
            if let Some(what) = wrong.filter(|_| known) {
                return Err(self.source.wrong(Key { table, name: "cycle" }, &what));
            }
        }
        Ok(())
    }
}

impl MachineKeys {
    pub fn calibration_length(&self) -> CalibrationLength {
        self.calibrate.map_or(CalibrationLength::Samples(FEWEST_ROWS), |key| key.0)
    }

    pub fn lateness(&self) -> Duration {
        self.lateness.unwrap_or(Duration::from_secs(10))
    }
}

impl<'de> Deserialize<'de> for CalibrateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a number of samples, e.g. 400, or a duration, e.g. \"2h\"")]
        enum Either {
            Samples(u64),
            Span(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Samples(samples) if (FEWEST_SAMPLES..=MOST_SAMPLES).contains(&samples) => {
                Ok(Self(CalibrationLength::Samples(usize::try_from(samples).map_err(de::Error::custom)?)))
            }
            Either::Samples(samples) => Err(de::Error::custom(format_args!(
                "calibrate is {samples}, expected {FEWEST_SAMPLES} to {MOST_SAMPLES} samples; 400 and more are sensible"
            ))),
            Either::Span(span) => Ok(Self(CalibrationLength::Span(parse_duration(&span).map_err(de::Error::custom)?))),
        }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    gateway: Name,
    prefix: Option<String>,
    state_dir: Option<PathBuf>,
    models: Option<PathBuf>,
    kinds: Option<PathBuf>,
    playbooks: Option<PathBuf>,
    allow_unsigned: Option<bool>,
    max_machines: Option<usize>,
    mqtt: MqttTable,
    #[serde(default)]
    input: Vec<InputKeys>,
    #[serde(default)]
    machine_defaults: MachineKeys,
    #[serde(default)]
    alarm: AlarmKeys,
    #[serde(default)]
    maintenance: Vec<MaintenanceTable>,
    #[serde(default)]
    score: ScoreKeys,
    #[serde(default)]
    machine: Vec<MachineTable>,
    #[serde(default)]
    twin: Vec<TwinKeys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MqttTable {
    host: String,
    port: Option<u16>,
    client_id: Option<String>,
    #[serde(default, deserialize_with = "some_size")]
    max_payload: Option<u64>,
    username: Option<String>,
    password_file: Option<Place>,
    tls: Option<TlsKeys>,
}

/// One `[[input]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputKeys {
    topic: String,
    format: Option<Format>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoreKeys {
    #[serde(default, deserialize_with = "some_duration")]
    every: Option<Duration>,
}

/// One `[[machine]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineTable {
    name: Name,
    #[serde(default, deserialize_with = "some_duration")]
    cadence: Option<Duration>,
    calibrate: Option<CalibrateKey>,
    #[serde(default, deserialize_with = "some_duration")]
    lateness: Option<Duration>,
    kind: Option<Name>,
    #[serde(default, deserialize_with = "some_rule")]
    running: Option<RunningRule>,
    #[serde(default, deserialize_with = "some_cycle")]
    cycle: Option<LoadCycle>,
    alarm_profile: Option<OperatingPoint>,
    lockout: Option<LockoutFacts>,
    #[serde(default)]
    parts: BTreeMap<String, String>,
}

impl Source {
    fn wrong(&self, key: Key<'_>, what: &str) -> TomlError {
        TomlError::value(&self.text, &self.origin, key, what)
    }
}

impl File {
    fn resolve(self, source: &Source) -> Result<Config, TomlError> {
        let top = |name| Key { table: ("", 0), name };
        let prefix = self.prefix.unwrap_or_else(|| "wheeltapper/v1".to_owned());
        let prefix = parse_prefix(&prefix).map_err(|what| source.wrong(top("prefix"), &what))?;
        if self.input.is_empty() {
            let what = "there is none; add an [[input]] table, e.g. topic = \"plant/{machine}/telemetry\"";
            return Err(source.wrong(top("input"), what));
        }
        let inputs = self.input.into_iter().enumerate().map(|(index, input)| {
            input.resolve().map_err(|what| source.wrong(Key { table: ("input", index), name: "topic" }, &what))
        });
        let inputs = inputs.collect::<Result<Vec<Input>, TomlError>>()?;
        let own = format!("{prefix}/{}/any/score", self.gateway);
        if let Some(index) = inputs.iter().position(|input: &Input| input.pattern.captures(&own).is_some()) {
            let what = "this pattern brings the gateway its own scores; begin it with a level of the plant's";
            return Err(source.wrong(Key { table: ("input", index), name: "topic" }, what));
        }
        if let Some((name, what)) = self.mqtt.tls.as_ref().and_then(TlsKeys::wrong) {
            return Err(source.wrong(Key { table: (TlsKeys::TABLE, 0), name }, what));
        }
        let mqtt = self.mqtt.resolve(&self.gateway);
        let mqtt = mqtt.map_err(|(name, what)| source.wrong(Key { table: ("mqtt", 0), name }, &what))?;
        let max_machines = self.max_machines.unwrap_or(1000);
        if max_machines == 0 || max_machines < self.machine.len() {
            let listed = self.machine.len();
            let what = format!("{max_machines} is less than the {listed} machines that are listed, and never 0");
            return Err(source.wrong(top("max_machines"), &what));
        }
        check_delays(&self.machine_defaults, ("machine_defaults", 0), source)?;
        let (false_alarms_per_day, operating_point) = (self.alarm.false_alarms_per_day, self.alarm.profile);
        let delays = self.alarm.delays();
        let delays = delays.map_err(|(name, what)| source.wrong(Key { table: ("alarm", 0), name }, &what))?;
        let maintenance = self.maintenance.into_iter().enumerate().map(|(index, table)| {
            table.window().map_err(|(name, what)| source.wrong(Key { table: ("maintenance", index), name }, &what))
        });
        let maintenance = maintenance.collect::<Result<_, TomlError>>()?;
        let mut machines: Vec<(Name, MachineKeys)> = Vec::new();
        for (index, machine) in self.machine.into_iter().enumerate() {
            let table = ("machine", index);
            if machine.name == self.gateway {
                let what = "is the gateway's own name, under which it speaks of itself; name one of them otherwise";
                return Err(source.wrong(Key { table, name: "name" }, what));
            }
            if machines.iter().any(|(name, _)| *name == machine.name) {
                let what = format!("{} is listed twice", machine.name);
                return Err(source.wrong(Key { table, name: "name" }, &what));
            }
            let MachineTable {
                name,
                cadence,
                calibrate,
                lateness,
                kind,
                running,
                cycle,
                alarm_profile,
                lockout,
                parts,
            } = machine;
            let keys =
                MachineKeys { cadence, calibrate, lateness, kind, running, cycle, alarm_profile, lockout, parts };
            check_delays(&keys, table, source)?;
            machines.push((name, keys));
        }
        check_twins(&self.twin, &self.gateway, source)?;
        let share = |folder: &str| PathBuf::from("/usr/share/wheeltapper").join(folder);
        let config = Config {
            gateway: self.gateway,
            prefix,
            state_dir: self.state_dir.unwrap_or_else(|| "/var/lib/wheeltapper".into()),
            models: self.models.unwrap_or_else(|| share("models")),
            kinds: self.kinds.unwrap_or_else(|| share("kinds")),
            playbooks: self.playbooks.unwrap_or_else(|| share("playbooks")),
            allow_unsigned: self.allow_unsigned.unwrap_or(false),
            max_machines,
            mqtt,
            inputs,
            machine_defaults: self.machine_defaults,
            machines,
            delays,
            operating_point,
            false_alarms_per_day,
            maintenance,
            twins: self.twin,
            score_every: self.score.every.unwrap_or(Duration::from_secs(10)),
            sha256: sha256_hex(source.text.as_bytes()),
            source: source.clone(),
        };
        config.check_together()?;
        Ok(config)
    }
}

/// What stands in front of every topic of a gateway.
pub fn parse_prefix(text: &str) -> Result<String, String> {
    if text.split('/').any(|level| Name::parse(level).is_err() || level.starts_with('$')) {
        return Err(format!("{text:?} is no topic; expected levels of 1 to 128 characters, e.g. \"wheeltapper/v1\""));
    }
    Ok(text.to_owned())
}

fn check_twins(twins: &[TwinKeys], gateway: &Name, source: &Source) -> Result<(), TomlError> {
    for (index, TwinKeys { machine, model, label, .. }) in twins.iter().enumerate() {
        if label.is_some() && model.is_none() {
            let what = "what is fitted to a machine's own rows knows one condition only; expected a `model` too, e.g. \
                        \"hydraulic-latent\"";
            return Err(source.wrong(Key { table: ("twin", index), name: "label" }, what));
        }
        let what = match twins[..index].iter().any(|before| before.machine == *machine) {
            true => format!("{machine} has a twin already"),
            false if machine == gateway => format!("{machine} is the gateway itself; expected one of its machines"),
            false => continue,
        };
        return Err(source.wrong(Key { table: ("twin", index), name: "machine" }, &what));
    }
    Ok(())
}

fn check_delays(keys: &MachineKeys, table: (&str, usize), source: &Source) -> Result<(), TomlError> {
    if keys.cadence.is_some_and(|cadence| cadence.is_zero() || cadence > LONGEST_DELAY) {
        return Err(
            source.wrong(Key { table, name: "cadence" }, "expected more than 0 and at most 7 days, e.g. \"1s\"")
        );
    }
    if keys.lateness.is_some_and(|lateness| lateness > LONGEST_DELAY) {
        return Err(source.wrong(Key { table, name: "lateness" }, "is more than 7 days; no sample waits so long"));
    }
    let cadence = keys.cadence.unwrap_or(Duration::from_secs(1)).as_secs_f64();
    if let Some(CalibrateKey(CalibrationLength::Span(span))) = keys.calibrate
        && span.as_secs_f64() / cadence < FEWEST_SAMPLES as f64
    {
        let what = format!("spans fewer than {FEWEST_SAMPLES} samples of the cadence; 400 and more are sensible");
        return Err(source.wrong(Key { table, name: "calibrate" }, &what));
    }
    Ok(())
}

impl InputKeys {
    fn resolve(self) -> Result<Input, String> {
        let pattern = TopicPattern::parse(&self.topic).map_err(|error| format!("{:?}: {error}", self.topic))?;
        let format = self.format.unwrap_or(Format::Json);
        if (format == Format::Value) != pattern.names_channel() {
            return Err(match format {
                Format::Value => format!(
                    "{:?}: format = \"value\" needs the level that names the channel, e.g. plant/{{machine}}/{{channel}}",
                    self.topic
                ),
                Format::Json => format!("{:?}: {{channel}} is only for format = \"value\"", self.topic),
            });
        }
        Ok(Input { pattern, format })
    }
}

impl MqttTable {
    fn resolve(self, gateway: &Name) -> Result<MqttKeys, (&'static str, String)> {
        let name = self.host.parse::<std::net::Ipv6Addr>().is_ok() || !self.host.contains(':');
        if self.host.is_empty() || !name || self.host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err((
                "host",
                format!("{:?} is no host; expected a name or an address alone, e.g. \"127.0.0.1\"", self.host),
            ));
        }
        if self.port == Some(0) {
            return Err(("port", "0 is no port; expected 1 to 65535, usually 1883, or 8883 with TLS".to_owned()));
        }
        let client_id = self.client_id.unwrap_or_else(|| format!("wheeltapper-{gateway}"));
        if client_id.is_empty() || client_id.len() > 256 || client_id.contains(char::is_control) {
            return Err(("client_id", format!("{client_id:?}: expected 1 to 256 bytes without control characters")));
        }
        let max_payload = self.max_payload.unwrap_or(256 * 1024);
        if !(16..=16 * 1024 * 1024).contains(&max_payload) {
            return Err(("max_payload", format!("{max_payload} bytes, expected 16B to 16MiB")));
        }
        if self.password_file.is_some() && self.username.is_none() {
            return Err(("password_file", "needs mqtt.username beside it".to_owned()));
        }
        Ok(MqttKeys {
            host: self.host,
            port: self.port.unwrap_or(if self.tls.is_some() { 8883 } else { 1883 }),
            client_id,
            max_payload: usize::try_from(max_payload).unwrap_or(usize::MAX),
            username: self.username,
            password_file: self.password_file,
            tls: self.tls,
        })
    }
}

impl TlsKeys {
    pub const TABLE: &str = "mqtt.tls";

    /// The key that cannot be as it is, and why.
    fn wrong(&self) -> Option<(&'static str, &'static str)> {
        if self.server_name.as_deref().is_some_and(|name| ServerName::try_from(name).is_err()) {
            return Some((
                "server_name",
                "is no name; expected a host name or an address, e.g. \"broker.plant.example\"",
            ));
        }
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => Some(("cert_file", "needs key_file beside it, the private key of this certificate")),
            (None, Some(_)) => Some(("key_file", "needs cert_file beside it, the certificate of this key")),
            _ => None,
        }
    }
}

fn some_rule<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RunningRule>, D::Error> {
    RunningKeys::deserialize(deserializer).map(|keys| Some(keys.rule()))
}

fn some_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    parse_size(&String::deserialize(deserializer)?).map(Some).map_err(de::Error::custom)
}

/// Fewer rows than this are not worth a calibration.
const FEWEST_ROWS: usize = 400;
const FEWEST_SAMPLES: u64 = 50;
const MOST_SAMPLES: u64 = MOST_CALIBRATION_ROWS as u64;

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str =
        "gateway = \"g1\"\n[mqtt]\nhost = \"127.0.0.1\"\n[[input]]\ntopic = \"plant/{machine}/telemetry\"\n";

    #[test]
    fn gateway_host_and_one_input_are_enough() {
        let config = Config::parse(SMALLEST, "w.toml").unwrap();
        assert_eq!(config.mqtt.client_id, "wheeltapper-g1");
        assert_eq!(config.prefix, "wheeltapper/v1");
        assert_eq!(config.mqtt.max_payload, 262_144);
        assert_eq!(config.machine_defaults.calibration_length(), CalibrationLength::Samples(400));
    }

    #[test]
    fn with_tls_the_port_is_8883_unless_another_one_is_named() {
        let port = |from: &str, to: &str| Config::parse(&SMALLEST.replacen(from, to, 1), "w.toml").unwrap().mqtt.port;
        assert_eq!(port("", ""), 1883);
        assert_eq!(port("[[input]]", "[mqtt.tls]\n[[input]]"), 8883);
        assert_eq!(port("[[input]]", "port = 8884\n[mqtt.tls]\n[[input]]"), 8884);
    }

    #[test]
    fn a_machine_takes_its_own_keys_before_the_defaults() {
        let text = format!(
            "{SMALLEST}[machine_defaults]\ncadence = \"1s\"\ncalibrate = 600\n[[machine]]\nname = \"p\"\ncalibrate = \"2h\"\n"
        );
        let config = Config::parse(&text, "w.toml").unwrap();
        let keys = config.machine(&Name::parse("p").unwrap());
        assert_eq!(keys.cadence, Some(Duration::from_secs(1)));
        assert_eq!(keys.calibration_length(), CalibrationLength::Span(Duration::from_secs(7200)));
        assert_eq!(config.machine(&Name::parse("q").unwrap()).calibration_length(), CalibrationLength::Samples(600));
    }

    #[test]
    fn each_wrong_value_is_answered_with_its_key_and_what_was_expected() {
        for (from, to, expected) in [
            ("gateway = \"g1\"", "gateway = \"g/1\"", "never `+`, `#`, `/`"),
            ("gateway = \"g1\"\n", "", "missing field `gateway`"),
            ("host =", "hots =", "did you mean `host`?"),
            ("[mqtt]", "prefx = \"a\"\n[mqtt]", "did you mean `prefix`?"),
            ("[mqtt]", "prefix = \"a/#\"\n[mqtt]", "line 2, column 1: prefix: "),
            ("{machine}", "x", "line 5, column 1: topic: "),
            ("telemetry\"", "telemetry\"\nformat = \"xml\"", "unknown variant `xml`"),
            ("telemetry\"", "telemetry\"\nformat = \"value\"", "needs the level that names the channel"),
            ("host = \"127.0.0.1\"", "host = \"127.0.0.1\"\nport = 70000", "line 4"),
            ("host = \"127.0.0.1\"", "host = \"127.0.0.1\"\nmax_payload = \"1MB\"", "is not a size"),
            (
                "[[input]]",
                "[mqtt.tls]\ncert_file = \"g1.pem\"\n[[input]]",
                "line 5, column 1: cert_file: needs key_file",
            ),
            (
                "[[input]]",
                "[mqtt.tls]\nkey_file = \"g1.key\"\n[[input]]",
                "line 5, column 1: key_file: needs cert_file",
            ),
            ("[[input]]", "[mqtt.tls]\nserver_name = \"a b\"\n[[input]]", "line 5, column 1: server_name: is no name"),
            ("[[input]]", "[mqtt.tls]\nca = \"ca.pem\"\n[[input]]", "did you mean `ca_file`?"),
            ("[[input]]", "[mqtt.tls]\nca_file = \"credential:../x\"\n[[input]]", "is no credential"),
            ("[[input]]", "[alarm]\nraise_after = 5\n[[input]]", "line 5"),
            ("[[input]]", "[alarm]\nraise_after = \"5 s\"\n[[input]]", "is not a duration"),
            ("[[input]]", "[[machine]]\nname = \"g1\"\n[[input]]", "the gateway's own name"),
            ("[[input]]", "[alarm]\nfalse_alarms_per_day = nan\n[[input]]", "0.001 to 1000"),
            ("[[input]]", "[alarm]\nraise_within = \"5s\"\n[[input]]", "needs raise_after"),
            ("[[input]]", "[alarm]\nraise_after = \"5s\"\nraise_within = \"4s\"\n[[input]]", "less than raise_after"),
            ("[[input]]", "[machine_defaults]\nrunning = { chanel = \"rpm\", above = 1 }\n[[input]]", "`channel`"),
            (
                "[[input]]",
                "[machine_defaults]\nrunning = { channel = \"rpm\", above = nan }\n[[input]]",
                "expected a finite number",
            ),
            (
                "[[input]]",
                "[[maintenance]]\nfrom = \"2026-12-24T18:00:00\"\nuntil = \"2026-12-24T20:00:00Z\"\n[[input]]",
                "offset from UTC",
            ),
            ("[[input]]", "[[maintenance]]\nfrom = \"noon\"\nuntil = \"noon\"\n[[input]]", "no time in RFC 3339"),
            (
                "[[input]]",
                "[[maintenance]]\nfrom = \"2026-12-24T18:00:00Z\"\nuntil = \"2026-12-24T12:00:00Z\"\n[[input]]",
                "line 6, column 1: until: is not later",
            ),
            (
                "[[input]]",
                "[alarm]\nprofile = \"quiet\"\nfalse_alarms_per_day = 100.0\n[[input]]",
                "line 5, column 1: profile: quiet contradicts",
            ),
            (
                "[[input]]",
                "[alarm]\nfalse_alarms_per_day = 100.0\n[[machine]]\nname = \"p\"\nalarm_profile = \"quiet\"\n[[input]]",
                "line 8, column 1: alarm_profile: quiet contradicts",
            ),
            (
                "[[input]]",
                "[[twin]]\nmachine = \"g1\"\n[[input]]",
                "line 5, column 1: machine: g1 is the gateway itself",
            ),
            ("[[input]]", "[[twin]]\nmachine = \"p\"\n[[twin]]\nmachine = \"p\"\n[[input]]", "p has a twin already"),
            ("[[input]]", "[[twin]]\nmachin = \"p\"\n[[input]]", "did you mean `machine`?"),
            (
                "[[input]]",
                "[[twin]]\nmachine = \"p\"\nlabel = \"pump=2\"\n[[input]]",
                "line 6, column 1: label: what is fitted to a machine's own rows",
            ),
            ("[[input]]", "[alarm]\nprofile = \"loud\"\n[[input]]", "unknown variant `loud`"),
            ("[[input]]", "[machine_defaults]\ncycle = \"120s\"\n[[input]]", "line 5, column 1: cycle: lasts 2m, and"),
            ("[[input]]", "[machine_defaults]\ncycle = \"2s\"\n[[input]]", "expected 8s to 25m"),
            ("[[input]]", "[machine_defaults]\ncycle = true\n[[input]]", "say how long it lasts"),
            ("[[input]]", "[machine_defaults]\ncalibrate = 3\n[[input]]", "expected 50 to"),
            ("[[input]]", "[machine_defaults]\ncalibrate = true\n[[input]]", "a number of samples"),
        ] {
            let text = SMALLEST.replacen(from, to, 1);
            let error = Config::parse(&text, "w.toml").unwrap_err().to_string();
            assert!(error.starts_with("w.toml") && error.contains(expected), "{to:?}: {error}");
        }
    }
}
