use std::fmt;
use std::future::poll_fn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use stompede_codec::{Command, DecodeError, Decoder, EncodeError, Encoder, Item, Limits, Version};
use stompede_transport::{BoxTransport, Connector, Endpoint, Outbound, Transport, TransportError};

use crate::Frame;

/// A connection that carries frames, without a session: nothing is sent that the caller does not send, CONNECT included, and
/// no heart-beats either. stomp.py's `WSTransport`.
///
/// For tools and tests; an application wants a [`Client`](crate::Client).
///
/// ```no_run
/// use std::time::Duration;
/// use stompede::codec::Item;
/// use stompede::{Frame, FramedTransport, Version};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut wire = FramedTransport::open("ws://localhost:15674/ws").await?;
/// wire.send(&Frame::connect("/", &Version::ALL)?).await?;
/// while let Some(item) = wire.receive().await? {
///     if let Item::Frame(frame) = item {
///         println!("{frame}");
///         break;
///     }
/// }
/// wire.stop(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
pub struct FramedTransport {
    transport: BoxTransport,
    decoder: Decoder,
    encoder: Encoder,
    block: BytesMut,
    connected: bool,
}

/// Why a [`FramedTransport`] failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FramedError {
    /// The URL makes no sense, or the connection failed.
    Transport(TransportError),
    /// What arrived is no STOMP. The connection cannot go on: nothing tells where the next frame would begin.
    Decode(DecodeError),
    /// The frame cannot be written in this version; nothing of it was sent.
    Encode(EncodeError),
    /// The connection has ended before.
    Closed,
    /// The connection ended in the middle of a frame.
    MidFrame,
    /// The connection did not end within this time. It is closed all the same.
    TimedOut(Duration),
}

impl FramedTransport {
    /// Opens a connection to a URL, with the transports of this build and without a time limit of its own.
    ///
    /// # Errors
    /// [`FramedError::Transport`].
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up.
    #[cfg(feature = "tcp")]
    pub async fn open(url: &str) -> Result<Self, FramedError> {
        Self::open_with(url, &stompede_transport::DefaultConnector::new()).await
    }

    /// Opens a connection to a URL with this connector.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// As [`open`](Self::open).
    pub async fn open_with(url: &str, connector: &dyn Connector) -> Result<Self, FramedError> {
        let endpoint = Endpoint::parse(url).map_err(FramedError::Transport)?;
        Ok(Self::over(connector.connect(endpoint).await.map_err(FramedError::Transport)?))
    }

    /// Takes a connection that is open already.
    pub fn over(transport: impl Transport + Send + 'static) -> Self {
        Self {
            transport: Box::new(transport),
            decoder: Decoder::new(Limits::default()),
            encoder: Encoder::new(Version::V1_2),
            block: BytesMut::new(),
            connected: true,
        }
    }

    /// The version that frames are written and read in. 1.2 unless set; receiving CONNECTED sets it.
    pub fn set_version(&mut self, version: Version) {
        self.decoder.set_version(version);
        self.encoder.set_version(version);
    }

    /// What a frame that is received may measure. Forgets what has been received in part.
    pub fn set_limits(&mut self, limits: Limits) {
        self.decoder = Decoder::new(limits);
    }

    /// Writes a frame and flushes it.
    ///
    /// # Errors
    /// [`FramedError::Encode`] leaves the connection as it was; after any other the connection is over.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the frame may have been sent.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), FramedError> {
        self.encoder.encode_head(frame, &mut self.block).map_err(FramedError::Encode)?;
        let item = Outbound::split(self.block.split().freeze(), frame.body().clone());
        self.write(item).await
    }

    /// Writes a heart-beat: one line feed.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn send_heart_beat(&mut self) -> Result<(), FramedError> {
        self.write(Outbound::heart_beat()).await
    }

    /// The next frame or heart-beat; `None` once the peer has closed in order.
    ///
    /// # Errors
    /// [`FramedError`]; the connection is over.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn receive(&mut self) -> Result<Option<Item>, FramedError> {
        loop {
            match self.decoder.next() {
                Ok(Some(item)) => {
                    self.follow(&item);
                    return Ok(Some(item));
                }
                Ok(None) => {}
                Err(error) => {
                    self.connected = false;
                    return Err(FramedError::Decode(error));
                }
            }
            match self.receive_bytes().await? {
                Some(bytes) => self.decoder.push(bytes),
                None if self.decoder.is_mid_frame() => return Err(FramedError::MidFrame),
                None => return Ok(None),
            }
        }
    }

    /// The next bytes as they arrived; `None` once the peer has closed in order. What is taken here is not seen by
    /// [`receive`](Self::receive).
    ///
    /// # Errors
    /// [`FramedError::Transport`]; the connection is over.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn receive_bytes(&mut self) -> Result<Option<Bytes>, FramedError> {
        match poll_fn(|cx| self.transport.poll_recv(cx)).await {
            Some(Ok(bytes)) => Ok(Some(bytes)),
            Some(Err(error)) => Err(self.failed(error)),
            None => {
                self.connected = false;
                Ok(None)
            }
        }
    }

    /// Says goodbye as the transport does it, and waits until the peer has closed too. What still arrives is dropped.
    ///
    /// It sends no DISCONNECT; that is a frame like any other.
    ///
    /// # Errors
    /// [`FramedError::TimedOut`], or the connection's own failure. It is closed all the same.
    ///
    /// # Cancel safety
    /// Dropped, the connection is closed at once.
    pub async fn stop(mut self, timeout: Duration) -> Result<(), FramedError> {
        let closing = async {
            poll_fn(|cx| self.transport.poll_close(cx)).await?;
            while let Some(chunk) = poll_fn(|cx| self.transport.poll_recv(cx)).await {
                chunk?;
            }
            Ok(())
        };
        match tokio::time::timeout(timeout, closing).await {
            Ok(closed) => closed.map_err(FramedError::Transport),
            Err(_) => Err(FramedError::TimedOut(timeout)),
        }
    }

    /// Whether nothing has been seen of an end: of one that nobody has received yet it cannot know.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    async fn write(&mut self, item: Outbound) -> Result<(), FramedError> {
        if !self.connected {
            return Err(FramedError::Closed);
        }
        let written: Result<(), TransportError> = async {
            poll_fn(|cx| self.transport.poll_ready(cx)).await?;
            self.transport.start_send(item)?;
            poll_fn(|cx| self.transport.poll_flush(cx)).await
        }
        .await;
        written.map_err(|error| self.failed(error))
    }

    fn failed(&mut self, error: TransportError) -> FramedError {
        use stompede_transport::TransportErrorKind as Kind;
        // These two refuse a frame and leave the connection as it was; see the contract of `Transport`.
        self.connected = matches!(error.kind(), Kind::TooLarge | Kind::NotText) && self.connected;
        FramedError::Transport(error)
    }

    fn follow(&mut self, item: &Item) {
        if let (Item::Frame(frame), Some(version)) = (item, self.decoder.version())
            && frame.command() == Command::Connected
        {
            self.encoder.set_version(version);
        }
    }
}

impl fmt::Debug for FramedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedTransport").field("connected", &self.connected).finish_non_exhaustive()
    }
}

impl fmt::Display for FramedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Decode(error) => error.fmt(f),
            Self::Encode(error) => error.fmt(f),
            Self::Closed => f.write_str("the connection has ended before"),
            Self::MidFrame => f.write_str("the connection ended in the middle of a frame"),
            Self::TimedOut(within) => write!(f, "the peer did not close the connection within {within:?}"),
        }
    }
}

impl std::error::Error for FramedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Transport(error) => Some(error),
            Self::Decode(error) => Some(error),
            Self::Encode(error) => Some(error),
            Self::Closed | Self::MidFrame | Self::TimedOut(_) => None,
        }
    }
}
