use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::broker::random;
use super::console::{Console, GatewayArgs, OrderPayload};
use super::outcome::{Failure, Outcome, print};
use super::surroundings;
use crate::acquisition::Name;
use crate::alarm::State;
use crate::assessment::Verdict;
use crate::command::{Reply, Verb};
use crate::notation::{parse_duration, show_duration};
use crate::publication::show_stamp;

/// Acknowledges a machine's open alarm
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper ack press-01 --comment \"on my way\"")]
pub(super) struct Ack {
    #[command(flatten)]
    order: OrderArgs,
    /// The episode that is meant, as `alarms --json` names it; refused if it is not the open one
    #[arg(long, value_name = "ID")]
    episode: Option<String>,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// Takes an open alarm from view for a while; it comes back by itself
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper shelve press-01 --for 4h --reason \"spare pump at 20:00\"")]
pub(super) struct Shelve {
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    end: ShelfEnd,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = some_words)]
    reason: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ShelfEnd {
    /// For how long, at most 30d
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    life: Option<Duration>,
    /// Until when, with an offset from UTC, e.g. 2026-11-24T20:00:00+01:00
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
}

/// Takes an alarm from the shelf before its time
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper unshelve press-01")]
pub(super) struct Unshelve {
    #[command(flatten)]
    order: OrderArgs,
}

/// Keeps a machine from alarming at all, e.g. while it is changed over, or lets it alarm again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper suppress press-01 --on --reason \"change of tools\"")]
pub(super) struct Suppress {
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    switch: Switch,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = some_words)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Switch {
    /// No alarms of this machine from now on
    #[arg(long)]
    on: bool,
    /// Alarms again
    #[arg(long)]
    off: bool,
}

/// Tells what was found at the machine after an alarm
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper feedback press-01 --verdict confirmed --comment \"case drain ran hot\"")]
pub(super) struct Feedback {
    #[command(flatten)]
    order: OrderArgs,
    /// confirmed, other_fault:ID, no_fault_found, sensor or not_checked
    #[arg(long, value_parser = Verdict::parse)]
    verdict: Verdict,
    /// The episode that is meant, as `alarms --all --json` names it; it may be a closed one. Without it, the open one
    #[arg(long, value_name = "ID")]
    episode: Option<String>,
    /// In your words
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// What every order says.
#[derive(Debug, clap::Args)]
struct OrderArgs {
    /// The machine
    #[arg(value_name = "MACHINE", value_parser = Name::parse)]
    machine: Name,
    /// Who gives the order, for the record; without it the user who is logged in
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Prints the gateway's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Ack {
    pub fn run(self) -> Outcome {
        let Self { order, episode, comment } = self;
        order.give(Verb::Ack, members([("episode", episode), ("comment", comment)]), tell_state)
    }
}

impl Shelve {
    pub fn run(self) -> Outcome {
        let Self { order, end, reason } = self;
        let (duration, until) = (end.life.map(show_duration), end.until.map(show_stamp));
        let members = members([("duration", duration), ("until", until), ("reason", Some(reason))]);
        order.give(Verb::Shelve, members, tell_state)
    }
}

impl Unshelve {
    pub fn run(self) -> Outcome {
        self.order.give(Verb::Unshelve, Map::new(), tell_state)
    }
}

impl Suppress {
    pub fn run(self) -> Outcome {
        let Self { order, switch, reason } = self;
        let mut members = members([("reason", reason)]);
        members.insert("on".to_owned(), switch.on.into());
        order.give(Verb::Suppress, members, |machine, reply| match (switch.on, reply.state()) {
            (true, Some(State::Normal)) => format!("{machine} is suppressed; it has no open alarm"),
            _ => tell_state(machine, reply),
        })
    }
}

impl Feedback {
    pub fn run(self) -> Outcome {
        let Self { order, verdict, episode, comment } = self;
        let members =
            members([("verdict", Some(verdict.to_string())), ("episode", episode.clone()), ("comment", comment)]);
        order.give(Verb::Feedback, members, |machine, reply| {
            let episode = episode.as_deref().or(reply.episode()).unwrap_or_default();
            let state = reply.state().map_or("unknown", State::as_str);
            format!("{verdict} is kept for the episode {episode}; {machine} is {state}")
        })
    }
}

impl OrderArgs {
    /// Gives the order, waits for the answer, and prints it as `tell` puts it.
    fn give(self, verb: Verb, members: Map<String, Value>, tell: impl FnOnce(&Name, &Reply) -> String) -> Outcome {
        let Self { machine, operator, gateway, json } = self;
        let logged_in = ["USER", "LOGNAME"].map(|variable| std::env::var(variable).ok());
        let operator = who_is(operator, logged_in).map_err(Failure::usage)?;
        let order = write(&operator, members, Timestamp::now());
        let reply = surroundings::runtime()?.block_on(async {
            let mut console = Console::open(gateway, |topics| vec![topics.result(&machine, verb.as_str())]).await?;
            let reply = console.ask(verb, &machine, &order).await;
            console.close().await;
            reply
        })?;
        if json {
            print(&String::from_utf8_lossy(&reply.to_json()))?;
        }
        match reply.refusal() {
            Some(reason) => Err(Failure::failed(format_args!("{machine}: {} refused: {reason}", verb.as_str()))),
            None if json => Ok(()),
            None => print(&tell(&machine, &reply)),
        }
    }
}

fn write(operator: &str, mut members: Map<String, Value>, now: Timestamp) -> OrderPayload {
    let id = format!("{:x}-{:08x}", now.as_millisecond(), random() >> 32);
    members.insert("id".to_owned(), id.clone().into());
    members.insert("operator".to_owned(), operator.into());
    OrderPayload { id, payload: Value::Object(members).to_string().into_bytes() }
}

/// The members that have a value.
fn members<const N: usize>(members: [(&str, Option<String>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
}

/// Where the alarm stands after an order.
fn tell_state(machine: &Name, reply: &Reply) -> String {
    let state = reply.state().map_or("unknown", State::as_str);
    match (reply.episode(), reply.seq()) {
        (Some(episode), Some(seq)) => format!("{machine} is {state} (episode {episode}, seq {seq})"),
        _ => format!("{machine} is {state}"),
    }
}

/// Nobody acts without a name.
fn who_is(given: Option<String>, logged_in: [Option<String>; 2]) -> Result<String, &'static str> {
    let candidate = match given {
        Some(given) => Some(given),
        None => logged_in.into_iter().flatten().find(|name| !name.trim().is_empty()),
    };
    candidate
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .ok_or("who gives the order? Nobody is logged in by name; say --operator NAME, e.g. --operator m.ito")
}

fn some_words(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("say why, in a few words") } else { Ok(text.to_owned()) }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no time; write date, time and offset from UTC, e.g. 2026-11-24T20:00:00+01:00")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{Deed, ShelfLife};
    use crate::command::{Finding, Order, Wish};

    fn read(verb: Verb, members: Map<String, Value>) -> Wish {
        let written = write("m.ito", members, Timestamp::UNIX_EPOCH);
        let order = Order::parse(verb, &written.payload).unwrap();
        assert_eq!(order.id, written.id);
        order.wish
    }

    #[test]
    fn what_is_written_here_is_what_the_gateway_reads() {
        let text = |text: &str| Some(text.to_owned());
        let shelve = members([("duration", Some(show_duration(Duration::from_secs(5400)))), ("reason", text("r"))]);
        assert_eq!(shelve["duration"], "90m", "the contract has whole numbers");
        let Wish::Act(action) = read(Verb::Shelve, shelve) else { panic!("no action") };
        let until = ShelfLife::For(Duration::from_secs(5400));
        assert_eq!(action.deed, Deed::Shelve { until, reason: "r".to_owned() });
        assert_eq!(action.operator, "m.ito");
        let feedback = members([("verdict", text("sensor")), ("episode", None), ("comment", text("loose"))]);
        let Wish::Keep(Finding { verdict, episode, comment, .. }) = read(Verb::Feedback, feedback) else {
            panic!("no finding")
        };
        assert_eq!((verdict, episode, comment), (Verdict::Sensor, None, text("loose")));
    }

    #[test]
    fn no_two_orders_have_the_same_id() {
        let id = || write("m.ito", Map::new(), Timestamp::UNIX_EPOCH).id;
        assert_ne!(id(), id());
    }

    #[test]
    fn nobody_acts_without_a_name() {
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(who_is(name(" m.ito "), [name("root"), None]), Ok("m.ito".to_owned()));
        assert_eq!(who_is(None, [name(""), name("k.abe")]), Ok("k.abe".to_owned()));
        for (given, logged_in) in [(name(" "), [name("root"), None]), (None, [None, name("")])] {
            assert!(who_is(given, logged_in).unwrap_err().contains("--operator"));
        }
    }

    #[test]
    fn a_time_without_an_offset_could_mean_any_of_two_hours_and_is_refused() {
        assert!(parse_time("2026-11-24T20:00:00+01:00").is_ok());
        assert!(parse_time("2026-11-24T20:00:00").unwrap_err().contains("offset"));
    }
}
