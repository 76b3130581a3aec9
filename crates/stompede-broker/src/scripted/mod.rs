//! A peer whose every word a test writes.

mod error;
mod listener;
mod pattern;
mod transcript;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use stompede_codec::{Command, Decoder, Encoder, Frame, Item, Limits, Version};
use stompede_transport::memory::{self, MemoryTransport};
use stompede_transport::{BoxTransport, Outbound, Transport};

pub use self::error::ScriptError;
pub use self::listener::ScriptedListener;
use self::pattern::Pattern;
use self::transcript::Transcript;

/// One end of a STOMP connection that does exactly what a test says: expect this, send that.
///
/// It knows no rules. It may answer before it was asked, write half a frame and hang up, or send what no broker would.
/// Most often it plays the broker, in memory or at a [`ScriptedListener`]; with [`over`](Self::over) it plays a client.
/// When something else comes than was expected, the [`ScriptError`] shows what both sides have said so far.
///
/// ```
/// use stompede_broker::scripted::ScriptedPeer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut peer, transport) = ScriptedPeer::in_memory();
/// # let mut client = ScriptedPeer::over(Box::new(transport));
/// # client.send("CONNECT\naccept-version:1.2\nhost:h\n\n\0SEND\nreceipt:1\ndestination:/queue/a\n\nhi\0").await?;
/// // … give `transport` to the client that is to be tested …
/// peer.expect("CONNECT\naccept-version:1.2").await?;
/// peer.send("CONNECTED\nversion:1.2\n\n\0").await?;
/// let send = peer.expect("SEND\ndestination:/queue/a\nreceipt:*\n\nhi").await?;
/// peer.send(format!("RECEIPT\nreceipt-id:{}\n\n\0", send.header("receipt").unwrap_or_default())).await?;
/// peer.hang_up();
/// # Ok(())
/// # }
/// ```
pub struct ScriptedPeer {
    transport: BoxTransport,
    decoder: Decoder,
    transcript: Transcript,
    patience: Duration,
}

/// What came.
#[derive(Debug)]
enum Came {
    Frame(Frame),
    HeartBeat,
    End,
    /// What came is not STOMP.
    Garbage(String),
    /// Nothing came in time.
    Nothing,
}

impl ScriptedPeer {
    /// A peer in memory, and the other end for the client that is to be tested.
    pub fn in_memory() -> (Self, MemoryTransport) {
        let (ours, theirs) = memory::pair(MEMORY_CAPACITY);
        (Self::over(Box::new(ours)), theirs)
    }

    /// A peer over a transport that is connected already.
    pub fn over(transport: BoxTransport) -> Self {
        let (decoder, transcript) = (Decoder::new(Limits::default()), Transcript::default());
        Self { transport, decoder, transcript, patience: PATIENCE }
    }

    /// How long each step waits for the other side; 10 s unless set.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// From now on, reads what comes in the form of this version. Before, and without CONNECTED, it is 1.0's.
    pub fn set_version(&mut self, version: Version) {
        self.decoder.set_version(version);
        self.transcript.set_version(version);
    }

    /// Waits for the next frame, which must be so; heart-beats before it are passed over.
    ///
    /// `pattern` is written as a frame: the command, headers that must be there among others, and after an empty line
    /// the whole body. Without a body in the pattern any will do. The value `*` is any value.
    ///
    /// # Errors
    /// [`ScriptError`] if another frame comes, or the end, or nothing in time.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing that has come.
    pub async fn expect(&mut self, pattern: &str) -> Result<Frame, ScriptError> {
        let wanted = Pattern::parse(pattern);
        match self.next_but_heart_beats().await {
            Came::Frame(frame) if wanted.fits(&frame) => Ok(frame),
            came => Err(self.disappointed(&wanted.to_string(), &came)),
        }
    }

    /// Waits for a frame, whatever it is; heart-beats before it are passed over.
    ///
    /// # Errors
    /// [`ScriptError`] if the end comes, or nothing in time.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing that has come.
    pub async fn frame(&mut self) -> Result<Frame, ScriptError> {
        match self.next_but_heart_beats().await {
            Came::Frame(frame) => Ok(frame),
            came => Err(self.disappointed("a frame", &came)),
        }
    }

    /// Waits for a heart-beat, which must come before any frame.
    ///
    /// # Errors
    /// [`ScriptError`] if a frame comes, or the end, or nothing in time.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing that has come.
    pub async fn heart_beat(&mut self) -> Result<(), ScriptError> {
        match self.next().await {
            Came::HeartBeat => Ok(()),
            came => Err(self.disappointed("a heart-beat", &came)),
        }
    }

    /// Waits for the end of what the other side says, in order or not; heart-beats before it are passed over.
    ///
    /// # Errors
    /// [`ScriptError`] if a frame comes, or nothing in time.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing that has come.
    pub async fn end(&mut self) -> Result<(), ScriptError> {
        match self.next_but_heart_beats().await {
            Came::End => Ok(()),
            came => Err(self.disappointed("the end", &came)),
        }
    }

    /// Waits for CONNECT, and answers with CONNECTED of this version.
    ///
    /// # Errors
    /// As [`expect`](Self::expect) and [`send`](Self::send).
    pub async fn greet(&mut self, version: Version) -> Result<Frame, ScriptError> {
        let connect = self.expect("CONNECT").await?;
        self.send(format!("CONNECTED\nversion:{version}\n\n\0")).await?;
        self.set_version(version);
        Ok(connect)
    }

    /// Writes these bytes, whatever they are: over WebSocket as one message, in memory as one chunk.
    ///
    /// # Errors
    /// [`ScriptError`] if the other side has gone, or takes nothing in time.
    pub async fn send(&mut self, wire: impl AsRef<[u8]>) -> Result<(), ScriptError> {
        let wire = Bytes::copy_from_slice(wire.as_ref());
        self.transcript.said(&wire);
        let mut item = Some(Outbound::whole(wire));
        let transport = &mut self.transport;
        let writing = poll_fn(|cx| {
            if item.is_some() {
                match transport.poll_ready(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
            if let Some(item) = item.take() {
                transport.start_send(item)?;
            }
            transport.poll_flush(cx)
        });
        match tokio::time::timeout(self.patience, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.failed("to be heard", &format!("{error}"))),
            Err(_) => Err(self.failed("to be heard", &format!("nothing was taken for {:?}", self.patience))),
        }
    }

    /// Writes a frame in the form of a version.
    ///
    /// # Errors
    /// As [`send`](Self::send), or if the version cannot carry the frame.
    pub async fn send_frame(&mut self, version: Version, frame: &Frame) -> Result<(), ScriptError> {
        let mut wire = BytesMut::new();
        match Encoder::new(version).encode(frame, &mut wire) {
            Ok(()) => self.send(wire).await,
            Err(error) => Err(self.failed("to write a frame", &error.to_string())),
        }
    }

    /// Writes the RECEIPT that a frame asked for; nothing if it asked for none.
    ///
    /// # Errors
    /// As [`send_frame`](Self::send_frame).
    pub async fn confirm(&mut self, frame: &Frame) -> Result<(), ScriptError> {
        let Some(receipt) = frame.header("receipt") else { return Ok(()) };
        let version = self.decoder.version().unwrap_or(Version::V1_0);
        self.send_frame(version, &Frame::new(Command::Receipt).with_header("receipt-id", receipt)).await
    }

    /// Closes in order; over WebSocket with a close frame. Does not wait for the other side.
    ///
    /// # Errors
    /// [`ScriptError`] if what was written before is not taken in time.
    pub async fn close(&mut self) -> Result<(), ScriptError> {
        let transport = &mut self.transport;
        match tokio::time::timeout(self.patience, poll_fn(|cx| transport.poll_close(cx))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.failed("to close", &format!("{error}"))),
            Err(_) => Err(self.failed("to close", &format!("nothing was taken for {:?}", self.patience))),
        }
    }

    /// Hangs up without a goodbye. Dropping the peer does the same.
    pub fn hang_up(self) {}

    /// What both sides have said so far, the last 100 things: `<` is what came, `>` what was sent.
    pub fn transcript(&self) -> String {
        self.transcript.to_string()
    }

    async fn next_but_heart_beats(&mut self) -> Came {
        loop {
            match self.next().await {
                Came::HeartBeat => {}
                came => return came,
            }
        }
    }

    async fn next(&mut self) -> Came {
        let patience = self.patience;
        let came = tokio::time::timeout(patience, self.read()).await.unwrap_or(Came::Nothing);
        self.transcript.heard(&came);
        came
    }

    async fn read(&mut self) -> Came {
        loop {
            match self.decoder.next() {
                Ok(Some(Item::Frame(frame))) => return Came::Frame(frame),
                Ok(Some(Item::HeartBeat)) => return Came::HeartBeat,
                Ok(None) => {}
                Err(error) => return Came::Garbage(error.to_string()),
            }
            match poll_fn(|cx| self.transport.poll_recv(cx)).await {
                Some(Ok(chunk)) => self.decoder.push(chunk),
                Some(Err(_)) | None => return Came::End,
            }
        }
    }

    fn disappointed(&self, wanted: &str, came: &Came) -> ScriptError {
        let came = match came {
            Came::Frame(frame) => frame.to_string(),
            Came::HeartBeat => "a heart-beat".to_owned(),
            Came::End if self.decoder.is_mid_frame() => "the end, in the middle of a frame".to_owned(),
            Came::End => "the end".to_owned(),
            Came::Garbage(error) => format!("what is not STOMP: {error}"),
            Came::Nothing if self.decoder.is_mid_frame() => {
                format!("nothing more for {:?}, in the middle of a frame", self.patience)
            }
            Came::Nothing => format!("nothing for {:?}", self.patience),
        };
        self.failed(wanted, &came)
    }

    fn failed(&self, wanted: &str, came: &str) -> ScriptError {
        ScriptError::new(wanted, came, &self.transcript)
    }
}

impl std::fmt::Debug for ScriptedPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedPeer").field("transcript", &self.transcript).finish_non_exhaustive()
    }
}

/// Longer than a busy machine takes for anything, shorter than somebody waits for a test.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes on their way in each direction: about what a socket's buffers hold.
const MEMORY_CAPACITY: usize = 64 * 1024;
