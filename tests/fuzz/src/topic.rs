//! A topic pattern in the first line, topics in the others.

use wheeltapper::acquisition::TopicPattern;

pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let Some(Ok(pattern)) = lines.next().map(TopicPattern::parse) else { return };
    let filter = pattern.filter();
    assert!(!filter.contains(['{', '}']), "a capture went to the broker: {filter:?}");
    assert_eq!(TopicPattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern));
    for topic in lines {
        let Some(captures) = pattern.captures(topic) else { continue };
        assert!(topic.split('/').any(|level| level == captures.machine), "{topic:?}");
        assert_eq!(captures.channel.is_some(), pattern.names_channel());
        assert!(is_under(&filter, topic), "{topic:?} is read and was never subscribed to by {filter:?}");
    }
}

/// Whether a broker would deliver the topic under the filter.
fn is_under(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}
