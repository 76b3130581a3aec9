//! A WebSocket peer by hand, so that it can do what no library would.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use stompede_transport::{Endpoint, TransportError, WsConfig, WsTransport, ws};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tungstenite::handshake::derive_accept_key;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// An unmasked frame.
pub(crate) fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![if fin { 0x80 | opcode } else { opcode }];
    match payload.len() {
        len @ 0..126 => frame.push(len as u8),
        len @ 126..65536 => frame.extend([&[126], &(len as u16).to_be_bytes()[..]].concat()),
        len => frame.extend([&[127], &(len as u64).to_be_bytes()[..]].concat()),
    }
    frame.extend_from_slice(payload);
    frame
}

pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frame(true, CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// The next frame of a client, unmasked; `None` at the end.
pub(crate) async fn read_frame(io: &mut DuplexStream) -> Option<(u8, Vec<u8>)> {
    let first = io.read_u8().await.ok()?;
    assert_eq!(first & 0xf0, 0x80, "a whole message in one frame, no reserved bits");
    let second = io.read_u8().await.unwrap();
    assert_eq!(second & 0x80, 0x80, "a client must mask");
    let len = match second & 0x7f {
        126 => io.read_u16().await.unwrap().into(),
        127 => io.read_u64().await.unwrap(),
        short => short.into(),
    };
    let mut mask = [0; 4];
    io.read_exact(&mut mask).await.unwrap();
    let mut payload = vec![0; usize::try_from(len).unwrap()];
    io.read_exact(&mut payload).await.unwrap();
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some((first & 0x0f, payload))
}

/// Reads the head of a request.
pub(crate) async fn read_request(io: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn accept_key(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    derive_accept_key(key.as_bytes())
}

/// A 101, with more header fields (each with its line end) if need be.
pub(crate) fn accepted(request: &str, fields: &str) -> String {
    let key = accept_key(request);
    format!(
        "HTTP/1.1 101 Whatever\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n{fields}\r\n"
    )
}

pub(crate) fn endpoint(url: &str) -> Endpoint {
    Endpoint::parse(url).unwrap()
}

/// An upgrade that owns what it needs.
pub(crate) async fn upgrade(
    io: DuplexStream,
    url: &str,
    config: WsConfig,
) -> Result<WsTransport<DuplexStream>, TransportError> {
    ws::upgrade(io, &endpoint(url), &config).await
}

/// A client that a scripted peer accepted with `behind` in the same write as the 101, over a pipe of `capacity` bytes.
pub(crate) async fn client_with(
    config: WsConfig,
    capacity: usize,
    behind: &[u8],
) -> (WsTransport<DuplexStream>, DuplexStream) {
    let (near, mut far) = duplex(capacity.max(64 * 1024));
    let peer = async {
        let request = read_request(&mut far).await;
        let answer = [accepted(&request, "").as_bytes(), behind].concat();
        far.write_all(&answer).await.unwrap();
    };
    let (client, ()) = tokio::join!(upgrade(near, "ws://broker/ws", config), peer);
    (client.unwrap(), far)
}

pub(crate) async fn client() -> (WsTransport<DuplexStream>, DuplexStream) {
    client_with(WsConfig::new(), 0, b"").await
}

/// A stream that remembers what is asked of it.
pub(crate) struct Watched {
    io: DuplexStream,
    /// To where each read was that brought something, or the end.
    pub(crate) reads: Vec<Range<*const u8>>,
    pub(crate) writes: usize,
    pub(crate) flushes: usize,
    /// What is written comes nowhere once it is told so, as with TLS above a socket that is full.
    pub(crate) stuck: Arc<AtomicBool>,
}

/// A client over such a stream, and the peer that accepted it.
pub(crate) async fn watched(config: WsConfig) -> (WsTransport<Watched>, DuplexStream) {
    let (io, mut far) = duplex(4 << 20);
    let near = Watched { io, reads: Vec::new(), writes: 0, flushes: 0, stuck: Arc::default() };
    let endpoint = endpoint("ws://broker");
    let (client, ()) = tokio::join!(ws::upgrade(near, &endpoint, &config), async {
        let request = read_request(&mut far).await;
        far.write_all(accepted(&request, "").as_bytes()).await.unwrap();
    });
    (client.unwrap(), far)
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        if outcome.is_ready() {
            self.reads.push(buf.filled()[before..].as_ptr_range());
        }
        outcome
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes += 1;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        if self.stuck.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// What the upgrade comes to if the peer answers so and then hangs up.
pub(crate) async fn answered(answer: &[u8]) -> Result<WsTransport<DuplexStream>, TransportError> {
    let (near, mut far) = duplex(64 * 1024);
    let peer = async {
        read_request(&mut far).await;
        write_what_is_taken(&mut far, answer).await;
        drop(far);
    };
    tokio::join!(upgrade(near, "ws://broker:8080/ws", WsConfig::new()), peer).0
}

/// Writes; the other side may hang up in the middle.
pub(crate) async fn write_what_is_taken(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    let _ = io.write_all(bytes).await;
}
