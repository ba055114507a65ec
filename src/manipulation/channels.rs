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
            channels.add(name);
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

    /// A channel's place, given to it now if it is new and may be added.
    pub fn place(&mut self, channel: &str) -> Result<usize, Rejection> {
        let expected = if self.next < self.names.len() { self.next } else { 0 };
        if self.names.get(expected).is_some_and(|name| name.as_str() == channel) {
            self.next = expected + 1;
            return Ok(expected);
        }
        if let Some(&place) = self.places.get(channel) {
            self.next = place + 1;
            return Ok(place);
        }
        if self.fixed {
            return Err(Rejection::UnknownChannel);
        }
        if self.names.len() == MOST_CHANNELS {
            return Err(Rejection::TooManyChannels);
        }
        let name = Name::parse(channel).map_err(|_| Rejection::BadName)?;
        Ok(self.add(name))
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

    fn add(&mut self, name: Name) -> usize {
        let next = self.names.len();
        let place = *self.places.entry(name.clone()).or_insert(next);
        if place == next {
            self.names.push(name);
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_channel_gets_the_next_place_until_the_channels_are_fixed() {
        let mut channels = Channels::default();
        assert_eq!(channels.place("a"), Ok(0));
        assert_eq!(channels.place("b"), Ok(1));
        assert_eq!(channels.place("a"), Ok(0));
        channels.fix();
        assert_eq!(channels.place("c"), Err(Rejection::UnknownChannel));
        assert_eq!(channels.place("x/y"), Err(Rejection::UnknownChannel));
    }

    #[test]
    fn a_machine_has_a_bounded_number_of_channels() {
        let mut channels = Channels::default();
        for place in 0..MOST_CHANNELS {
            assert_eq!(channels.place(&format!("c{place}")), Ok(place));
        }
        assert_eq!(channels.place("one more"), Err(Rejection::TooManyChannels));
    }
}
