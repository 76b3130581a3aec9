//! A WebSocket client by hand, which sees messages as they are on the wire.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;

pub(crate) struct RawWs(TcpStream);

impl RawWs {
    pub(crate) async fn dialled(url: &str) -> Self {
        let (address, _) = url.trim_start_matches("ws://").split_once('/').expect("a path");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = "GET /stomp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        Self(stream)
    }

    /// The same, behind CONNECT and its CONNECTED, which is not looked at.
    pub(crate) async fn connected(url: &str) -> Self {
        let mut client = Self::dialled(url).await;
        client.say(CONNECT.as_bytes()).await;
        let mut greeting = Vec::new();
        while !greeting.contains(&0) {
            greeting.extend(client.message().await.expect("CONNECTED").1);
        }
        assert!(greeting.starts_with(b"CONNECTED"));
        client
    }

    /// Sends a text message.
    pub(crate) async fn say(&mut self, payload: &[u8]) {
        self.say_as(TEXT, payload).await;
    }

    pub(crate) async fn say_as(&mut self, opcode: u8, payload: &[u8]) {
        // The mask is zero, so the payload stays as it is.
        let head = match u8::try_from(payload.len()) {
            Ok(len @ ..126) => vec![0x80 | opcode, 0x80 | len, 0, 0, 0, 0],
            _ => {
                let [high, low] = u16::try_from(payload.len()).expect("short").to_be_bytes();
                vec![0x80 | opcode, 0x80 | 126, high, low, 0, 0, 0, 0]
            }
        };
        let frame = [&head[..], payload].concat();
        self.0.write_all(&frame).await.expect("sent");
    }

    /// Announces a binary message of so many bytes, and sends nothing of it.
    pub(crate) async fn announce(&mut self, len: u64) {
        let head = [&[0x80 | BINARY, 0x80 | 127][..], &len.to_be_bytes(), &[0; 4]].concat();
        self.0.write_all(&head).await.expect("sent");
    }

    /// Sends bytes as they are: of a message that was announced, say.
    pub(crate) async fn say_raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
    }

    /// The next message: its opcode and what is in it; `None` at the end.
    pub(crate) async fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.0.read_u8().await.ok()?;
        assert_eq!(first & 0xf0, 0x80, "a whole message in one WebSocket frame");
        let len = match self.0.read_u8().await.ok()? {
            126 => self.0.read_u16().await.ok()?.into(),
            127 => self.0.read_u64().await.ok()?,
            short => short.into(),
        };
        let mut payload = vec![0; usize::try_from(len).expect("a length")];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((first & 0x0f, payload))
    }

    pub(crate) async fn text(&mut self) -> String {
        let (opcode, payload) = self.message().await.expect("a message");
        assert_eq!(opcode, TEXT);
        String::from_utf8(payload).expect("UTF-8")
    }
}

pub(crate) const CONNECT: &str = "CONNECT\naccept-version:1.2\nhost:h\n\n\0";
