use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rumqttd::{Broker, ConnectionSettings, RouterConfig, ServerSettings};
use serde_json::{Map, Number, Value};

use super::broker::BrokerUrl;
use super::demo_view::DemoView;
use super::outcome::{Failure, Outcome};
use super::publisher::Publisher;
use super::surroundings::{self, Signals};
use crate::config::Config;
use crate::gateway::{Access, Daemon, Workshop};
use crate::generation::{Defect, Rig};
use crate::transport::{Link, Qos};

/// Shows everything at once on this machine, with nothing installed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper demo --seconds 40")]
pub(super) struct Demo {
    /// Ends after so many seconds; without it ctrl-C ends it
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The loopback port of the broker that the demo brings along; without it the first one that is free
    #[arg(long)]
    port: Option<u16>,
}

impl Demo {
    pub fn run(self) -> Outcome {
        let port = self.free_port()?;
        let state = StateFolder::new();
        let config = Config::parse(&configuration(port, &state.0), "demo")?;
        let stock = surroundings::stock(&config)?;
        start_broker(port);
        say!("A broker, a gateway and a hydraulic rig on this machine, all made up. One second shows a minute.");
        say!("To watch with your own tools:  mosquitto_sub -h 127.0.0.1 -p {port} -v -t 'wheeltapper/#'\n");
        surroundings::runtime()?.block_on(async {
            let mut signals = Signals::new().map_err(Failure::failed)?;
            let daemon = Daemon::start(config.clone(), Workshop::new(&config, stock), Access::default())
                .map_err(Failure::failed)?;
            let broker = BrokerUrl { user: None, host: LOOPBACK.to_string(), port };
            let mut watching = broker.options("demo-view", None);
            watching.subscriptions = vec![("wheeltapper/v1/demo/#".to_owned(), Qos::AtLeastOnce)];
            let (_watcher, events) = Link::start(watching).map_err(Failure::failed)?;
            let mut view = DemoView::new(events);
            let publisher = Publisher::connect(broker.options("demo", None)).await?;
            let end = async {
                match self.seconds {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                    None => std::future::pending().await,
                }
            };
            let outcome = tokio::select! {
                outcome = run_rig(publisher) => outcome,
                () = view.show() => Err(Failure::Failed("the demo's broker has gone away".to_owned())),
                () = end => Ok(()),
                () = signals.stop() => Ok(()),
            };
            daemon.stop().await;
            view.sum_up();
            outcome
        })
    }

    fn free_port(&self) -> Result<u16, Failure> {
        let candidates: Vec<u16> = self.port.map_or_else(|| vec![1883, 18830, 0], |port| vec![port]);
        let free = candidates.iter().find_map(|&port| TcpListener::bind((LOOPBACK, port)).ok());
        let address = free.and_then(|listener| listener.local_addr().ok());
        address.map(|address| address.port()).ok_or_else(|| {
            Failure::failed(format_args!(
                "the port {candidates:?} of {LOOPBACK} is taken; name another one with --port"
            ))
        })
    }
}

/// Publishes a rig that works, leaks, and works again, for ever.
async fn run_rig(mut publisher: Publisher) -> Outcome {
    let mut rig = Rig::new(SEED).map_err(Failure::failed)?;
    let channels: Vec<String> = rig.channels().map(str::to_owned).collect();
    let mut row = Vec::new();
    let started = Instant::now();
    for second in 0u64.. {
        let condition = condition_at(second);
        if second == 0 || condition_at(second) != condition_at(second - 1) {
            let what = match (&condition, second < CALIBRATION) {
                (Some(condition), _) => format!("the rig's {} goes to {}", condition.component, condition.level),
                (None, true) => "the rig is sound; the gateway learns what that looks like".to_owned(),
                (None, false) => "the rig is repaired".to_owned(),
            };
            say!("{:>5.1} s  {what}", started.elapsed().as_secs_f64());
        }
        rig.next_row(condition.as_ref(), &mut row);
        let values = channels.iter().zip(&row).map(|(channel, value)| {
            let value = (value * 1000.0).round() / 1000.0;
            (channel.clone(), Number::from_f64(value).map_or(Value::Null, Value::Number))
        });
        let payload = Value::Object(values.collect::<Map<_, _>>()).to_string().into_bytes();
        if second > CALIBRATION + SOUND && (second - CALIBRATION) % (SOUND + FAULTY) == ACKNOWLEDGED {
            say!("{:>5.1} s  somebody acknowledges the alarm", started.elapsed().as_secs_f64());
            let command = format!("{{\"id\":\"demo-{second}\",\"operator\":\"demo\"}}");
            publisher.publish("wheeltapper/v1/demo/rig-1/cmd/ack", command.into_bytes()).await?;
        }
        publisher.pause(PACE).await?;
        publisher.publish("plant/rig-1/telemetry", payload).await?;
    }
    Ok(())
}

/// Sound while the gateway learns and a while longer, then one fault after another with repairs between them.
fn condition_at(second: u64) -> Option<Defect> {
    let faults = [("pump", "2"), ("pump", "1")];
    let round = second.checked_sub(CALIBRATION)? / (SOUND + FAULTY);
    let faulty = (second - CALIBRATION) % (SOUND + FAULTY) >= SOUND;
    let (component, level) = faults[usize::try_from(round).unwrap_or(0) % faults.len()];
    faulty.then(|| Defect { component: component.to_owned(), level: level.to_owned() })
}

fn start_broker(port: u16) {
    let connections = ConnectionSettings {
        connection_timeout_ms: 10_000,
        max_payload_size: 256 * 1024,
        max_inflight_count: 200,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "demo".to_owned(),
        listen: SocketAddr::from((LOOPBACK, port)),
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    // The default segments would take gigabytes; a demo forgets.
    let router = RouterConfig {
        max_connections: 64,
        max_outgoing_packet_count: 200,
        max_segment_size: 1024 * 1024,
        max_segment_count: 4,
        ..RouterConfig::default()
    };
    let config = rumqttd::Config {
        router,
        v4: Some(HashMap::from([("demo".to_owned(), server)])),
        ..rumqttd::Config::default()
    };
    // It ends with the process.
    std::thread::spawn(move || {
        if let Err(error) = Broker::new(config).start() {
            eprintln!("wheeltapper: the demo's broker: {error}");
        }
    });
}

fn configuration(port: u16, state: &std::path::Path) -> String {
    format!(
        "gateway = \"demo\"\nstate_dir = {state:?}\n[mqtt]\nhost = \"{LOOPBACK}\"\nport = {port}\n\
         [[input]]\ntopic = \"plant/{{machine}}/telemetry\"\n\
         [machine_defaults]\ncadence = \"1s\"\ncalibrate = {CALIBRATION}\nkind = \"hydraulic-rig\"\n\
         [score]\nevery = \"1s\"\n"
    )
}

/// A folder that goes with the demo.
struct StateFolder(PathBuf);

impl StateFolder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("wheeltapper-demo-{}", std::process::id())))
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        // Left behind it does no harm: the next demo has another one.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SEED: u64 = 7;
/// One second shows a minute.
const PACE: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// In seconds of the rig: ten load cycles.
const CALIBRATION: u64 = 600;
const SOUND: u64 = 300;
const FAULTY: u64 = 480;
/// After the repair, when the score is back.
const ACKNOWLEDGED: u64 = 120;
