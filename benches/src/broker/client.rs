//! A client without a client: a blocking socket on which prepared frames are written.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::DEADLINE;

/// Connects, and waits at most [`DEADLINE`] for each read and write from then on.
///
/// # Panics
/// If that fails.
pub(super) fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, DEADLINE).expect("somebody listens");
    socket.set_nodelay(true).expect("an open socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    socket.set_write_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    socket
}

/// Connects as STOMP 1.2 without heart-beats.
///
/// # Panics
/// If the broker does not answer CONNECTED in time.
pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let mut socket = dial(address);
    ask(&mut socket, CONNECT, "CONNECTED");
    socket
}

/// Subscribes to a destination and waits until that is in force.
///
/// # Panics
/// If the broker does not answer RECEIPT in time.
pub(super) fn subscribe(socket: &mut TcpStream, destination: &str) {
    let frame = format!("SUBSCRIBE\nid:0\ndestination:{destination}\nreceipt:r\n\n\0");
    ask(socket, frame.as_bytes(), "RECEIPT");
}

/// Writes frames and reads one, which has to be the answer and all that comes.
///
/// # Panics
/// If it is not, or does not come in time.
pub(super) fn ask(socket: &mut TcpStream, frames: &[u8], expected: &str) {
    socket.write_all(frames).expect("the broker reads");
    // An answer is some hundred octets; an ERROR may be more, and is shown as far as it fits.
    let mut answer = [0xff; 1024];
    let mut len = 0;
    while !answer[..len].contains(&0) && len < answer.len() {
        let read = socket.read(&mut answer[len..]).expect("the broker answers in time");
        assert!(read > 0, "the broker closed instead of saying {expected}");
        len += read;
    }
    let answer = String::from_utf8_lossy(&answer[..len]);
    let is_expected = answer.strip_prefix(expected).is_some_and(|rest| rest.starts_with('\n'));
    assert!(is_expected && answer.trim_end_matches('\n').ends_with('\0'), "no {expected}: {answer}");
}

/// What a client begins with.
pub(super) const CONNECT: &[u8] = b"CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\n\n\0";
