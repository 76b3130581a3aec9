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
    // A buffer whose final size is not known doubles as it grows; that of a body does not go past its limit.
    let most = limits.max_head.saturating_mul(2).saturating_add(limits.max_body).saturating_add(1);
    most.min(2 * arrived) + KEPT
}

/// What a decoder may hold in any case: 64 KiB of a buffer, reserved ahead or kept for the next frame, and a few KiB for a
/// queue of chunks.
const KEPT: usize = 72 * 1024;
