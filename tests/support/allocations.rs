//! Counts how often each thread asks for memory. Whoever takes this module in has its allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// How often this thread has asked for memory.
pub fn allocations() -> usize {
    ALLOCATIONS.get()
}

/// The system's allocator, which counts. Growing and zeroed requests come through `alloc` too.
struct Counting;

// SAFETY: every request goes to the system's allocator as it came; counting touches no memory of its own heap.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// A thread of its own each, so that tests beside each other do not disturb.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}
