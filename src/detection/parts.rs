use serde::Serialize;

use super::CycleReport;
use super::period;

/// A part that a score can have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    pub name: &'static str,
    pub on: bool,
    /// Why it is, or is not.
    pub why: String,
}

/// What a calibration found that decides which parts are on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grounds {
    /// From so many rows.
    pub rows: usize,
    pub cycle: Option<CycleReport>,
}

impl Grounds {
    pub fn parts(&self, scatter: bool, network: bool) -> Vec<PartReport> {
        let part = |name, on, why: &str| PartReport { name, on, why: why.to_owned() };
        let why_scatter = match scatter {
            true => "always on: how much the channels scatter, fast and slowly",
            false => "the calibration's rows do not scatter enough to be charted",
        };
        let why_network = match network {
            true => "the kind's network tells what to expect at each point of the load cycle",
            false => "the machine is of no kind with a network",
        };
        vec![
            part("channel_mewma", true, "always on: the channels' own levels and relations"),
            part("scatter", scatter, why_scatter),
            part("cycle", self.cycle.is_some(), &self.why_cycle(network)),
            part("residual_mewma", network, why_network),
        ]
    }

    fn why_cycle(&self, network: bool) -> String {
        match (self.cycle, period::lengths_looked_for(self.rows)) {
            (Some(CycleReport { period_rows, judges_whole_cycles }), _) => {
                let judged = if judges_whole_cycles { "each phase and whole cycles" } else { "each row in its phase" };
                format!("the calibration's rows repeat after {period_rows}: {judged} tell what is usual")
            }
            (None, _) if network => "beside the kind's network no cycle was looked for, or none was found".to_owned(),
            (None, Some(lengths)) => {
                let (shortest, longest) = (lengths.start(), lengths.end());
                format!("no cycle of {shortest} to {longest} rows explains the calibration's {} rows", self.rows)
            }
            (None, None) => format!("{} rows of calibration are too few to tell a cycle by", self.rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_says_whether_it_is_on_and_why() {
        let why = |rows, cycle, network| {
            let parts = Grounds { rows, cycle }.parts(true, network);
            assert_eq!(parts.iter().filter(|part| part.name == "cycle").count(), 1);
            assert_eq!(parts[2].on, cycle.is_some());
            assert_eq!(parts[3].on, network);
            parts[2].why.clone()
        };
        let cycle = CycleReport { period_rows: 60, judges_whole_cycles: false };
        assert!(why(400, Some(cycle), false).contains("repeat after 60"));
        assert!(why(400, None, false).contains("8 to 80 rows"));
        assert!(why(30, None, false).contains("too few"));
        assert!(why(400, None, true).contains("network"));
    }
}
