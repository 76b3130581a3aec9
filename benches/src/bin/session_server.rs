//! What the clients of the bench `session` talk to; the bench starts it.
//!
//! It is a process of its own so that what the clients cost can be told apart.

use std::process::ExitCode;

fn main() -> ExitCode {
    stompede_benches::session_server()
}
