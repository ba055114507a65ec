//! The command line: arguments come in, a printed answer and an exit code go out, one file a command; orders to an
//! alarm share one.
//!
//! Each command reads its arguments, makes its one call into the house, and prints. No command computes a score, moves an
//! alarm or knows a payload.

/// Prints a line for whoever looks; nobody has to.
#[cfg(feature = "demo")]
macro_rules! say {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($what)*);
    }};
}

mod alarm_list;
mod alarms;
mod broker;
mod calibrate;
mod check;
mod console;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "demo")]
mod demo_view;
mod doctor;
mod doctor_broker;
mod doctor_host;
mod finding;
mod generate;
mod generate_file;
mod generate_known;
mod generate_source;
mod generate_stream;
mod inject;
mod model;
mod orders;
mod outcome;
mod progress;
mod publisher;
mod recordings;
mod replay;
mod report;
mod report_page;
mod run;
mod score;
mod score_plot;
mod surroundings;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use outcome::Outcome;

/// Listens to machine telemetry over MQTT, tells when a machine stops ringing true, which sensors say so and what to do.
#[derive(Debug, Parser)]
#[command(name = "wheeltapper", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows everything at once on this machine, with nothing installed
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// Runs the daemon
    Run(run::Run),
    /// Validates everything that a run needs, without running
    Check(check::Check),
    /// Tries the live surroundings of a gateway and says what to do about each finding
    Doctor(doctor::Doctor),
    /// Scores a recording of any machine, each row from the rows up to it
    Score(score::Score),
    /// Learns from a recording what is normal for a machine, for `run` to use
    Calibrate(calibrate::Calibrate),
    /// Makes synthetic telemetry, labelled with the condition of the machine
    Generate(generate::Generate),
    /// Puts labelled anomalies into a recording
    Inject(inject::Inject),
    /// Plays a recording onto a broker
    Replay(replay::Replay),
    /// Says whether synthetic data are any good, and whether they are copies
    Report(report::Report),
    /// Looks at model packages
    Model(model::ModelCommand),
    /// Lists a gateway's alarms, what is open and most urgent first
    Alarms(alarms::Alarms),
    /// Acknowledges a machine's open alarm
    Ack(orders::Ack),
    /// Takes an open alarm from view for a while; it comes back by itself
    Shelve(orders::Shelve),
    /// Takes an alarm from the shelf before its time
    Unshelve(orders::Unshelve),
    /// Keeps a machine from alarming at all, or lets it alarm again
    Suppress(orders::Suppress),
    /// Tells what was found at the machine after an alarm
    Feedback(orders::Feedback),
}

/// Answers a command line that was not understood, or one that asks for help or the version.
pub fn explain(error: &clap::Error) -> ExitCode {
    // Where this cannot be printed there is nobody to read it.
    let _ = error.print();
    if error.use_stderr() {
        let _ = writeln!(io::stderr(), "\n{}", example());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// How the command that was given is used.
fn example() -> String {
    let verb = std::env::args().nth(1).unwrap_or_default();
    let command = Command::command();
    let example = command.find_subcommand(&verb).and_then(clap::Command::get_after_help);
    example.map_or_else(|| "Example: wheeltapper demo --seconds 40".to_owned(), ToString::to_string)
}

impl Command {
    pub fn run(self) -> ExitCode {
        surroundings::quiet_caught_panics();
        let outcome: Outcome = match self.verb {
            #[cfg(feature = "demo")]
            Verb::Demo(demo) => demo.run(),
            Verb::Run(run) => run.run(),
            Verb::Check(check) => check.run(),
            Verb::Doctor(doctor) => doctor.run(),
            Verb::Score(score) => score.run(),
            Verb::Calibrate(calibrate) => calibrate.run(),
            Verb::Generate(generate) => generate.run(),
            Verb::Inject(inject) => inject.run(),
            Verb::Replay(replay) => replay.run(),
            Verb::Report(report) => report.run(),
            Verb::Model(model) => model.run(),
            Verb::Alarms(alarms) => alarms.run(),
            Verb::Ack(ack) => ack.run(),
            Verb::Shelve(shelve) => shelve.run(),
            Verb::Unshelve(unshelve) => unshelve.run(),
            Verb::Suppress(suppress) => suppress.run(),
            Verb::Feedback(feedback) => feedback.run(),
        };
        outcome::exit_code(outcome)
    }
}
