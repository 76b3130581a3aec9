//! How much memory the process holds; only for a program that has the counting allocator and one thread.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region};
use stompede_codec::Limits;

/// Measures from its making on.
pub(crate) struct Meter {
    region: Region<'static, System>,
    most: usize,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { region: Region::new(&INSTRUMENTED_SYSTEM), most: 0 }
    }

    /// Runs a step and takes note of the memory that was held at its height.
    ///
    /// What a step asked for is added to what was held before, as if it gave nothing back on the way: the
    /// figure is never too low.
    pub(crate) fn step<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let before = self.held();
        let region = Region::new(&INSTRUMENTED_SYSTEM);
        let result = step();
        self.most = self.most.max(before + region.change().bytes_allocated);
        result
    }

    /// Octets asked for and not given back.
    pub(crate) fn held(&self) -> usize {
        let change = self.region.change();
        change.bytes_allocated - change.bytes_deallocated
    }

    /// The most that any step held.
    pub(crate) fn most(&self) -> usize {
        self.most
    }
}

/// Octets of memory that a decoder may hold on top of the chunk that was pushed last, when so many octets of a stream
/// have arrived.
pub(crate) fn allowed(limits: Limits, arrived: usize) -> usize {
    let frame = limits.max_head.saturating_add(limits.max_body).min(arrived);
    let headers = limits.max_header_count.min(arrived / "a:\n".len());
    // A buffer whose final size is not known doubles as it grows.
    2 * frame + headers * A_HEADER + KEPT
}

/// Octets for where one header stands, in a list that doubles as it grows and in the copy that a frame gets.
const A_HEADER: usize = 3 * 24;

/// What a decoder may hold in any case: 64 KiB of a buffer, reserved ahead or kept for the next frame, and a few KiB of
/// lists.
const KEPT: usize = 72 * 1024;
