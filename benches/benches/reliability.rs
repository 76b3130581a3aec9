//! What reliability costs, and how long outages take: `cargo bench -p stompede-benches --bench reliability`.
//!
//! docs/performance.md says what is measured and how.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (server, storm) = (env!("CARGO_BIN_EXE_session_server"), env!("CARGO_BIN_EXE_session_storm"));
    stompede_benches::reliability(std::env::args().skip(1), server, storm)
}
