//! A program that sends one message over plain STOMP, and would do so to any broker.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a text to a queue, and returns once the broker has confirmed it.
///
/// # Errors
/// What the connection fails with, and anything but a RECEIPT.
pub async fn send(address: &str, queue: &str, text: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"CONNECT\naccept-version:1.2\nhost:/\n\n\0").await?;
    expect(&mut stream, "CONNECTED\n").await?;
    stream.write_all(format!("SEND\ndestination:{queue}\nreceipt:1\n\n{text}\0").as_bytes()).await?;
    expect(&mut stream, "RECEIPT\n").await
}

/// Reads one frame, which must begin so.
async fn expect(stream: &mut TcpStream, command: &str) -> io::Result<()> {
    let mut frame = Vec::new();
    while !frame.ends_with(b"\0") {
        frame.push(stream.read_u8().await?);
    }
    if frame.starts_with(command.as_bytes()) {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&frame).into_owned()))
}
