//! Holds idle transports and prints what they take; started by the bench `transport`.
//!
//! It is a process of its own so that only here every allocation is counted, and so that nothing else has been
//! allocated and given back before.

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    stompede_benches::transport_idle(std::env::args().skip(1))
}
