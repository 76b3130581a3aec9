use std::fmt;
use std::io::{self, Write};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tungstenite::Message;
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::frame::{CloseFrame, Utf8Bytes};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::WsMessageKind;
use super::config::Speech;
use super::gather::Gather;
use super::opcode::{BINARY, TEXT};
use super::outgoing::{NotText, Opcode};
use super::pipe::Pipe;
use crate::{CloseReason, Outbound, OutboundFrames, Transport, TransportError, TransportErrorKind as Kind};

/// What tungstenite may keep to write: an answer to a ping, or a close, for which there is no room yet.
///
/// Such a frame has at most 131 bytes. Frames of ours do not go through tungstenite.
const CONTROL_BUFFER: usize = 1024;

/// What tungstenite answers to a close frame with a code such as 1006, and hands on in its place.
const BAD_CODE: (u16, &str) = (1002, "Protocol violation");

/// What a close frame holds besides its code, in bytes.
pub(super) const MAX_REASON: usize = 123;

/// How many messages without a payload (pings, pongs, empty ones) are taken in one poll before others get their turn.
const EMPTY_MAX: usize = 64;

/// A STOMP connection over WebSocket, on either side of it.
///
/// Each [`Outbound`] item becomes one message, as text or binary by [`WsMessageKind`]; a heart-beat is the message
/// `"\n"`. What comes in, text and binary alike, is handed on in chunks of up to 24 KiB: messages of up to 8 KiB are
/// gathered, larger ones stay as they are. Of a larger one that did not come in one read, what came with its header is
/// moved once, to where there is room for all of it: at most the read buffer's size. Pings are answered while
/// [`poll_recv`](Transport::poll_recv) is polled.
///
/// A close frame with code 1000 or 1001, or without one, is an orderly end; other codes are
/// [`Closed`](Kind::Closed) errors with the peer's words. If the connection ends without a close frame, that is
/// [`Lost`](Kind::Lost), unless this side has said goodbye before.
///
/// Too large a message ends it with [`TooLarge`](Kind::TooLarge) and the close code 1009. A client says so at once and
/// sends nothing more. A server still sends what it is given, such as an ERROR frame, and says so in
/// [`poll_close`](Transport::poll_close), which then reads on and forgets what it reads, up to 64 MiB, until the client
/// hangs up: otherwise a client that is still sending might never see it. The caller bounds the time.
///
/// At most 128 KiB and one item wait to be written. The bytes of an item are copied once, 16 KiB at a time, as the
/// stream takes them; whether they are text is looked at once.
pub struct WsTransport<IO> {
    pipe: Pipe<IO>,
    context: WebSocketContext,
    settings: Settings,
    /// What messages are sent as.
    opcode: Opcode,
    gather: Gather,
    /// A larger message in one piece is refused.
    max_payload: usize,
    /// An answer to a ping could not go out at once.
    answering: bool,
    end: Option<End>,
    /// When to send the next ping.
    pings: Option<Interval>,
    closing: Closing,
    close_reason: Option<CloseReason>,
}

/// How a connection behaves once it is up.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) role: Role,
    pub(super) speech: Speech,
    pub(super) subprotocol: Option<Box<str>>,
    /// What this side's close frame says.
    pub(super) goodbye: CloseReason,
}

/// How receiving ended.
#[derive(Clone, Debug)]
enum End {
    Orderly,
    Failed(TransportError),
    /// On a server: what comes is too large to be taken, and the client can still be told so.
    Oversized(TransportError),
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
        let Speech { max_message, max_frame, read_buffer, write_timeout, .. } = settings.speech;
        let max_frame = max_frame.unwrap_or(max_message);
        let config = WebSocketConfig::default()
            .read_buffer_size(read_buffer)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BUFFER)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_frame));
        Self {
            pipe: Pipe::new(io, &leftover, settings.role, read_buffer, write_timeout),
            max_payload: max_message.min(max_frame),
            answering: false,
            context: WebSocketContext::new(settings.role, Some(config)),
            pings: settings.speech.ping_interval.map(pings),
            opcode: opcode(&settings.speech),
            settings,
            gather: Gather::new(),
            end: None,
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
        if self.answering {
            self.answer(cx);
        }
        while !self.gather.is_full() {
            match self.pipe.poll_gather(self.max_payload, &mut self.gather, cx) {
                Poll::Ready(true) => continue,
                Poll::Ready(false) => {}
                Poll::Pending => {
                    self.let_go(cx);
                    return Poll::Pending;
                }
            }
            match self.context.read(&mut self.pipe.reading(cx)) {
                Ok(Message::Close(frame)) => {
                    self.end = Some(self.judge_close(frame, cx));
                    return Poll::Ready(());
                }
                Ok(message) => {
                    if let Message::Ping(_) = message {
                        self.answer(cx);
                    }
                    let payload = match message {
                        Message::Text(text) => text.into(),
                        Message::Binary(data) if !self.settings.speech.text_only => data,
                        _ => Bytes::new(),
                    };
                    let is_empty = payload.is_empty();
                    self.gather.push(payload);
                    if is_empty {
                        empty += 1;
                    } else if self.settings.speech.separate {
                        return Poll::Ready(());
                    }
                    if empty == EMPTY_MAX {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Err(error) if is_pending(&error) => {
                    self.let_go(cx);
                    return Poll::Pending;
                }
                Err(error) => {
                    self.end = Some(self.judge_failure(error, cx));
                    return Poll::Ready(());
                }
            }
        }
        Poll::Ready(())
    }

    /// tungstenite has the answer to a ping ready.
    fn answer(&mut self, cx: &mut Context<'_>) {
        let answered = self.context.flush(&mut self.pipe.reading(cx));
        self.answering = answered.is_err_and(|error| is_pending(&error));
    }

    /// Gives back tungstenite's read buffer while there is nothing to read: it grows to several times its size in a flood
    /// and to the size of the largest message, and never becomes smaller.
    fn let_go(&mut self, cx: &mut Context<'_>) {
        self.pipe.let_go();
        let may = self.closing == Closing::No
            && self.pipe.is_between_messages(self.settings.speech.read_buffer)
            && self.pipe.is_drained();
        // Nothing waits to be written, so this does nothing but tell whether an answer to a ping is left.
        if may && self.context.flush(&mut self.pipe.reading(cx)).is_ok() {
            self.context = WebSocketContext::new(self.settings.role, Some(*self.context.get_config()));
            self.pipe.forget_read();
        }
    }

    /// Sends a ping if it is time, and nothing else is on its way.
    fn poll_pings(&mut self, cx: &mut Context<'_>) {
        let Some(pings) = &mut self.pings else { return };
        while pings.poll_tick(cx).is_ready() {
            if self.closing == Closing::No && self.end.is_none() && self.pipe.is_drained() {
                self.pipe.push_ping();
                // What does not get through at once does with the next flush.
                let _ = self.context.flush(&mut self.pipe.reading(cx));
            }
        }
    }

    fn judge_close(&mut self, frame: Option<CloseFrame>, cx: &mut Context<'_>) -> End {
        // tungstenite has the answer ready. It is a courtesy: if it cannot go out at once, it does with `poll_close`.
        let _ = self.context.flush(&mut self.pipe.reading(cx));
        // On a server, that has ended before the stream was flushed.
        let _ = self.pipe.reading(cx).flush();
        let Some(frame) = frame else {
            return End::Orderly;
        };
        let code = u16::from(frame.code);
        if self.closing != Closing::Sent && (code, frame.reason.as_str()) == BAD_CODE {
            let context = "the peer closed the WebSocket with a code that a close frame may not carry";
            return End::Failed(TransportError::new(Kind::Protocol, context));
        }
        let mut reason = CloseReason::new(code, frame.reason.as_str());
        reason.requested = self.closing == Closing::Sent;
        self.close_reason = Some(reason.clone());
        if reason.requested || matches!(code, 1000 | 1001) {
            return End::Orderly;
        }
        let context =
            format!("the peer closed the WebSocket, which nobody here had asked for, with {reason}");
        End::Failed(TransportError::new(Kind::Closed { code }, context).with_close_reason(reason))
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
        if let (Kind::TooLarge, Role::Server) = (&kind, self.settings.role) {
            self.set_goodbye(CloseReason::new(code.into(), context));
            return End::Oversized(TransportError::new(kind, context).with_source(error));
        }
        if let Error::Io(error) = error {
            return End::Failed(TransportError::from_io(error, "the connection broke while receiving"));
        }
        // Tell the peer why, if that can be done at once.
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(context) };
        let _ = self.context.close(&mut self.pipe.reading(cx), Some(frame));
        End::Failed(TransportError::new(kind, context).with_source(error))
    }

    /// Whether nothing has ended yet. A short answer, for each frame; why is in [`check_sendable`](Self::check_sendable).
    #[inline]
    fn is_open(&self) -> bool {
        self.end.is_none() && self.closing == Closing::No && self.pipe.write_error().is_none()
    }

    #[cold]
    fn too_large(&self, len: usize) -> TransportError {
        let limit = self.settings.speech.max_message;
        let context = format!("a frame of {len} bytes is larger than the limit of {limit} bytes a message");
        TransportError::new(Kind::TooLarge, context)
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
        self.pipe.write_error().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Writes all there is, what tungstenite has included.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        ready!(self.pipe.poll_drain(cx));
        match self.context.flush(&mut self.pipe.writing(cx)) {
            // Closed: only after a goodbye, and the stream was not flushed. Pending: now it is known who waits.
            Ok(()) => {}
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => ready!(self.pipe.poll_flush(cx)),
            Err(error) if is_pending(&error) => ready!(self.pipe.poll_flush(cx)),
            Err(error) => return Poll::Ready(Err(unexpected(error))),
        }
        Poll::Ready(self.check_writable())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Transport for WsTransport<IO> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.poll_pings(cx);
        let filled = match self.end {
            None => self.poll_fill(cx),
            Some(_) => Poll::Ready(()),
        };
        if let Some(chunk) = self.gather.take() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        self.gather.let_go();
        ready!(filled);
        Poll::Ready(match &self.end {
            Some(End::Failed(error) | End::Oversized(error)) => Some(Err(error.clone())),
            Some(End::Orderly) | None => None,
        })
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if !self.is_open() {
            self.check_sendable()?;
        }
        if self.pipe.has_room() {
            return Poll::Ready(Ok(()));
        }
        let drained = self.pipe.poll_drain(cx);
        if drained.is_pending() && self.pipe.has_room() {
            return Poll::Ready(Ok(()));
        }
        ready!(drained);
        Poll::Ready(self.check_writable())
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        if !self.is_open() {
            self.check_sendable()?;
        }
        let len = item.remaining();
        if len > self.settings.speech.max_message {
            return Err(self.too_large(len));
        }
        self.pipe.push(item, self.opcode, self.settings.speech.split).map_err(not_text)
    }

    fn poll_start_frames(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut OutboundFrames,
    ) -> Poll<Result<(), TransportError>> {
        let Speech { max_message, split, .. } = self.settings.speech;
        while let Some(frame) = frames.first() {
            ready!(self.poll_ready(cx))?;
            if frame.len() <= max_message {
                let pushed = self.pipe.push_piece(frame, self.opcode, split);
                if !matches!(pushed, Ok(false)) {
                    frames.skip_first();
                    pushed.map_err(not_text)?;
                    continue;
                }
            }
            if let Some(frame) = frames.next() {
                self.start_send(frame)?;
            }
        }
        Poll::Ready(Ok(()))
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
            let CloseReason { code, reason, .. } = &self.settings.goodbye;
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
        if let Some(End::Oversized(_)) = &self.end {
            ready!(self.pipe.poll_discard(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn written(&self) -> Option<u64> {
        Some(self.pipe.written())
    }

    fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_ref()
    }

    fn set_goodbye(&mut self, mut goodbye: CloseReason) {
        if !CloseCode::from(goodbye.code).is_allowed() {
            return;
        }
        let is_end = |len: &usize| goodbye.reason.is_char_boundary(*len);
        if let Some(len) = (0..=MAX_REASON).rev().find(is_end).filter(|&len| len < goodbye.reason.len()) {
            goodbye.reason = goodbye.reason[..len].into();
        }
        self.settings.goodbye = goodbye;
    }
}

impl<IO> fmt::Debug for WsTransport<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsTransport")
            .field("settings", &self.settings)
            .field("end", &self.end)
            .field("closing", &self.closing)
            .field("close_reason", &self.close_reason)
            .finish_non_exhaustive()
    }
}

/// What a message is sent as.
fn opcode(speech: &Speech) -> Opcode {
    match speech.kind {
        WsMessageKind::Binary => Opcode::Known(BINARY),
        WsMessageKind::Auto | WsMessageKind::Text if speech.any_as_text => Opcode::Known(TEXT),
        WsMessageKind::Auto => Opcode::Text { otherwise: Some(BINARY) },
        WsMessageKind::Text => Opcode::Text { otherwise: None },
    }
}

#[cold]
fn not_text(NotText: NotText) -> TransportError {
    let context =
        "a frame that is not UTF-8 cannot be sent as WebSocket text; the message kinds Auto and Binary can";
    TransportError::new(Kind::NotText, context)
}

fn pings(period: Duration) -> Interval {
    let mut pings = interval(period);
    // The first one is due after the first period; and one that is late is not made up for.
    pings.reset();
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::super::config::Split;
    use super::super::opcode::{CONTINUATION, FIN, PING};
    use super::*;
    use crate::outbound::TEXT_CHECKS;

    fn transport(kind: WsMessageKind, split: Split) -> (WsTransport<DuplexStream>, DuplexStream) {
        let settings = Settings {
            role: Role::Client,
            speech: Speech { kind, split, max_message: 1 << 20, read_buffer: 1024, ..Speech::default() },
            subprotocol: None,
            goodbye: CloseReason::new(1000, ""),
        };
        let (near, far) = duplex(1 << 20);
        (WsTransport::new(near, Bytes::new(), settings), far)
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[first, 126][..], &len, payload].concat()
    }

    #[tokio::test]
    async fn what_a_flood_made_large_is_given_back_and_nothing_is_lost() {
        let (mut transport, mut peer) = transport(WsMessageKind::Auto, Split::No);
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for n in 0..300_usize {
            let payload: Vec<u8> = (0..n * 7919 % 30_000).map(|at| (at * n) as u8).collect();
            // Every third in two fragments, with a ping between.
            let cut = if n.is_multiple_of(3) { payload.len() / 2 } else { payload.len() };
            let is_whole = cut == payload.len();
            wire.extend(frame(if is_whole { FIN | BINARY } else { BINARY }, &payload[..cut]));
            if !is_whole {
                wire.extend(frame(FIN | PING, b""));
                wire.extend(frame(FIN | CONTINUATION, &payload[cut..]));
            }
            expected.extend(payload);
        }
        let (mut received, mut rest, mut renewed) = (Vec::new(), &wire[..], 0);
        for size in [1, 5000, 2, 17, 20_000, 3, 40_000, 1].into_iter().cycle() {
            let (some, after) = rest.split_at(size.min(rest.len()));
            peer.write_all(some).await.unwrap();
            rest = after;
            let mut cx = Context::from_waker(std::task::Waker::noop());
            while let Poll::Ready(chunk) = transport.poll_recv(&mut cx) {
                received.extend_from_slice(&chunk.unwrap().unwrap());
            }
            renewed += usize::from(transport.pipe.is_new());
            if rest.is_empty() {
                break;
            }
        }
        assert!(received == expected);
        assert!(renewed > 0 && transport.pipe.is_new(), "{renewed}");
    }

    #[tokio::test]
    async fn a_ping_is_answered_when_nothing_else_comes_and_when_there_is_room_again() {
        let (near, mut peer) = duplex(1000);
        let speech = Speech { kind: WsMessageKind::Binary, ..Speech::default() };
        let goodbye = CloseReason::new(1000, "");
        let settings = Settings { role: Role::Client, speech, subprotocol: None, goodbye };
        let mut transport = WsTransport::new(near, Bytes::new(), settings);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut answer = [0; 6];
        for blocked in [false, true] {
            if blocked {
                transport.start_send(Outbound::whole(Bytes::from(vec![b'x'; 5000]))).unwrap();
                let flushing = std::future::poll_fn(|cx| Poll::Ready(transport.poll_flush(cx)));
                assert!(flushing.await.is_pending());
            }
            peer.write_all(&[FIN | PING, 0]).await.unwrap();
            assert!(transport.poll_recv(&mut cx).is_pending());
            if blocked {
                // Four bytes of header and four of the mask; nothing but receiving makes it go on.
                let mut frame = vec![0; 5008];
                let reading = async { peer.read_exact(&mut frame).await.unwrap() };
                let receiving = std::future::poll_fn(|cx| transport.poll_recv(cx));
                tokio::select! {
                    _ = reading => {}
                    _ = receiving => unreachable!("nothing comes"),
                }
                assert!(transport.poll_recv(&mut cx).is_pending());
            }
            peer.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[..2], [FIN | 0x0a, 0x80]);
        }
    }

    #[tokio::test]
    async fn a_body_is_checked_as_text_once_and_not_at_all_if_nobody_asks() {
        for (kind, checks) in [(WsMessageKind::Auto, 1), (WsMessageKind::Text, 1), (WsMessageKind::Binary, 0)]
        {
            for split in [Split::No, Split::Messages(1000), Split::Fragments(1000)] {
                let (mut transport, _peer) = transport(kind, split);
                let before = TEXT_CHECKS.get();
                let body = Bytes::from("ö".repeat(100_000));
                transport.start_send(Outbound::split(Bytes::from_static(b"SEND\n\n"), body)).unwrap();
                std::future::poll_fn(|cx| transport.poll_flush(cx)).await.unwrap();
                assert_eq!(TEXT_CHECKS.get() - before, checks, "{kind:?} {split:?}");
            }
        }
    }
}
