use jiff::Timestamp;

use crate::acquisition::Name;
use crate::alarm::{Alarm, AlarmSettings, Deficiency, Severity, Standing, Transition};

/// The gateway's alarm about itself, under its own name: an episode of the class `data_quality` for as long as something
/// keeps it from doing its work. People handle it like a machine's.
pub(super) struct OwnAlarm {
    alarm: Alarm,
    /// Looks in a row at which nothing was wrong.
    quiet: u32,
}

impl OwnAlarm {
    /// Goes on with where it stood before a restart.
    pub fn new(gateway: &Name, standing: Option<Standing>) -> Self {
        let mut alarm = Alarm::new(gateway.clone(), AlarmSettings::default());
        if let Some(standing) = standing {
            alarm.resume(standing);
        }
        Self { alarm, quiet: 0 }
    }

    /// Takes what is wrong, looked at once a second, or that nothing is.
    pub fn look(&mut self, trouble: Option<String>, now: Timestamp) -> Option<Transition> {
        self.quiet = if trouble.is_some() { 0 } else { self.quiet.saturating_add(1) };
        let deficiency = trouble.map(|reason| Deficiency { severity: Severity::High, reason });
        if deficiency.is_some() || self.quiet >= OFF_DELAY {
            return self.alarm.report(deficiency, now);
        }
        self.alarm.pass_time(now)
    }

    /// Goes on from a newer transition than it knows.
    pub fn resume(&mut self, standing: Standing) {
        self.alarm.resume(standing);
    }

    /// What is wrong, if something is.
    pub fn trouble(&self) -> Option<&str> {
        self.alarm.deficiency().map(|deficiency| deficiency.reason.as_str())
    }

    pub fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    pub fn standing(&self) -> Option<&Standing> {
        self.alarm.standing()
    }
}

/// In looks.
const OFF_DELAY: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{Class, State};

    #[test]
    fn a_disk_that_refuses_now_and_then_makes_one_episode() {
        let mut own = OwnAlarm::new(&Name::parse("g1").unwrap(), None);
        let at = |second: i64| Timestamp::from_second(1_795_538_400 + second).unwrap();
        let raised = own.look(Some("the disk is full".to_owned()), at(0)).unwrap();
        assert_eq!((raised.class, raised.state), (Class::DataQuality, State::Unacknowledged));
        for second in 1..100 {
            let trouble = (second % 4 == 0).then(|| "the disk is full".to_owned());
            assert_eq!(own.look(trouble, at(second)), None);
        }
        let returned: Vec<State> =
            (100..110).filter_map(|second| own.look(None, at(second))).map(|it| it.state).collect();
        assert_eq!(returned, [State::ReturnedUnacknowledged]);
        let after = OwnAlarm::new(&Name::parse("g1").unwrap(), own.standing().cloned());
        assert_eq!(after.standing().map(|standing| standing.seq), Some(2));
    }
}
