//! Many sessions whose broker restarts; started by the bench `reliability`.
//!
//! It is a process of its own so that it may open as many files as it takes.

use std::process::ExitCode;

fn main() -> ExitCode {
    stompede_benches::session_storm(std::env::args().skip(1))
}
