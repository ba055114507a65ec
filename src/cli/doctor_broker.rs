//! What the broker grants to a gateway, tried under a client id of its own beside the configured one: the session of a
//! running daemon is never touched.

use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::finding::{Finding, Verdict};
use crate::config::Config;
use crate::gateway::Access;
use crate::plant::Input;
use crate::publication::Topics;
use crate::transport::{LinkOptions, Probe, ProbeFault, Qos};

/// A visit to the broker.
pub(super) struct Visit {
    options: LinkOptions,
    topics: Topics,
    inputs: Vec<Input>,
    user: String,
}

/// What a step of the visit found.
type Found = Result<Vec<Finding>, ProbeFault>;

impl Visit {
    pub fn new(config: &Config, access: Access) -> Self {
        let mqtt = &config.mqtt;
        Self {
            options: LinkOptions {
                credentials: access.credentials,
                tls: access.tls,
                max_payload: mqtt.max_payload,
                ..LinkOptions::new(&mqtt.host, mqtt.port, probe_id(&mqtt.client_id))
            },
            topics: Topics::new(&config.prefix, &config.gateway),
            inputs: config.inputs.clone(),
            user: mqtt
                .username
                .as_ref()
                .map_or_else(|| "clients without a name".to_owned(), |name| format!("user {name}")),
        }
    }

    /// Everything that can be told of the broker; what comes after a lost connection is skipped.
    pub async fn examine(&self) -> Vec<Finding> {
        let reached = self.reach().await;
        let mut lost = reached.outcome == Verdict::Fail;
        let mut findings = vec![reached];
        for step in STEPS {
            if lost {
                findings.push(skipped(step, "the broker cannot be reached"));
                continue;
            }
            let found = match step {
                "session" => self.session().await,
                "daemon" => self.daemon().await,
                "own topics" => self.own_topics().await,
                "commands" => self.commands().await,
                "inputs" => self.inputs().await,
                _ => self.payloads().await,
            };
            lost = found.is_err();
            findings.extend(found.unwrap_or_else(|fault| vec![ended(step, &fault)]));
        }
        findings
    }

    /// From the name to the login.
    async fn reach(&self) -> Finding {
        let (host, port) = (self.options.host.as_str(), self.options.port);
        let failed = |found: String, advice: &str| Finding::fail("broker", found, advice);
        let addresses = match timeout(PATIENCE, lookup_host((host, port))).await {
            Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
            Ok(Err(error)) => return failed(format!("{host} has no address: {error}"), "check mqtt.host and the DNS"),
            Err(_) => return failed(format!("no DNS server told the address of {host} in time"), "check the DNS"),
        };
        match timeout(PATIENCE, TcpStream::connect(&addresses[..])).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let advice = "start the broker, or check mqtt.host, mqtt.port and the firewall";
                return failed(format!("{host}:{port} takes no connection: {error}"), advice);
            }
            Err(_) => {
                let advice = "check mqtt.host, mqtt.port and the firewall between here and there";
                return failed(format!("{host}:{port} has not answered in {PATIENCE:?}"), advice);
            }
        }
        match Probe::connect(&self.options, true).await {
            Ok(probe) => {
                probe.end().await;
                let how = if self.options.tls.is_some() { ", over TLS" } else { "" };
                Finding::ok("broker", format!("{host}:{port} accepts {}{how}", self.user))
            }
            Err(fault) => ended("broker", &fault),
        }
    }

    /// Whether the broker remembers a client that is away.
    async fn session(&self) -> Found {
        for clean_session in [true, false] {
            Probe::connect(&self.options, clean_session).await?.end().await;
        }
        let probe = Probe::connect(&self.options, false).await?;
        let kept = probe.session_present();
        probe.end().await;
        // Nothing of this visit stays behind.
        Probe::connect(&self.options, true).await?.end().await;
        Ok(vec![match kept {
            true => Finding::ok("session", "the broker keeps the session of a client that is away"),
            false => Finding::fail(
                "session",
                "the broker forgets a client that is away (session_present=0): telemetry sent meanwhile is lost, alarms are not",
                "mosquitto 2.0.12 to 2.0.18 does so with per_listener_settings true: update it or drop that line; else \
                 allow persistent sessions",
            ),
        }])
    }

    /// Whether a gateway of this name runs.
    async fn daemon(&self) -> Found {
        let mut probe = Probe::connect(&self.options, true).await?;
        let topic = self.topics.status();
        if probe.subscribe(&topic, Qos::AtLeastOnce).await?.is_none() {
            return Ok(vec![skipped("daemon", &format!("{} may not read {topic}", self.user))]);
        }
        let heard = probe.listen(RETAINED, 1).await?;
        probe.end().await;
        let state = heard.iter().find_map(|(_, payload)| {
            let status: Value = serde_json::from_slice(payload).ok()?;
            Some(status["state"].as_str()?.to_owned())
        });
        Ok(vec![Finding::ok(
            "daemon",
            match state.as_deref() {
                Some("online") => "is online; its session was left alone",
                Some(_) => "is offline",
                None => "has not been seen on this broker",
            },
        )])
    }

    /// Whether the gateway's own topics can be written, and how fast.
    async fn own_topics(&self) -> Found {
        let mut probe = Probe::connect(&self.options, true).await?;
        let topic = self.topics.doctor();
        let base = topic.trim_end_matches("/doctor");
        let advice =
            format!("let {} read and write {base}/# (mosquitto's acl_file: `topic readwrite {base}/#`)", self.user);
        if probe.subscribe(&topic, Qos::AtMostOnce).await?.is_none() {
            let found = format!("the broker refuses the subscription {topic}");
            return Ok(vec![Finding::fail("own topics", found, advice)]);
        }
        let mut times = Vec::new();
        for number in 0..ROUND_TRIPS {
            // An alarm and its event go out together, and it is the second message that a broker holds back.
            let pair = [payload(2 * number, 0), payload(2 * number + 1, 0)];
            let Some(time) = probe.round_trip(&topic, &pair).await? else { break };
            times.push(time);
        }
        probe.end().await;
        if times.len() < ROUND_TRIPS {
            let found =
                format!("what is published on {topic} does not come back: it may not be written, or not be read");
            return Ok(vec![Finding::fail("own topics", found, advice)]);
        }
        times.sort_unstable();
        Ok(vec![
            Finding::ok("own topics", format!("{topic} can be written and read")),
            judge_latency(times[times.len() / 2]),
        ])
    }

    /// Whether operators' commands would arrive.
    async fn commands(&self) -> Found {
        let mut probe = Probe::connect(&self.options, true).await?;
        let filter = self.topics.commands();
        let granted = probe.subscribe(&filter, Qos::AtLeastOnce).await?;
        probe.end().await;
        Ok(vec![
            judge_subscription("commands", &filter, granted, &self.user)
                .unwrap_or_else(|| Finding::ok("commands", format!("{filter} is granted"))),
        ])
    }

    /// Whether telemetry would arrive. A grant alone proves little: mosquitto's `acl_file` grants every subscription and
    /// keeps back what may not be read.
    async fn inputs(&self) -> Found {
        let mut probe = Probe::connect(&self.options, true).await?;
        let mut judged = Vec::new();
        for input in &self.inputs {
            let filter = input.pattern.filter();
            let granted = probe.subscribe(&filter, Qos::AtLeastOnce).await?;
            judged.push((input, judge_subscription("input", &filter, granted, &self.user)));
        }
        let heard = probe.listen(TELEMETRY, usize::MAX).await?;
        probe.end().await;
        let found = judged.into_iter().map(|(input, judged)| {
            judged.unwrap_or_else(|| {
                let count = heard.iter().filter(|(topic, _)| input.pattern.captures(topic).is_some()).count();
                judge_telemetry(&input.pattern.filter(), count)
            })
        });
        Ok(found.collect())
    }

    /// Whether the largest messages pass.
    async fn payloads(&self) -> Found {
        let passes = async |size: usize| {
            let mut probe = Probe::connect(&self.options, true).await?;
            let topic = self.topics.doctor();
            if probe.subscribe(&topic, Qos::AtMostOnce).await?.is_none() {
                return Ok(false);
            }
            // A broker may hang up on a message that is too large.
            let back = probe.round_trip(&topic, &[payload(0, size)]).await;
            probe.end().await;
            Ok::<bool, ProbeFault>(matches!(back, Ok(Some(_))))
        };
        if !passes(0).await? {
            return Ok(vec![skipped("payloads", "nothing that is published comes back")]);
        }
        if !passes(LARGEST_OUT).await? {
            return Ok(vec![Finding::fail(
                "payloads",
                format!(
                    "a message of {} KiB, as large as an alarm or a status may be, does not pass",
                    LARGEST_OUT >> 10
                ),
                "raise the broker's limit to 64 KiB or more (mosquitto: message_size_limit, max_packet_size)",
            )]);
        }
        let most = self.options.max_payload.min(LARGEST_TRIED);
        if most > LARGEST_OUT && !passes(most).await? {
            return Ok(vec![Finding::warn(
                "payloads",
                format!(
                    "messages of {} KiB pass, those of {} KiB do not, and mqtt.max_payload expects them",
                    LARGEST_OUT >> 10,
                    most >> 10
                ),
                "lower mqtt.max_payload, or raise the broker's limit (mosquitto: message_size_limit, max_packet_size)",
            )]);
        }
        Ok(vec![Finding::ok("payloads", format!("messages of {} KiB pass", most.max(LARGEST_OUT) >> 10))])
    }
}

/// Not the daemon's, or the broker would end its connection and hand its messages to the visitor.
fn probe_id(client_id: &str) -> String {
    let room = 256 - "-doctor".len();
    let end = (0..=room.min(client_id.len())).rev().find(|end| client_id.is_char_boundary(*end)).unwrap_or(0);
    format!("{}-doctor", &client_id[..end])
}

/// A message for those who happen to listen, too: JSON of at least this size.
fn payload(number: usize, size: usize) -> Vec<u8> {
    let head = format!("{{\"doctor\":{number},\"fill\":\"");
    let fill = size.saturating_sub(head.len() + 2);
    format!("{head}{}\"}}", "x".repeat(fill)).into_bytes()
}

fn judge_latency(median: Duration) -> Finding {
    let found = format!(
        "{:.1} ms to the broker and back for two messages, the median of {ROUND_TRIPS}",
        median.as_secs_f64() * 1e3
    );
    match median {
        slow if slow > SLOW => Finding::warn(
            "latency",
            found,
            "if the broker is near, it holds small messages back: `set_tcp_nodelay true` in mosquitto.conf",
        ),
        _ => Finding::ok("latency", found),
    }
}

/// What is wrong with the answer to a subscription, if something is.
fn judge_subscription(check: &str, filter: &str, granted: Option<Qos>, user: &str) -> Option<Finding> {
    match granted {
        None => {
            let advice = format!("let {user} read {filter} (mosquitto's acl_file: `topic read {filter}`)");
            Some(Finding::fail(check, format!("the broker refuses the subscription {filter}"), advice))
        }
        Some(Qos::AtMostOnce) => Some(Finding::warn(
            check,
            format!("{filter} is granted at QoS 0 only: messages may be lost on the way here"),
            "allow QoS 1 (mosquitto: max_qos)",
        )),
        Some(_) => None,
    }
}

fn judge_telemetry(filter: &str, count: usize) -> Finding {
    match count {
        0 => Finding::skipped(
            "input",
            format!(
                "{filter} is granted, but nothing came in {TELEMETRY:?}, so that nobody knows whether it may be read"
            ),
            "try again while a machine sends; if it stays so, look at the topics and at the broker's access rules",
        ),
        count => Finding::ok("input", format!("{filter}: {count} messages in {TELEMETRY:?}")),
    }
}

fn ended(step: &str, fault: &ProbeFault) -> Finding {
    let words = fault.to_string();
    let (found, advice) = words.split_once("; ").unwrap_or((&words, "look into the broker's log"));
    Finding::fail(step, found, advice)
}

fn skipped(step: &str, why: &str) -> Finding {
    Finding::skipped(step, format!("not tried: {why}"), "mend that first, then try again")
}

const STEPS: [&str; 6] = ["session", "daemon", "own topics", "commands", "inputs", "payloads"];
/// For a name or a port to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// A retained message comes at once.
const RETAINED: Duration = Duration::from_millis(700);
const TELEMETRY: Duration = Duration::from_secs(2);
/// An odd number, for the median.
const ROUND_TRIPS: usize = 11;
/// Nobody's network inside a plant is so slow; Nagle's algorithm with delayed acknowledgements is, by 40 ms.
const SLOW: Duration = Duration::from_millis(20);
/// No payload of the gateway's is larger.
const LARGEST_OUT: usize = 64 << 10;
/// Who admits larger messages than this knows that they pass, and a broker's log need not suffer.
const LARGEST_TRIED: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visitor_never_bears_the_daemons_client_id() {
        for id in ["wheeltapper-g1", &"x".repeat(256), &"é".repeat(128)] {
            let probe = probe_id(id);
            assert!(probe != id && probe.len() <= 256 && probe.ends_with("-doctor"), "{probe}");
        }
    }

    #[test]
    fn a_message_of_the_visitors_is_json_of_the_size_that_was_asked_for() {
        let message = payload(3, LARGEST_OUT);
        assert_eq!(message.len(), LARGEST_OUT);
        assert_eq!(serde_json::from_slice::<Value>(&message).unwrap()["doctor"], 3);
    }

    #[test]
    fn a_slow_round_trip_names_the_setting_that_makes_it_so() {
        assert!(judge_latency(Duration::from_millis(20)).advice.is_none());
        assert!(judge_latency(Duration::from_millis(41)).advice.unwrap().contains("set_tcp_nodelay true"));
    }
}
