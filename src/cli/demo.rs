use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rumqttd::{Broker, ConnectionSettings, RouterConfig, ServerSettings};
use serde_json::{Map, Value, json};

use super::broker::BrokerUrl;
use super::demo_view::DemoView;
use super::outcome::{Failure, Outcome};
use super::publisher::Publisher;
use super::surroundings::{self, Signals};
use crate::config::Config;
use crate::gateway::{Access, Daemon, Workshop};
use crate::generation::noise::stream;
use crate::generation::{Condition, Generator, Layout, LearnedGenerator, Request};
use crate::models::{GeneratorModel, shipped};
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
    let package =
        shipped(MODEL).ok_or_else(|| Failure::failed(format_args!("the binary does not bring {MODEL} along")))?;
    let model = GeneratorModel::load(&package, false, AHEAD).map_err(Failure::failed)?;
    let mut rig = LearnedGenerator::new(model, SEED, false);
    let layout = rig.layout().clone();
    let started = Instant::now();
    for first in (0u64..).step_by(AHEAD) {
        let faults: Vec<Option<&str>> = (first..).take(AHEAD).map(fault_in).collect();
        let conditions = faults.iter().map(|fault| condition(*fault, &layout)).collect::<Result<Vec<_>, _>>()?;
        let windows = rig.windows(&conditions).map_err(Failure::failed)?;
        for ((minute, fault), window) in (first..).zip(faults).zip(&windows) {
            if minute == 0 || fault != fault_in(minute - 1) {
                let what = match fault {
                    Some(fault) => format!("the rig's {}", fault.replace('=', " goes to ")),
                    None if minute < CALIBRATION => {
                        "the rig is sound; the gateway learns what that looks like".to_owned()
                    }
                    None => "the rig is repaired".to_owned(),
                };
                say!("{:>5.1} s  {what}", started.elapsed().as_secs_f64());
            }
            if minute > CALIBRATION + SOUND && (minute - CALIBRATION) % (SOUND + FAULTY) == ACKNOWLEDGED {
                say!("{:>5.1} s  somebody acknowledges the alarm", started.elapsed().as_secs_f64());
                let command = format!("{{\"id\":\"demo-{minute}\",\"operator\":\"demo\"}}");
                publisher.publish("wheeltapper/v1/demo/rig-1/cmd/ack", command.into_bytes()).await?;
            }
            for row in window.chunks_exact(layout.channels.len()) {
                let channels = layout.channels.iter().zip(row);
                let values = channels.map(|(channel, value)| (channel.name.to_string(), json!(channel.shown(*value))));
                let payload = Value::Object(values.collect::<Map<_, _>>()).to_string().into_bytes();
                publisher.pause(PACE).await?;
                publisher.publish("plant/rig-1/telemetry", payload).await?;
            }
        }
    }
    Ok(())
}

/// Sound while the gateway learns and a while longer, then one fault after another with repairs between them.
fn fault_in(minute: u64) -> Option<&'static str> {
    let faults = ["pump=2", "cooler=3"];
    let round = minute.checked_sub(CALIBRATION)? / (SOUND + FAULTY);
    let faulty = (minute - CALIBRATION) % (SOUND + FAULTY) >= SOUND;
    faulty.then(|| faults[usize::try_from(round).unwrap_or(0) % faults.len()])
}

fn condition(fault: Option<&str>, layout: &Layout) -> Result<Condition, Failure> {
    let Some(fault) = fault else { return Ok(layout.healthy()) };
    let request = Request::parse(fault, layout).map_err(Failure::failed)?;
    Ok(request.draw(layout, &mut stream(SEED, 0)))
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
         [machine_defaults]\ncadence = \"1s\"\ncalibrate = {}\nkind = \"hydraulic-rig\"\n\
         [score]\nevery = \"1s\"\n",
        60 * CALIBRATION
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
const SEED: u64 = 9;
/// One second shows a minute.
const PACE: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// What the rig is made of.
const MODEL: &str = "hydraulic-latent";
/// Minutes of the rig that are made at a time.
const AHEAD: usize = 8;
/// In minutes of the rig, which are its load cycles.
const CALIBRATION: u64 = 10;
const SOUND: u64 = 5;
const FAULTY: u64 = 8;
/// After the repair, when the score is back.
const ACKNOWLEDGED: u64 = 2;
