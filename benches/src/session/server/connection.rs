//! One client and what it is answered.

use std::io;
use std::ops::Range;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Interval, interval};
use tungstenite::handshake::derive_accept_key;

use super::flood::Flood;
use super::splitter::{Framing, Step};

pub(super) struct Connection<IO> {
    socket: IO,
    framing: Framing,
    /// What was read and not looked at starts at `at`.
    read: Vec<u8>,
    at: usize,
    /// What has not been read yet of a body that nobody wants to see.
    missing: usize,
    out: Vec<u8>,
    /// What was sent, and the subscriptions.
    sent: u64,
    subscriptions: Vec<String>,
    beat: Option<Interval>,
    /// Messages to be written once `out` is.
    flood: Option<(Flood, usize)>,
    ended: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    pub(super) fn new(socket: IO, framing: Framing) -> Self {
        Self {
            socket,
            framing,
            read: Vec::new(),
            at: 0,
            missing: 0,
            out: Vec::new(),
            sent: 0,
            subscriptions: Vec::new(),
            beat: None,
            flood: None,
            ended: false,
        }
    }

    /// Serves the client until it leaves.
    pub(super) async fn run(&mut self) -> io::Result<()> {
        if self.framing == Framing::WebSocket {
            self.upgrade().await?;
        }
        while !self.ended {
            self.read_some().await?;
            while self.step()? {}
            self.socket.write_all(&self.out).await?;
            // Over TLS, what was written may wait.
            self.socket.flush().await?;
            self.out.clear();
            if let Some((flood, messages)) = self.flood.take() {
                flood.write(&mut self.socket, messages).await?;
                self.socket.flush().await?;
            }
        }
        self.socket.shutdown().await
    }

    /// Waits for something to look at, and beats meanwhile.
    async fn read_some(&mut self) -> io::Result<()> {
        self.read.drain(..std::mem::take(&mut self.at));
        self.read.reserve(if self.read.is_empty() { FIRST_READ } else { READ });
        loop {
            let read = match &mut self.beat {
                None => self.socket.read_buf(&mut self.read).await?,
                Some(beat) => tokio::select! {
                    read = self.socket.read_buf(&mut self.read) => read?,
                    _ = beat.tick() => {
                        self.framing.wrap(&mut self.out, &[b"\n"], false);
                        self.socket.write_all(&self.out).await?;
                        self.socket.flush().await?;
                        self.out.clear();
                        continue;
                    }
                },
            };
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.go_to(self.missing);
            return Ok(());
        }
    }

    async fn upgrade(&mut self) -> io::Result<()> {
        let head = loop {
            self.read_some().await?;
            if let Some(end) = memchr::memmem::find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.read[..head]);
        let key = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
        });
        let Some(key) = key else { return Err(io::ErrorKind::InvalidData.into()) };
        let accept = derive_accept_key(key.as_bytes());
        let protocol = if text.contains("v12.stomp") { "Sec-WebSocket-Protocol: v12.stomp\r\n" } else { "" };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
        );
        self.at = head;
        self.socket.write_all(answer.as_bytes()).await?;
        self.socket.flush().await
    }

    /// Looks at one frame; `false` if more has to be read first.
    fn step(&mut self) -> io::Result<bool> {
        match self.framing.next(&mut self.read, self.at)? {
            Step::More => return Ok(false),
            Step::Nothing { end } => self.go_to(end),
            Step::Ping { payload, end } => {
                // Short ones only come from clients of the bench.
                self.out.extend_from_slice(&[0x8a, u8::try_from(payload.len()).unwrap_or(0)]);
                self.out.extend_from_slice(&self.read[payload]);
                self.go_to(end);
            }
            Step::Close => {
                self.out.extend_from_slice(&[0x88, 0]);
                self.ended = true;
                return Ok(false);
            }
            Step::Frame { head, body, end } => {
                self.go_to(end);
                if self.read[head.clone()].starts_with(b"SEND\n") {
                    self.sent += 1;
                    self.on_send(head, body);
                } else {
                    let text = String::from_utf8_lossy(&self.read[head]).into_owned();
                    self.on_other(&text);
                }
            }
        }
        Ok(true)
    }

    /// The next frame begins here, which may lie beyond what was read.
    fn go_to(&mut self, end: usize) {
        self.at = end.min(self.read.len());
        self.missing = end - self.at;
    }

    fn on_send(&mut self, head: Range<usize>, body: Range<usize>) {
        let (mut receipt, mut expected) = (None, None);
        for line in lines(&self.read[head]) {
            if let Some(id) = line.strip_prefix(b"receipt:") {
                receipt = Some(id);
            } else if let Some(count) = line.strip_prefix(b"expect:") {
                expected = str::from_utf8(count).ok().and_then(|count| count.parse::<u64>().ok());
            } else if line == b"destination:/echo" {
                let Some(subscription) = self.subscriptions.last() else { continue };
                let head = format!(
                    "MESSAGE\nsubscription:{subscription}\nmessage-id:{}\ndestination:/echo\ncontent-length:{}\n\n",
                    self.sent,
                    body.len()
                );
                let parts = [head.as_bytes(), &self.read[body.clone()], b"\0"];
                self.framing.wrap(&mut self.out, &parts, false);
            }
        }
        let before = self.sent - 1;
        match (receipt, expected) {
            (_, Some(expected)) if expected != before => {
                let error = format!("ERROR\nmessage:{before} frames came before, not {expected}\n\n\0");
                self.framing.wrap(&mut self.out, &[error.as_bytes()], false);
            }
            (Some(id), _) => {
                self.framing.wrap(&mut self.out, &[b"RECEIPT\nreceipt-id:", id, b"\n\n\0"], false);
            }
            _ => {}
        }
    }

    fn on_other(&mut self, head: &str) {
        let header = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')))
        };
        match head.lines().next() {
            Some("CONNECT" | "STOMP") => {
                let offer = header("heart-beat").unwrap_or("0,0");
                self.framing.wrap(&mut self.out, &[connected(offer).as_bytes()], false);
                self.beat = beat(offer);
            }
            Some("SUBSCRIBE") => {
                let id = header("id").unwrap_or_default().to_owned();
                self.subscriptions.push(id);
                let number = |name| header(name).and_then(|value| value.parse::<usize>().ok());
                if let (Some(messages), Some(body)) = (number("flood"), number("body")) {
                    let all = header("to") == Some("all");
                    let first = if all { 0 } else { self.subscriptions.len() - 1 };
                    let binary = header("kind") == Some("binary");
                    let flood = Flood::new(self.framing, &self.subscriptions[first..], body, binary);
                    self.flood = Some((flood, messages));
                }
            }
            Some("DISCONNECT") => self.ended = true,
            _ => {}
        }
        if let Some(id) = header("receipt") {
            let receipt = format!("RECEIPT\nreceipt-id:{id}\n\n\0");
            self.framing.wrap(&mut self.out, &[receipt.as_bytes()], false);
        }
    }
}

/// The lines of a head, without their line feeds.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', head).map(move |end| &head[std::mem::replace(&mut start, end + 1)..end])
}

/// Takes the client's offer (STOMP 1.2, section "Heart-beating") as it is.
fn connected(offer: &str) -> String {
    let (sends, wants) = offer.split_once(',').unwrap_or(("0", "0"));
    format!("CONNECTED\nversion:1.2\nserver:bench/1\nheart-beat:{wants},{sends}\n\n\0")
}

fn beat(offer: &str) -> Option<Interval> {
    let wanted = offer.split_once(',')?.1.trim().parse::<u64>().ok().filter(|&wanted| wanted > 0)?;
    let mut beat = interval(Duration::from_millis(wanted));
    beat.reset();
    Some(beat)
}

/// What a connection begins with; an idle one keeps no more.
const FIRST_READ: usize = 4 * 1024;

/// What is made room for when something is left over from before: it is busy.
const READ: usize = 256 * 1024;
