//! The transports next to what is below them: `cargo bench -p stompede-benches --bench transport`.
//!
//! docs/performance.md says what is measured and how.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (server, idle) = (env!("CARGO_BIN_EXE_session_server"), env!("CARGO_BIN_EXE_transport_idle"));
    stompede_benches::transport(std::env::args().skip(1), server, idle)
}
