use std::fmt;
use std::io;
use std::str;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::Message;
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame, Utf8Bytes};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::WsMessageKind;
use super::gather::Gather;
use super::opcode::TextToBinary;
use super::pipe::Pipe;
use crate::{CloseReason, Outbound, Transport, TransportError, TransportErrorKind as Kind};

/// What tungstenite reads at a time. It fills this with zeroes before each read, so a large one costs time where
/// messages come singly; floods gain nothing measurable above it.
const READ_BUFFER: usize = 16 * 1024;

/// Above this many encoded bytes tungstenite writes without being asked to flush, and if that blocks nothing more is
/// taken until all is written.
const HIGH_WATER: usize = 64 * 1024;

/// What may wait in tungstenite's buffer besides the last message: the rest up to the high-water mark, and as much
/// again in answers to pings of a peer that does not read them. Further answers are then dropped, as RFC 6455 allows.
const WRITE_BUFFER: usize = 2 * HIGH_WATER;

/// The longest frame header, mask included.
const FRAME_HEADER: usize = 14;

/// How many messages without a payload (pings, pongs, empty ones) are taken in one poll before others get their turn.
const EMPTY_MAX: usize = 64;

/// A STOMP connection over WebSocket, on either side of it.
///
/// Each [`Outbound`] item becomes one message, as text or binary by [`WsMessageKind`]; a heart-beat is the message
/// `"\n"`. What comes in, text and binary alike, is handed on in chunks of up to 24 KiB: messages of up to 8 KiB are
/// gathered, larger ones stay as they are. Pings are answered while [`poll_recv`](Transport::poll_recv) is polled.
///
/// A close frame with code 1000 or 1001, or without one, is an orderly end; other codes are
/// [`Closed`](Kind::Closed) errors with the peer's words. If the connection ends without a close frame, that is
/// [`Lost`](Kind::Lost), unless this side has said goodbye before.
///
/// At most 128 KiB and one message wait to be written. The buffer of the largest message sent stays allocated.
pub struct WsTransport<IO> {
    pipe: Pipe<IO>,
    context: WebSocketContext,
    settings: Settings,
    gather: Gather,
    end: Option<End>,
    /// A write did not get through: nothing more is taken until all is written.
    blocked: bool,
    closing: Closing,
    close_reason: Option<CloseReason>,
}

/// How a connection behaves once it is up.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) role: Role,
    pub(super) kind: WsMessageKind,
    /// Whether text is sent without looking whether it is.
    pub(super) any_as_text: bool,
    /// Whether binary messages of the peer are thrown away.
    pub(super) text_only: bool,
    /// Whether each message of the peer is a chunk by itself.
    pub(super) separate: bool,
    /// The longest message, either way.
    pub(super) max_message: usize,
    pub(super) subprotocol: Option<Box<str>>,
    /// What this side's close frame says.
    pub(super) goodbye: CloseReason,
}

/// How receiving ended.
#[derive(Clone, Debug)]
enum End {
    Orderly,
    Failed(TransportError),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Closing {
    No,
    /// What was started goes out before the close frame.
    Flushing,
    /// The close frame is on its way.
    Sent,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WsTransport<IO> {
    /// After an upgrade; `leftover` came together with its head.
    pub(super) fn new(io: IO, leftover: Bytes, settings: Settings) -> Self {
        let opcodes = (settings.role == Role::Client).then(TextToBinary::new);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(HIGH_WATER)
            .max_write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(settings.max_message))
            .max_frame_size(Some(settings.max_message));
        Self {
            pipe: Pipe::new(io, leftover, opcodes),
            context: WebSocketContext::new(settings.role, Some(config)),
            settings,
            gather: Gather::default(),
            end: None,
            blocked: false,
            closing: Closing::No,
            close_reason: None,
        }
    }

    /// The subprotocol that the server named in its answer, whatever it is.
    pub fn subprotocol(&self) -> Option<&str> {
        self.settings.subprotocol.as_deref()
    }

    /// The stream below.
    pub fn get_ref(&self) -> &IO {
        self.pipe.io()
    }

    /// Reads until a chunk is full or nothing more has arrived.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut empty = 0;
        while !self.gather.is_full() {
            match self.context.read(&mut self.pipe.reading(cx)) {
                Ok(Message::Close(frame)) => {
                    self.end = Some(self.judge_close(frame, cx));
                    return Poll::Ready(());
                }
                Ok(message) => {
                    let payload = match message {
                        Message::Text(text) => text.into(),
                        Message::Binary(data) if !self.settings.text_only => data,
                        _ => Bytes::new(),
                    };
                    let is_empty = payload.is_empty();
                    self.gather.push(payload);
                    if is_empty {
                        empty += 1;
                    } else if self.settings.separate {
                        return Poll::Ready(());
                    }
                    if empty == EMPTY_MAX {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Err(error) if is_pending(&error) => return Poll::Pending,
                Err(error) => {
                    self.end = Some(self.judge_failure(error, cx));
                    return Poll::Ready(());
                }
            }
        }
        Poll::Ready(())
    }

    fn judge_close(&mut self, frame: Option<CloseFrame>, cx: &mut Context<'_>) -> End {
        // tungstenite has the answer ready. It is a courtesy: if it cannot go out at once, it does with `poll_close`.
        let _ = self.context.flush(&mut self.pipe.reading(cx));
        let Some(frame) = frame else {
            return End::Orderly;
        };
        let code = u16::from(frame.code);
        let reason = CloseReason::new(code, frame.reason.as_str());
        self.close_reason = Some(reason.clone());
        if self.closing != Closing::No || matches!(code, 1000 | 1001 | 1005) {
            return End::Orderly;
        }
        let context = format!("the peer closed the WebSocket with {reason}");
        End::Failed(TransportError::new(Kind::Closed { code }, context))
    }

    fn judge_failure(&mut self, error: Error, cx: &mut Context<'_>) -> End {
        let (kind, context, code) = match &error {
            Error::ConnectionClosed | Error::AlreadyClosed => return End::Orderly,
            Error::Io(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
                if self.closing == Closing::Sent =>
            {
                return End::Orderly;
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                let context = "the connection ended without a WebSocket close (1006)";
                return End::Failed(TransportError::new(Kind::Lost, context));
            }
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                (Kind::TooLarge, "the peer sent too large a WebSocket message", CloseCode::Size)
            }
            Error::Utf8(_) => (Kind::Protocol, "the peer sent text that is not UTF-8", CloseCode::Invalid),
            _ => (Kind::Protocol, "the peer broke the WebSocket protocol", CloseCode::Protocol),
        };
        if let Error::Io(error) = error {
            return End::Failed(TransportError::from_io(error, "the connection broke while receiving"));
        }
        // Tell the peer why, if that can be done at once.
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(context) };
        let _ = self.context.close(&mut self.pipe.reading(cx), Some(frame));
        End::Failed(TransportError::new(kind, context).with_source(error))
    }

    /// Why nothing can be sent any more, if so.
    fn check_sendable(&self) -> Result<(), TransportError> {
        self.check_writable()?;
        match &self.end {
            Some(End::Orderly) => Err(TransportError::new(Kind::Lost, "the peer has closed the WebSocket")),
            _ if self.closing != Closing::No => {
                Err(TransportError::new(Kind::Lost, "this side has closed the WebSocket"))
            }
            _ => Ok(()),
        }
    }

    fn check_writable(&self) -> Result<(), TransportError> {
        if let Some(End::Failed(error)) = &self.end {
            return Err(error.clone());
        }
        match self.pipe.write_error() {
            // An I/O error cannot be cloned, so the kind stands for it.
            Some(error) => {
                let source = io::Error::new(error.kind(), error.to_string());
                Err(TransportError::from_io(source, "the connection broke while sending"))
            }
            None => Ok(()),
        }
    }

    /// Writes all that tungstenite has.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match self.context.flush(&mut self.pipe.writing(cx)) {
            Err(error) if is_pending(&error) => {
                self.pipe.set_writer(Some(cx.waker()));
                return Poll::Pending;
            }
            Ok(()) => {}
            // Only after a goodbye: everything was written, but a server's stream was not flushed.
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => ready!(self.pipe.poll_flush(cx)),
            Err(error) => return Poll::Ready(Err(unexpected(error))),
        }
        self.pipe.set_writer(None);
        self.blocked = false;
        Poll::Ready(self.check_writable())
    }

    fn set_write_buffer(&mut self, max: usize) {
        self.context.set_config(|config| config.max_write_buffer_size = max);
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Transport for WsTransport<IO> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let filled = match self.end {
            None => self.poll_fill(cx),
            Some(_) => Poll::Ready(()),
        };
        if let Some(chunk) = self.gather.take() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        ready!(filled);
        Poll::Ready(match &self.end {
            Some(End::Failed(error)) => Some(Err(error.clone())),
            Some(End::Orderly) | None => None,
        })
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.check_sendable()?;
        if self.blocked { self.poll_write_out(cx) } else { Poll::Ready(Ok(())) }
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.check_sendable()?;
        let (len, limit) = (item.remaining(), self.settings.max_message);
        if len > limit {
            let context =
                format!("a frame of {len} bytes is larger than the limit of {limit} bytes a message");
            return Err(TransportError::new(Kind::TooLarge, context));
        }
        let payload = item.into_bytes();
        let data = opcode(&self.settings, &payload)?;
        let message = Message::Frame(Frame::message(payload, OpCode::Data(data), true));
        // Whether a write gets through is found out here, but waited for in `poll_ready` and `poll_flush`.
        let mut nobody = Context::from_waker(Waker::noop());
        // While nothing is blocked, at most WRITE_BUFFER waits, so that there is room for this message behind it; but
        // only for this one, and not for answers to pings.
        self.set_write_buffer(WRITE_BUFFER + len + FRAME_HEADER);
        let outcome = self.context.write(&mut self.pipe.writing(&mut nobody), message);
        self.set_write_buffer(WRITE_BUFFER);
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if is_pending(&error) => {
                self.blocked = true;
                Ok(())
            }
            Err(error) => Err(unexpected(error)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.check_writable()?;
        self.poll_write_out(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if self.closing == Closing::No {
            self.closing = Closing::Flushing;
        }
        self.check_writable()?;
        ready!(self.poll_write_out(cx))?;
        if self.closing == Closing::Flushing {
            self.closing = Closing::Sent;
            let CloseReason { code, reason } = &self.settings.goodbye;
            let goodbye = CloseFrame { code: (*code).into(), reason: (&**reason).into() };
            match self.context.close(&mut self.pipe.writing(cx), Some(goodbye)) {
                Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
                Err(error) if is_pending(&error) => {}
                Err(error) => return Poll::Ready(Err(unexpected(error))),
            }
            ready!(self.poll_write_out(cx))?;
        }
        if let (Some(_), Role::Server) = (&self.end, self.settings.role) {
            // Both sides have said goodbye; RFC 6455 wants the server to hang up first.
            let _ = ready!(self.pipe.poll_shutdown(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_ref()
    }
}

impl<IO> fmt::Debug for WsTransport<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsTransport")
            .field("settings", &self.settings)
            .field("end", &self.end)
            .field("blocked", &self.blocked)
            .field("closing", &self.closing)
            .field("close_reason", &self.close_reason)
            .finish_non_exhaustive()
    }
}

/// What a message is sent as.
fn opcode(settings: &Settings, payload: &[u8]) -> Result<Data, TransportError> {
    let kind = settings.kind;
    if kind == WsMessageKind::Binary {
        return Ok(Data::Binary);
    }
    if settings.any_as_text {
        return Ok(Data::Text);
    }
    // Nearly all of it is ASCII, which is found out several times faster.
    let is_text = payload.is_ascii() || str::from_utf8(payload).is_ok();
    match kind {
        _ if is_text => Ok(Data::Text),
        WsMessageKind::Text => Err(TransportError::new(
            Kind::NotText,
            "a frame that is not UTF-8 cannot be sent as WebSocket text; the message kinds Auto and Binary can",
        )),
        WsMessageKind::Auto | WsMessageKind::Binary => Ok(Data::Binary),
    }
}

fn is_pending(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// What writing to tungstenite fails with; the pipe keeps its own errors to itself, so little is left.
fn unexpected(error: Error) -> TransportError {
    let kind = match error {
        Error::WriteBufferFull(_) => Kind::TooLarge,
        _ => Kind::Lost,
    };
    TransportError::new(kind, "the WebSocket takes no more messages").with_source(error)
}
