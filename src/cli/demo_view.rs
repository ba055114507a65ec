use std::io::{IsTerminal, Write, stdout};
use std::time::Instant;

use serde_json::Value;

use crate::transport::{LinkEvent, LinkEvents};

/// Shows on the terminal what anybody who subscribes to the gateway would see.
pub(super) struct DemoView {
    events: LinkEvents,
    started: Instant,
    /// Whether scores are shown in place, on one line.
    in_place: bool,
    raised: u32,
    learning: String,
    /// The episode whose advice was shown already.
    shown: String,
}

impl DemoView {
    pub fn new(events: LinkEvents) -> Self {
        Self {
            events,
            started: Instant::now(),
            in_place: stdout().is_terminal(),
            raised: 0,
            learning: String::new(),
            shown: String::new(),
        }
    }

    /// Shows until the link ends.
    pub async fn show(&mut self) {
        while let Some(event) = self.events.recv().await {
            let LinkEvent::Message { topic, payload, .. } = event else { continue };
            let Ok(message) = serde_json::from_slice::<Value>(&payload) else { continue };
            match topic.rsplit('/').next() {
                Some("status") => self.status(&message),
                Some("score") => self.score(&message),
                Some("event") => self.event(&message),
                _ => {}
            }
        }
    }

    pub fn sum_up(&self) {
        let alarms = if self.raised == 1 { "alarm" } else { "alarms" };
        say!("\n{} {alarms} in {:.0} s.", self.raised, self.started.elapsed().as_secs_f64());
    }

    fn status(&mut self, status: &Value) {
        for (name, machine) in status["machines"].as_object().into_iter().flatten() {
            let state = machine["state"].as_str().unwrap_or_default();
            let step = state.split('/').next().unwrap_or_default().to_owned();
            if step != self.learning {
                self.line(&format!("{name}: {state}"), step.starts_with("learning"));
                self.learning = step;
            }
        }
    }

    fn score(&self, score: &Value) {
        if let Some(value) = score["score"].as_f64() {
            let bar = "#".repeat(((value * 10.0) as usize).min(60));
            self.line(&format!("score {value:>5.2} |{bar}"), true);
        }
    }

    fn event(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let state = text(&event["state"]);
        self.line(&format!("{}: {state}, {} severity", text(&event["machine"]), text(&event["severity"])), false);
        // A severity that rises within an episode, or a return and a relapse, needs no second advice.
        let episode = text(&event["id"]);
        if state != "unacknowledged" || episode == self.shown {
            return;
        }
        self.shown = episode;
        self.raised += 1;
        for part in event["contributions"].as_array().into_iter().flatten().take(3) {
            say!(
                "           {:<4} {:<4} {:>8.3} {}, expected {:.3} ({:.0} %)",
                text(&part["channel"]),
                text(&part["direction"]),
                part["value"].as_f64().unwrap_or_default(),
                text(&part["unit"]),
                part["expected"].as_f64().unwrap_or_default(),
                100.0 * part["share"].as_f64().unwrap_or_default()
            );
        }
        let recommendation = &event["recommendation"];
        say!("           {}", text(&recommendation["text"]));
        for step in recommendation["steps"].as_array().into_iter().flatten() {
            say!("           {}. {}", step["n"], text(&step["text"]));
        }
        for source in recommendation["sources"].as_array().into_iter().flatten() {
            say!("           [{}] {} {}", text(&source["id"]), text(&source["title"]), text(&source["section"]));
        }
    }

    fn line(&self, text: &str, passing: bool) {
        let elapsed = self.started.elapsed().as_secs_f64();
        match (passing, self.in_place) {
            (true, true) => {
                let _ = write!(stdout(), "\r\x1b[K{elapsed:>5.1} s  {text}");
                let _ = stdout().flush();
            }
            (false, true) => say!("\r\x1b[K{elapsed:>5.1} s  {text}"),
            (_, false) => say!("{elapsed:>5.1} s  {text}"),
        }
    }
}
