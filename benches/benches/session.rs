//! The session next to clients that only count, and to peers: `cargo bench -p stompede-benches --bench session`.
//!
//! docs/performance.md says what is measured and how.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (server, idle) = (env!("CARGO_BIN_EXE_session_server"), env!("CARGO_BIN_EXE_session_idle"));
    stompede_benches::session(std::env::args().skip(1), server, idle)
}
