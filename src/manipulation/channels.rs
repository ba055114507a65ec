use crate::acquisition::{Name, Rejection};

/// The most channels that one machine may have.
pub const MOST_CHANNELS: usize = 512;

/// The channels of one machine and their places in a [`Sample`](super::Sample).
#[derive(Clone, Debug, Default)]
pub struct Channels {
    names: Vec<Name>,
    /// Places in the order of their names.
    sorted: Vec<u16>,
    /// For each place the one that was named behind it before: a machine names its channels in the same order each time.
    followers: Vec<u16>,
    /// The place that was found last.
    last: usize,
    fixed: bool,
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
        let expected = self.followers.get(self.last).map_or(0, |&place| usize::from(place));
        if self.names.get(expected).is_some_and(|name| name.as_str() == channel) {
            self.last = expected;
            return Ok(Some(expected));
        }
        if let Ok(index) = self.search(channel) {
            self.followers[self.last] = self.sorted[index];
            self.last = usize::from(self.sorted[index]);
            return Ok(Some(self.last));
        }
        if self.fixed { Err(Rejection::UnknownChannel) } else { Ok(None) }
    }

    /// Gives a channel the next place, or tells the one that it has. Nobody admits more than [`MOST_CHANNELS`].
    pub fn admit(&mut self, name: Name) -> usize {
        match self.search(name.as_str()) {
            Ok(index) => usize::from(self.sorted[index]),
            Err(index) => {
                let place = self.names.len();
                self.names.push(name);
                self.sorted.insert(index, place as u16);
                if let Some(before) = self.followers.last_mut() {
                    *before = place as u16;
                }
                self.followers.push(0);
                place
            }
        }
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

    fn search(&self, channel: &str) -> Result<usize, usize> {
        self.sorted.binary_search_by(|&place| self.names[usize::from(place)].as_str().cmp(channel))
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

    #[test]
    fn channels_are_found_in_whatever_order_a_machine_names_them() {
        let names = ["b", "d", "a", "c"];
        let mut channels = Channels::fixed(names.map(|name| Name::parse(name).unwrap()));
        for order in [[0, 1, 2, 3], [3, 1, 0, 2], [3, 1, 0, 2], [2, 2, 1, 0], [0, 3, 1, 2]] {
            for place in order {
                assert_eq!(channels.find(names[place]), Ok(Some(place)));
            }
            assert_eq!(channels.find("e"), Err(Rejection::UnknownChannel));
        }
    }
}
