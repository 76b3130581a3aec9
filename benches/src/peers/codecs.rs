//! iridium-stomp and async-stomp: decoders over one growing buffer, as `tokio_util::codec::Framed` drives them.

use std::hint::black_box;

use async_stomp::FromServer;
use async_stomp::client::ClientCodec;
use bytes::BytesMut;
use iridium_stomp::codec::{StompCodec, StompItem};
use tokio_util::codec::Decoder;

use super::STUMBLED;
use crate::corpus::CHUNK;
use crate::tally::Tally;

/// Counts the frames of a stream, each as an `iridium_stomp::Frame`.
pub(crate) fn iridium_stomp(wire: &[u8]) -> Tally {
    let mut tally = Tally::default();
    read(wire, StompCodec::new(), |item| {
        if let StompItem::Frame(frame) = black_box(item) {
            tally.frame(frame.command.as_bytes(), frame.headers.len(), &frame.body);
        }
    });
    tally
}

/// Counts the frames of a stream, each as an `async_stomp::Message`.
pub(crate) fn async_stomp(wire: &[u8]) -> Tally {
    let mut tally = Tally::default();
    read(wire, ClientCodec::new(), |message| {
        let message = black_box(message);
        let extra = message.extra_headers.len();
        match &message.content {
            FromServer::Message { headers, body, .. } => {
                tally.frame(b"MESSAGE", headers.len(), body.as_deref().unwrap_or_default());
            }
            FromServer::Receipt { .. } => tally.frame(b"RECEIPT", 1 + extra, &[]),
            FromServer::Error { message, body } => {
                tally.frame(
                    b"ERROR",
                    usize::from(message.is_some()) + extra,
                    body.as_deref().unwrap_or_default(),
                );
            }
            _ => {}
        }
    });
    tally
}

fn read<D: Decoder>(wire: &[u8], mut decoder: D, mut take: impl FnMut(&D::Item)) {
    let mut buffer = BytesMut::new();
    for chunk in wire.chunks(CHUNK) {
        buffer.extend_from_slice(chunk);
        loop {
            match &decoder.decode(&mut buffer) {
                Ok(Some(item)) => take(item),
                Ok(None) => break,
                Err(_) => unreachable!("{STUMBLED}"),
            }
        }
    }
}
