use std::ops::{Deref, DerefMut};

/// Values whose first one lies at the start of a cache line, so that a row of [`WIDTH`] is one line and not two.
pub(super) struct Lanes {
    values: Box<[f32]>,
    first: usize,
    length: usize,
}

impl Lanes {
    pub fn zeroed(length: usize) -> Self {
        let values = vec![0.0f32; length + WIDTH - 1].into_boxed_slice();
        // Where the allocator's place cannot be told, rows are merely slower.
        let first = values.as_ptr().align_offset(WIDTH * size_of::<f32>());
        Self { first: if first < WIDTH { first } else { 0 }, values, length }
    }

    pub fn copy_of(values: &[f32]) -> Self {
        let mut lanes = Self::zeroed(values.len());
        lanes.copy_from_slice(values);
        lanes
    }
}

impl Deref for Lanes {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first..self.first + self.length]
    }
}

impl DerefMut for Lanes {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.first..self.first + self.length]
    }
}

/// Values in a row: a cache line, and the widest register there is.
pub(super) const WIDTH: usize = 16;
