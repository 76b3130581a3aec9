//! How often the socket is read while everything received is being held.
#![cfg(feature = "ws")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;
#[path = "support/ws.rs"]
mod ws_support;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use stompede_transport::{WsConfig, ws};
use support::*;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use ws_support::*;

/// Counts the reads that brought something.
struct Counted {
    io: DuplexStream,
    reads: usize,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        if outcome.is_ready() {
            self.reads += 1;
        }
        outcome
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Bytes a read and chunks a mebibyte, when messages of `len` bytes are received and held.
async fn measured(len: usize) -> (usize, usize) {
    let (near, mut far) = duplex(4 << 20);
    let near = Counted { io: near, reads: 0 };
    let (endpoint, config) = (endpoint("ws://broker"), WsConfig::new());
    let (client, ()) = tokio::join!(ws::upgrade(near, &endpoint, &config), async {
        let request = read_request(&mut far).await;
        far.write_all(accepted(&request, "").as_bytes()).await.unwrap();
    });
    let mut client = client.unwrap();
    let before = client.get_ref().reads;

    let count = (4 << 20) / (len + 4) - 16;
    let message = frame(true, TEXT, &vec![b'x'; len]);
    far.write_all(&message.repeat(count)).await.unwrap();
    let (mut held, mut received) = (Vec::new(), 0);
    while received < count * len {
        let chunk = recv(&mut client).await.unwrap().unwrap();
        received += chunk.len();
        held.push(chunk);
    }
    let reads = client.get_ref().reads - before;
    (count * message.len() / reads, held.len() / 4)
}

#[tokio::test]
async fn small_messages_that_are_held_do_not_make_the_reads_small() {
    for len in [1, 30, 128, 1000, 4096, 8192] {
        let (bytes, chunks) = measured(len).await;
        assert!(bytes >= 8 * 1024, "{bytes} bytes a read with messages of {len} bytes");
        assert!(chunks <= 64, "{chunks} chunks a mebibyte with messages of {len} bytes");
    }
}
