//! The ceiling: somebody who passes octets on without looking at them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::client;

/// Copies what the first connection sends to the second, on a thread that ends when the first closes.
///
/// Gives the client's ends.
///
/// # Panics
/// If 127.0.0.1 has no free port.
pub(super) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let from = client::dial(address);
    let (mut source, _) = listener.accept().expect("somebody has just connected");
    let to = client::dial(address);
    let (mut sink, _) = listener.accept().expect("somebody has just connected");
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = source.read(&mut buffer) {
            if sink.write_all(&buffer[..len]).is_err() {
                return;
            }
        }
    });
    (from, to)
}
