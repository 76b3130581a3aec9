//! The codec against ceilings and peers in one run: `cargo bench -p stompede-benches --bench codec`.
//!
//! docs/performance.md says what is measured and how.

use std::process::ExitCode;

fn main() -> ExitCode {
    stompede_benches::codec(std::env::args().skip(1))
}
