//! A socket and a buffer.

use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::net::TcpStream;

use super::super::{BENCH, ECHO, Flooding, Place, WINDOW, echo, record};
use super::{CONNECT, last, send, subscribe};
use crate::harness;
use crate::session::cpu::{Sample, Stopwatch};

/// A connection that takes every NUL for the end of a frame; there is none in the bodies of the bench.
struct Socket {
    io: TcpStream,
    buffer: Vec<u8>,
}

impl Socket {
    async fn connect(place: Place) -> Self {
        let io = TcpStream::connect(place.address()).await.expect("the server listens");
        io.set_nodelay(true).expect("an open socket");
        let mut socket = Self { io, buffer: vec![0; BUFFER] };
        socket.io.write_all(CONNECT.as_bytes()).await.expect("the server reads");
        socket.expect(b"CONNECTED").await;
        socket
    }

    async fn expect(&mut self, command: &[u8]) {
        let frames = self.frames().await;
        assert!(frames == 1 && self.buffer.starts_with(command), "{}", String::from_utf8_lossy(&self.buffer));
    }

    /// Reads until at least one frame has ended; how many have.
    async fn frames(&mut self) -> usize {
        loop {
            let read = self.io.read(&mut self.buffer).await.expect("the server writes");
            assert!(read > 0, "the server closed");
            match memchr::memchr_iter(0, &self.buffer[..read]).count() {
                0 => {}
                frames => return frames,
            }
        }
    }
}

/// Receives messages and counts them.
pub(in crate::session) async fn consume(place: Place, flooding: Flooding) -> Sample {
    let mut socket = Socket::connect(place).await;
    let stopwatch = Stopwatch::start();
    socket.io.write_all(subscribe(&flooding.headers()).as_bytes()).await.expect("the server reads");
    let mut frames = 0;
    while frames < flooding.messages {
        frames += socket.frames().await;
    }
    stopwatch.stop(flooding.messages)
}

/// Writes messages through a buffer and flushes once, at the end.
pub(in crate::session) async fn publish(place: Place, messages: usize, body: Bytes) -> Sample {
    let mut socket = Socket::connect(place).await;
    let (one, last) = (send(BENCH, "", &body), last(messages));
    let stopwatch = Stopwatch::start();
    let mut writer = BufWriter::with_capacity(BUFFER, &mut socket.io);
    for _ in 0..messages {
        writer.write_all(&one).await.expect("the server reads");
    }
    writer.write_all(&last).await.expect("the server reads");
    writer.flush().await.expect("the server reads");
    socket.expect(b"RECEIPT").await;
    stopwatch.stop(messages)
}

/// Sends messages that ask for receipts, as many at a time as the window has room for.
pub(in crate::session) async fn confirm(place: Place, messages: usize, body: Bytes) -> Sample {
    let Socket { mut io, mut buffer } = Socket::connect(place).await;
    let one = send(BENCH, "receipt:r-1234-5\n", &body);
    let (mut sent, mut confirmed) = (0, 0);
    let (mut out, mut written) = (Vec::with_capacity(WINDOW * one.len()), 0);
    let stopwatch = Stopwatch::start();
    std::future::poll_fn(|cx| {
        loop {
            while sent < messages && sent - confirmed < WINDOW && out.len() < BUFFER {
                out.extend_from_slice(&one);
                sent += 1;
            }
            while written < out.len() {
                match Pin::new(&mut io).poll_write(cx, &out[written..]) {
                    Poll::Ready(octets) => written += octets.expect("the server reads"),
                    Poll::Pending => break,
                }
            }
            if written == out.len() {
                (written, _) = (0, out.clear());
            }
            let mut read = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut io).poll_read(cx, &mut read)).expect("the server writes");
            assert!(!read.filled().is_empty(), "the server closed");
            confirmed += memchr::memchr_iter(0, read.filled()).count();
            if confirmed == messages {
                return Poll::Ready(());
            }
        }
    })
    .await;
    stopwatch.stop(messages)
}

/// Sends one message after the other, each once that before has come back.
pub(in crate::session) async fn round_trips(place: Place, messages: usize, body: Bytes) -> Histogram<u64> {
    let mut socket = Socket::connect(place).await;
    socket.io.write_all(subscribe(&[]).as_bytes()).await.expect("the server reads");
    let one = send(ECHO, "", &body);
    let mut times = echo::histogram();
    for _ in 0..messages {
        let started = harness::now();
        socket.io.write_all(&one).await.expect("the server reads");
        assert_eq!(socket.frames().await, 1, "it comes back");
        record(&mut times, started);
    }
    times
}

/// As large as a busy client's own.
const BUFFER: usize = 64 * 1024;
