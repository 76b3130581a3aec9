//! The measure: clients that know neither STOMP nor anything else, and do nothing with what they get but count it.

pub(super) mod tcp;
pub(crate) mod ws;

use super::BENCH;

const CONNECT: &str = "CONNECT\naccept-version:1.2\nhost:localhost\n\n\0";

fn subscribe(headers: &[(String, String)]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    format!("SUBSCRIBE\nid:0\ndestination:{BENCH}\nack:auto\n{headers}\n\0")
}

/// What a session sends, byte for byte but for the order of headers.
fn send(destination: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("SEND\ndestination:{destination}\ncontent-length:{}\n{headers}\n", body.len());
    [head.as_bytes(), body, b"\0"].concat()
}

/// The last frame: the answer comes when all before it have been counted.
fn last(messages: usize) -> Vec<u8> {
    send(BENCH, &format!("expect:{messages}\nreceipt:last\n"), b"")
}

/// What the measure is called.
pub(super) fn name(wire: super::Wire) -> &'static str {
    match wire {
        super::Wire::Ws => "raw tokio-tungstenite",
        super::Wire::Tcp => "raw socket",
    }
}
