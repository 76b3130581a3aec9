//! The codec for `tokio_util::codec::Framed` (feature `tokio-util`).

use std::io;

use bytes::{BufMut, BytesMut};
use tokio_util::codec;

use crate::headers::name;
use crate::{Command, DecodeError, Decoder, EncodeError, Encoder, Frame, Item, Limits, Version};

/// A [`Decoder`] and an [`Encoder`] as one codec of `tokio_util`, for `Framed`, `FramedRead` and `FramedWrite`.
///
/// It yields [`Item`]s, heart-beats included, and takes [`Frame`]s, `&Frame`s and `Item`s; `Item::HeartBeat` is written as
/// one line feed. Whether a heart-beat is due, and whether a frame makes sense, is the caller's business.
///
/// # Versions
/// The version is that of the last CONNECTED that was read or written, so neither a client nor a server has to
/// set one, as long as one codec sees both directions. A `FramedRead` and a `FramedWrite` with a codec each need
/// [`set_version`](StompCodec::set_version). Until then frames are read as [`Decoder`] says and written in the version of
/// the encoder.
///
/// # Buffers
/// What was read goes on to the decoder at once, without a copy; the read buffer is empty after each call. The part of
/// a frame that has arrived is held in the codec. Whoever takes a `Framed` apart keeps the codec, or loses that
/// part. A frame shares the read buffer that it came in: [`Frame::detach`] what has to wait.
///
/// ```
/// use futures_util::{SinkExt, StreamExt};
/// use stompede_codec::{CodecError, Command, Frame, Item, StompCodec, Version};
/// use tokio_util::codec::Framed;
///
/// # async fn run() -> Result<(), CodecError> {
/// let (client, server) = tokio::io::duplex(4096); // or a TcpStream
/// let mut client = Framed::new(client, StompCodec::default());
/// let mut server = Framed::new(server, StompCodec::default());
///
/// client.send(Frame::new(Command::Connect).with_header("accept-version", "1.1,1.2").with_header("host", "/")).await?;
/// let Some(Item::Frame(connect)) = server.next().await.transpose()? else { panic!("CONNECT was sent") };
/// assert_eq!(connect.command(), Command::Connect);
///
/// server.send(Frame::new(Command::Connected).with_header("version", "1.1")).await?;
/// server.send(Item::HeartBeat).await?;
/// let Some(Item::Frame(connected)) = client.next().await.transpose()? else { panic!("CONNECTED was sent") };
/// assert_eq!(connected.header("version").as_deref(), Some("1.1"));
/// assert_eq!(client.codec().version(), Some(Version::V1_1));
/// assert_eq!(server.codec().version(), Some(Version::V1_1));
/// assert_eq!(client.next().await.transpose()?, Some(Item::HeartBeat));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(run())?;
/// # Ok::<(), CodecError>(())
/// ```
#[derive(Debug)]
pub struct StompCodec {
    decoder: Decoder,
    encoder: Encoder,
}

impl StompCodec {
    /// A codec with these limits, which writes the newest version until another one is negotiated.
    pub fn new(limits: Limits) -> Self {
        Self::from_parts(Decoder::new(limits), Encoder::new(Version::default()))
    }

    /// A codec of a decoder and an encoder with settings of their own.
    pub fn from_parts(decoder: Decoder, encoder: Encoder) -> Self {
        Self { decoder, encoder }
    }

    /// Sets the version that is read and written from the next frame on.
    pub fn set_version(&mut self, version: Version) {
        self.decoder.set_version(version);
        self.encoder.set_version(version);
    }

    /// The version in force; `None` until it was set or a CONNECTED went by.
    pub fn version(&self) -> Option<Version> {
        self.decoder.version()
    }

    /// The decoder, to ask what it holds.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Takes the codec apart; the decoder holds what has arrived of the next frame.
    pub fn into_parts(self) -> (Decoder, Encoder) {
        (self.decoder, self.encoder)
    }
}

impl Default for StompCodec {
    /// A codec with the default limits.
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl codec::Decoder for StompCodec {
    type Item = Item;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Item>, CodecError> {
        if !src.is_empty() {
            self.decoder.push(src.split().freeze());
        }
        Ok(self.decoder.next()?)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Item>, CodecError> {
        let item = self.decode(src)?;
        if item.is_none() && self.decoder.is_mid_frame() {
            return Err(CodecError::CutOff { octets: self.decoder.buffered() });
        }
        Ok(item)
    }
}

impl codec::Encoder<&Frame> for StompCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: &Frame, dst: &mut BytesMut) -> Result<(), CodecError> {
        if let Some(version) = self.version() {
            self.encoder.set_version(version);
        }
        self.encoder.encode(frame, dst)?;
        if frame.command() == Command::Connected
            && let Some(version) = Version::chosen(frame.header(name::VERSION).as_deref())
        {
            self.set_version(version);
        }
        Ok(())
    }
}

impl codec::Encoder<Frame> for StompCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), CodecError> {
        codec::Encoder::<&Frame>::encode(self, &frame, dst)
    }
}

impl codec::Encoder<Item> for StompCodec {
    type Error = CodecError;

    fn encode(&mut self, item: Item, dst: &mut BytesMut) -> Result<(), CodecError> {
        match item {
            Item::Frame(frame) => codec::Encoder::<&Frame>::encode(self, &frame, dst),
            Item::HeartBeat => {
                dst.reserve(1);
                dst.put_u8(b'\n');
                Ok(())
            }
        }
    }
}

/// What ends a `Framed` over a [`StompCodec`], or keeps a frame from being written.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// What was read is not STOMP, or goes past a limit. The connection has to end.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The version cannot carry this frame. Nothing of it was written; other frames may follow.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame, after {octets} octets of it")]
    CutOff {
        /// How much of the frame had arrived.
        octets: usize,
    },
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
