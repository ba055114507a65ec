use std::collections::BTreeMap;

use jiff::Timestamp;

use super::alarm_list::AlarmList;
use super::console::{Console, GatewayArgs, MachineState};
use super::outcome::{Failure, Outcome, print_on};
use super::surroundings::{self, Signals};
use crate::acquisition::Name;
use crate::notation::nearest;

/// Lists a gateway's alarms, what is open and most urgent first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper alarms --broker mqtt://127.0.0.1 --gateway g1")]
pub(super) struct Alarms {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// This machine's alone
    #[arg(long, value_parser = Name::parse)]
    machine: Option<Name>,
    /// Lists machines without an open alarm too
    #[arg(long)]
    all: bool,
    /// Goes on printing each change, a line each, until ctrl-C
    #[arg(long)]
    watch: bool,
    /// Prints the alarms as JSON, as they were published; with --watch a line each
    #[arg(long)]
    json: bool,
}

impl Alarms {
    pub fn run(self) -> Outcome {
        let Self { gateway, machine, all, watch, json } = self;
        surroundings::runtime()?.block_on(async {
            let mut console = Console::open(gateway, |topics| match &machine {
                Some(machine) => vec![topics.alarm(machine), topics.event(machine)],
                None => topics.all_alarms().to_vec(),
            })
            .await?;
            let mut view = View { list: AlarmList::default(), machine, all, json };
            for heard in console.hear_kept().await? {
                view.list.take(&heard.payload);
            }
            view.check(&console)?;
            if view.show(&console)? && watch {
                let mut signals = Signals::new().map_err(Failure::failed)?;
                tokio::select! {
                    ended = view.watch(&mut console) => ended?,
                    () = signals.stop() => {}
                }
            }
            console.close().await;
            Ok(())
        })
    }
}

/// What is seen of a gateway's alarms.
struct View {
    list: AlarmList,
    machine: Option<Name>,
    all: bool,
    json: bool,
}

impl View {
    /// Nothing at all is no answer, nor is a machine that nobody knows.
    fn check(&self, console: &Console) -> Outcome {
        if let (None, Some(absence), false) = (&console.status, console.absence(), self.list.has_any()) {
            return Err(Failure::Failed(absence));
        }
        let (Some(machine), Some(status)) = (&self.machine, &console.status) else { return Ok(()) };
        let known = &status.machines;
        if status.lists_all() && !known.contains_key(machine.as_str()) && !self.list.knows(machine) {
            let meant = nearest(machine.as_str(), known.keys().map(String::as_str));
            let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
            return Err(Failure::failed(format_args!(
                "the gateway {} knows no machine {machine:?}{meant}",
                console.gateway
            )));
        }
        Ok(())
    }

    /// Prints what there is; false when nobody reads on.
    fn show(&self, console: &Console) -> Result<bool, Failure> {
        if self.json {
            let alarms: Vec<_> = self.list.sorted(self.all).into_iter().map(|(_, listed)| &listed.payload).collect();
            let status = console.status.as_ref().map(|status| &status.payload);
            let shown = serde_json::json!({ "gateway": console.gateway, "status": status, "alarms": alarms });
            return print_on(&shown.to_string());
        }
        let mut text = String::new();
        if let Some(absence) = console.absence() {
            text.push_str(&format!("Mind: {absence}. What follows was said before.\n"));
        }
        let machines = self.machines(console);
        if !self.list.has_open() {
            text.push_str(&no_alarm(&console.gateway, self.machine.as_ref(), &machines));
        }
        if self.list.has_open() || self.all {
            let table = self.list.to_table(&machines, self.all, Timestamp::now());
            text = [text.trim_end(), &table]
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join("\n");
        }
        print_on(text.trim_end())
    }

    /// Prints each change, until nobody reads on.
    async fn watch(&mut self, console: &mut Console) -> Outcome {
        let mut absence = console.absence();
        loop {
            let heard = console.hear().await?;
            let json = self.json;
            let news = self.list.take(&heard.payload).map(|(name, listed)| match json {
                true => listed.payload.to_string(),
                false => listed.to_line(name, Timestamp::now()),
            });
            if let Some(news) = news
                && !print_on(&news)?
            {
                return Ok(());
            }
            if console.absence() != absence {
                absence = console.absence();
                let told = absence.clone().unwrap_or_else(|| format!("the gateway {} is back", console.gateway));
                eprintln!("wheeltapper: {told}");
            }
        }
    }

    /// What the status says of the machines that are asked for.
    fn machines(&self, console: &Console) -> BTreeMap<String, MachineState> {
        let machines = console.status.as_ref().map(|status| status.machines.clone()).unwrap_or_default();
        let wanted = |name: &String| self.machine.as_ref().is_none_or(|machine| machine.as_str() == name);
        machines.into_iter().filter(|(name, _)| wanted(name)).collect()
    }
}

/// Says that nothing is open, and how far that goes.
fn no_alarm(gateway: &Name, machine: Option<&Name>, machines: &BTreeMap<String, MachineState>) -> String {
    let whose = machine.map_or_else(|| format!("at {gateway}"), |machine| format!("for {machine} at {gateway}"));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for machine in machines.values() {
        *counts.entry(machine.state.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
    match counts.is_empty() {
        true => format!("No alarm is open {whose}."),
        false => format!("No alarm is open {whose}; machines: {}.", counts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_nothing_is_open_is_said_in_a_sentence_that_tells_how_many_machines_are_watched() {
        let name = |text| Name::parse(text).unwrap();
        let machines = ["scoring", "scoring", "learning 3/400", "suppressed"].iter().enumerate();
        let machines: BTreeMap<String, MachineState> =
            machines.map(|(number, state)| (number.to_string(), MachineState { state: (*state).to_owned() })).collect();
        assert_eq!(
            no_alarm(&name("g1"), None, &machines),
            "No alarm is open at g1; machines: 1 learning, 2 scoring, 1 suppressed."
        );
        assert_eq!(no_alarm(&name("g1"), Some(&name("m")), &BTreeMap::new()), "No alarm is open for m at g1.");
    }
}
