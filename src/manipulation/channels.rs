use std::collections::HashMap;

use crate::acquisition::{Name, Rejection};

/// The most channels that one machine may have.
pub const MOST_CHANNELS: usize = 512;

/// The channels of one machine and their places in a [`Sample`](super::Sample).
#[derive(Clone, Debug, Default)]
pub struct Channels {
    names: Vec<Name>,
    places: HashMap<Name, usize>,
    fixed: bool,
    /// A machine names its channels in the same order each time: where the next one is looked for first.
    next: usize,
}

impl Channels {
    /// Channels that are known beforehand; no other is taken.
    pub fn fixed(names: impl IntoIterator<Item = Name>) -> Self {
        let mut channels = Self::default();
        for name in names {
            channels.admit(name);
        }
        channels.fixed = true;
        channels
    }

    /// Channels that were seen before; more may come.
    pub fn seen(names: impl IntoIterator<Item = Name>) -> Self {
        let mut channels = Self::fixed(names);
        channels.fixed = false;
        channels
    }

    /// From here on no new channel is taken.
    pub fn fix(&mut self) {
        self.fixed = true;
    }

    /// A channel's place; `None` where it is new and may be admitted.
    pub fn find(&mut self, channel: &str) -> Result<Option<usize>, Rejection> {
        let expected = if self.next < self.names.len() { self.next } else { 0 };
        if self.names.get(expected).is_some_and(|name| name.as_str() == channel) {
            self.next = expected + 1;
            return Ok(Some(expected));
        }
        if let Some(&place) = self.places.get(channel) {
            self.next = place + 1;
            return Ok(Some(place));
        }
        if self.fixed { Err(Rejection::UnknownChannel) } else { Ok(None) }
    }

    /// Gives a channel the next place, or tells the one that it has. Nobody admits more than [`MOST_CHANNELS`].
    pub fn admit(&mut self, name: Name) -> usize {
        let next = self.names.len();
        let place = *self.places.entry(name.clone()).or_insert(next);
        if place == next {
            self.names.push(name);
        }
        place
    }

    pub fn names(&self) -> &[Name] {
        &self.names
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub fn is_fixed(&self) -> bool {
        self.fixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_channel_gets_the_next_place_until_the_channels_are_fixed() {
        let mut channels = Channels::default();
        assert_eq!(channels.find("a"), Ok(None));
        for (place, name) in ["a", "b"].into_iter().enumerate() {
            assert_eq!(channels.admit(Name::parse(name).unwrap()), place);
        }
        channels.fix();
        for (place, name) in ["a", "b", "a", "a", "b"].map(|name| (usize::from(name == "b"), name)) {
            assert_eq!(channels.find(name), Ok(Some(place)));
        }
        assert_eq!(channels.find("c"), Err(Rejection::UnknownChannel));
    }
}
