use crate::acquisition::Name;

/// The topics of one gateway.
#[derive(Clone, Debug)]
pub struct Topics {
    base: String,
}

impl Topics {
    pub fn new(prefix: &str, gateway: &Name) -> Self {
        Self { base: format!("{prefix}/{gateway}") }
    }

    pub fn status(&self) -> String {
        format!("{}/status", self.base)
    }

    /// One message for many alarms.
    pub fn flood(&self) -> String {
        format!("{}/flood", self.base)
    }

    /// How the alarms do as a system.
    pub fn performance(&self) -> String {
        format!("{}/performance", self.base)
    }

    pub fn alarm(&self, machine: &Name) -> String {
        format!("{}/{machine}/alarm", self.base)
    }

    /// The filter that brings every retained alarm.
    pub fn alarms(&self) -> String {
        format!("{}/+/alarm", self.base)
    }

    /// The machine of an alarm's topic.
    pub fn alarm_of<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let machine = topic.strip_prefix(self.base.as_str())?.strip_prefix('/')?.strip_suffix("/alarm")?;
        (!machine.contains('/')).then_some(machine)
    }

    pub fn event(&self, machine: &Name) -> String {
        format!("{}/{machine}/event", self.base)
    }

    pub fn score(&self, machine: &Name) -> String {
        format!("{}/{machine}/score", self.base)
    }

    /// Where synthetic telemetry stands beside a running machine's.
    pub fn twin(&self, machine: &Name) -> String {
        format!("{}/{machine}/twin", self.base)
    }

    /// What a machine is judged against, and whether that still holds.
    pub fn baseline(&self, machine: &Name) -> String {
        format!("{}/{machine}/baseline", self.base)
    }

    /// Where a command is given.
    pub fn order(&self, machine: &Name, verb: &str) -> String {
        format!("{}/{machine}/cmd/{verb}", self.base)
    }

    /// The filters that bring every machine's alarm, and every event.
    pub fn all_alarms(&self) -> [String; 2] {
        [self.alarms(), format!("{}/+/event", self.base)]
    }

    /// The filter that brings every command.
    pub fn commands(&self) -> String {
        format!("{}/+/cmd/+", self.base)
    }

    /// The machine and the verb of a command's topic.
    pub fn command<'t>(&self, topic: &'t str) -> Option<(&'t str, &'t str)> {
        let (machine, verb) = topic.strip_prefix(self.base.as_str())?.strip_prefix('/')?.split_once("/cmd/")?;
        (!machine.contains('/') && !verb.contains('/')).then_some((machine, verb))
    }

    /// Where a command is answered.
    pub fn result(&self, machine: &Name, verb: &str) -> String {
        format!("{}/{machine}/cmd/{verb}/result", self.base)
    }

    /// Where `doctor` tries whether a message comes back.
    pub fn doctor(&self) -> String {
        format!("{}/doctor", self.base)
    }

    /// Whether a topic is one of the gateway's own, whatever an input's pattern says.
    pub fn is_own(&self, topic: &str) -> bool {
        topic.strip_prefix(self.base.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_follow_the_contract() {
        let topics = Topics::new("wheeltapper/v1", &Name::parse("g1").unwrap());
        let machine = Name::parse("press-01").unwrap();
        assert_eq!(topics.alarm(&machine), "wheeltapper/v1/g1/press-01/alarm");
        assert_eq!(topics.order(&machine, "ack"), "wheeltapper/v1/g1/press-01/cmd/ack");
        assert_eq!(topics.command("wheeltapper/v1/g1/press-01/cmd/ack"), Some(("press-01", "ack")));
        assert_eq!(topics.command("wheeltapper/v1/g1/press-01/cmd/ack/result"), None);
        assert_eq!(topics.result(&machine, "ack"), "wheeltapper/v1/g1/press-01/cmd/ack/result");
        assert_eq!(topics.alarm_of("wheeltapper/v1/g1/press-01/alarm"), Some("press-01"));
        assert_eq!(topics.alarm_of("wheeltapper/v1/g1/press-01/cmd/alarm"), None);
        assert!(topics.is_own("wheeltapper/v1/g1/press-01/score"));
        assert!(topics.is_own(&topics.twin(&machine)), "a twin is never taken for telemetry");
        assert!(!topics.is_own("wheeltapper/v1/g10/press-01/score"));
    }
}
