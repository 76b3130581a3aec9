use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;

use crate::sides::{Received, Sending};
use crate::{Outbound, Transport, TransportError};

/// How many empty items are passed over in one poll before others get their turn.
const EMPTY_MAX: usize = 64;

/// Makes a transport of any stream of bytes that is a sink as well, for use in a [`Connector`](crate::Connector) of
/// one's own.
///
/// Each [`Outbound`] item becomes one item of the sink: its bytes in one piece, copied once if they were apart. So a
/// message transport sends it as one message, and a byte stream in a frame writes it as it is. Items of the stream may
/// be cut anywhere; empty ones are passed over. The end of the stream is an orderly close.
///
/// Two sentences of the contract are for the sink to keep: it must say when it is full, and its two sides must be woken
/// independently. `conformance` finds out.
///
/// ```
/// use stompede_transport::{Connector, Endpoint, from_stream_sink};
/// use tokio::net::TcpStream;
/// use tokio_util::codec::{BytesCodec, Framed};
///
/// fn assert_connector(_: impl Connector) {}
///
/// assert_connector(|endpoint: Endpoint| async move {
///     let stream = TcpStream::connect(endpoint.authority()).await?;
///     Ok(from_stream_sink(Framed::new(stream, BytesCodec::new())))
/// });
/// ```
pub fn from_stream_sink<T, B, E>(io: T) -> StreamSinkTransport<T>
where
    T: Stream<Item = Result<B, E>> + Sink<Bytes> + Unpin,
    B: Into<Bytes>,
    E: Into<TransportError>,
    <T as Sink<Bytes>>::Error: Into<TransportError>,
{
    StreamSinkTransport { io, received: Received::Open, sending: Sending::Open }
}

/// A [`Transport`] over a byte stream and sink; see [`from_stream_sink`].
pub struct StreamSinkTransport<T> {
    io: T,
    received: Received,
    sending: Sending,
}

impl<T> StreamSinkTransport<T> {
    /// What is below.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Keeps a failure of the sink.
    fn sent<O>(&mut self, outcome: Result<O, impl Into<TransportError>>) -> Result<O, TransportError> {
        outcome.map_err(|error| {
            let error = error.into();
            self.sending = Sending::Failed(error.clone());
            error
        })
    }
}

impl<T, B, E> Transport for StreamSinkTransport<T>
where
    T: Stream<Item = Result<B, E>> + Sink<Bytes> + Unpin,
    B: Into<Bytes>,
    E: Into<TransportError>,
    <T as Sink<Bytes>>::Error: Into<TransportError>,
{
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        match &self.received {
            Received::Open => {}
            Received::Ended => return Poll::Ready(None),
            Received::Failed(error) => return Poll::Ready(Some(Err(error.clone()))),
        }
        for _ in 0..EMPTY_MAX {
            match ready!(Pin::new(&mut self.io).poll_next(cx)) {
                Some(Ok(chunk)) => {
                    let chunk = chunk.into();
                    if !chunk.is_empty() {
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                }
                Some(Err(error)) => {
                    let error = error.into();
                    self.received = Received::Failed(error.clone());
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.received = Received::Ended;
                    return Poll::Ready(None);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.sending.check_open()?;
        let outcome = ready!(Pin::new(&mut self.io).poll_ready(cx));
        Poll::Ready(self.sent(outcome))
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.sending.check_open()?;
        let outcome = Pin::new(&mut self.io).start_send(item.into_bytes());
        self.sent(outcome)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match &self.sending {
            Sending::Open => {}
            Sending::Closing => return self.poll_close(cx),
            Sending::Closed => return Poll::Ready(Ok(())),
            Sending::Failed(error) => return Poll::Ready(Err(error.clone())),
        }
        let outcome = ready!(Pin::new(&mut self.io).poll_flush(cx));
        Poll::Ready(self.sent(outcome))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match &self.sending {
            Sending::Open | Sending::Closing => {}
            Sending::Closed => return Poll::Ready(Ok(())),
            Sending::Failed(error) => return Poll::Ready(Err(error.clone())),
        }
        self.sending = Sending::Closing;
        let outcome = ready!(Pin::new(&mut self.io).poll_close(cx));
        self.sent(outcome)?;
        self.sending = Sending::Closed;
        Poll::Ready(Ok(()))
    }
}

impl<T> fmt::Debug for StreamSinkTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSinkTransport")
            .field("received", &self.received)
            .field("sending", &self.sending)
            .finish_non_exhaustive()
    }
}
