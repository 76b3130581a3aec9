//! stomp-agnostic: a handle over a transport that the user writes.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use stomp_agnostic::{
    ClientStompHandle, ClientTransport, FromServer, Message, ReadData, ReadError, ServerResponse, ToServer,
    WriteError,
};

use super::STUMBLED;
use crate::corpus::CHUNK;
use crate::tally::Tally;

/// Hands out the stream chunk by chunk.
///
/// The handle asks for more before it looks at what it has, which suits one frame a WebSocket message. Nothing is
/// what it gets after each frame, so that it takes the next one out of its buffer.
struct Chunks<'a> {
    wire: &'a [u8],
    more: bool,
}

#[async_trait]
impl ClientTransport for Chunks<'_> {
    type ProtocolSideChannel = ();

    async fn write(&mut self, _: Message<ToServer>) -> Result<(), WriteError> {
        Ok(())
    }

    async fn read(&mut self) -> Result<ReadData<()>, ReadError> {
        if !std::mem::replace(&mut self.more, true) {
            return Ok(ReadData::Binary(Bytes::new()));
        }
        if self.wire.is_empty() {
            return Err(ReadError::ConnectionClosed);
        }
        let (chunk, rest) = self.wire.split_at(CHUNK.min(self.wire.len()));
        self.wire = rest;
        Ok(ReadData::Binary(Bytes::copy_from_slice(chunk)))
    }
}

/// Counts the frames of a stream, each as a `stomp_agnostic::Message`.
///
/// # Errors
/// If the peer does not understand the stream.
pub(crate) fn stomp_agnostic(wire: &[u8]) -> Result<Tally, ReadError> {
    let connected = Chunks { wire: b"CONNECTED\nversion:1.2\n\n\0", more: true };
    let connect = ClientStompHandle::connect(connected, "/".into(), None, None, Vec::new());
    let mut handle = ready(connect).expect(STUMBLED);
    handle.as_mut_transport().wire = wire;
    let mut tally = Tally::default();
    loop {
        handle.as_mut_transport().more = false;
        let response = match ready(handle.read_response()) {
            Err(ReadError::ConnectionClosed) => return Ok(tally),
            response => response?,
        };
        if let ServerResponse::Message(message) = response {
            count(&mut tally, black_box(message));
        }
    }
}

fn count(tally: &mut Tally, message: Message<FromServer>) {
    let extra = message.extra_headers.len();
    match message.content {
        FromServer::Message { headers, body, .. } => {
            tally.frame(b"MESSAGE", headers.len(), &body.unwrap_or_default());
        }
        FromServer::Receipt { .. } => tally.frame(b"RECEIPT", 1 + extra, &[]),
        FromServer::Error { message, body } => {
            tally.frame(b"ERROR", usize::from(message.is_some()) + extra, &body.unwrap_or_default());
        }
        _ => {}
    }
}

/// The result of a future that has nothing to wait for.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("every read is answered at once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why this peer is left out of the corpus with heart-beats.
    #[test]
    fn a_chunk_that_begins_with_two_line_ends_is_not_understood() {
        let receipt = |octets: usize| {
            let mut wire = b"RECEIPT\nreceipt-id:".to_vec();
            wire.resize(octets - 3, b'1');
            wire.extend_from_slice(b"\n\n\0");
            wire
        };
        let within = [&receipt(CHUNK - 2)[..], b"\n\n", &receipt(100)].concat();
        assert_eq!(stomp_agnostic(&within).unwrap().frames, 2);
        let between = [&receipt(CHUNK)[..], b"\n\n", &receipt(100)].concat();
        assert!(stomp_agnostic(&between).is_err());
    }
}
