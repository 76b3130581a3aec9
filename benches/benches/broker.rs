//! The broker's speed, memory and start: `cargo bench -p stompede-benches --bench broker`.
//!
//! docs/performance.md says what is measured and how.

use std::process::ExitCode;

fn main() -> ExitCode {
    stompede_benches::broker(std::env::args().skip(1), env!("CARGO_BIN_EXE_broker_idle"))
}
