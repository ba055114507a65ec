use heapless::deque::{Deque, DequeView};

/// The newest columns of a machine's channels: a ring of fixed capacity, oldest column first.
///
/// Its capacity is one of a few sizes that are fixed in a type, chosen once when the machine starts; pushing a column
/// into a full window drops the oldest and never allocates.
pub struct Window {
    ring: Box<DequeView<f32>>,
    channels: usize,
    columns: usize,
    /// Columns in it now.
    held: usize,
}

impl Window {
    /// An empty window of `columns` columns of `channels` values.
    pub fn new(channels: usize, columns: usize) -> Result<Self, WindowTooLarge> {
        let values = channels.saturating_mul(columns);
        let ring: Box<DequeView<f32>> = match values {
            0..=512 => Box::new(Deque::<f32, 512>::new()),
            513..=1024 => Box::new(Deque::<f32, 1024>::new()),
            1025..=2048 => Box::new(Deque::<f32, 2048>::new()),
            2049..=8192 => Box::new(Deque::<f32, 8192>::new()),
            8193..=LARGEST_WINDOW => Box::new(Deque::<f32, LARGEST_WINDOW>::new()),
            _ => return Err(WindowTooLarge { channels, columns }),
        };
        Ok(Self { ring, channels, columns, held: 0 })
    }

    /// Takes the newest column, `[channels]`.
    pub fn push(&mut self, column: &[f32]) {
        debug_assert_eq!(column.len(), self.channels);
        if self.is_full() {
            for _ in 0..self.channels {
                self.ring.pop_front();
            }
        } else {
            self.held += 1;
        }
        for &value in column {
            // The capacity holds `channels * columns` values and a full window has just dropped a column.
            let _ = self.ring.push_back(value);
        }
    }

    /// Whether every column was seen.
    pub fn is_full(&self) -> bool {
        self.held == self.columns
    }

    /// Writes the window channel by channel, `[channels, time]`, as models take it.
    pub fn write_channels_first(&self, target: &mut [f32]) {
        for (index, &value) in self.ring.iter().enumerate() {
            target[index % self.channels * self.held + index / self.channels] = value;
        }
    }

    /// All values, column by column, oldest first.
    pub fn values(&self) -> impl Iterator<Item = f32> {
        self.ring.iter().copied()
    }

    pub fn clear(&mut self) {
        self.ring.clear();
        self.held = 0;
    }
}

/// A window that would hold more than a gateway gives to one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window of {columns} columns of {channels} channels is larger than {LARGEST_WINDOW} values")]
pub struct WindowTooLarge {
    pub channels: usize,
    pub columns: usize,
}

/// The most values that one window may hold.
pub const LARGEST_WINDOW: usize = 32_768;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_larger_than_the_largest_capacity_is_refused() {
        assert_eq!(Window::new(512, 65).err(), Some(WindowTooLarge { channels: 512, columns: 65 }));
        assert!(Window::new(512, 64).is_ok());
        assert!(Window::new(usize::MAX, 2).is_err());
    }

    proptest! {
        #[test]
        fn a_window_holds_the_newest_columns_in_order(channels in 1usize..9, columns in 1usize..40, pushed in 0usize..100) {
            let mut window = Window::new(channels, columns).unwrap();
            for t in 0..pushed {
                let column: Vec<f32> = (0..channels).map(|c| (t * channels + c) as f32).collect();
                window.push(&column);
            }
            let kept = pushed.min(columns);
            prop_assert_eq!(window.is_full(), pushed >= columns);
            let mut target = vec![f32::NAN; channels * kept];
            window.write_channels_first(&mut target);
            for c in 0..channels {
                for t in 0..kept {
                    prop_assert_eq!(target[c * kept + t], ((pushed - kept + t) * channels + c) as f32);
                }
            }
        }
    }
}
