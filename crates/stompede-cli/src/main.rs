//! The `stompede` command.
fn main() {}
