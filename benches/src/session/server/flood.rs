//! Messages that are made once and written again and again.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::splitter::Framing;
use crate::corpus;

/// Messages of which any number can be written without making one.
pub(super) struct Flood {
    block: Vec<u8>,
    /// Where each message of the block ends.
    ends: Vec<usize>,
}

impl Flood {
    /// A block of messages to these subscriptions in turn.
    pub(super) fn new(framing: Framing, subscriptions: &[String], body: usize, binary: bool) -> Self {
        let mut flood = Self { block: Vec::new(), ends: Vec::new() };
        let (mut message, mut octets) = (Vec::new(), 0);
        // Without the framing, so that all of them repeat the same messages.
        while octets < BLOCK || !flood.ends.len().is_multiple_of(subscriptions.len()) {
            let n = flood.ends.len();
            message.clear();
            corpus::delivery_to(&subscriptions[n % subscriptions.len()], n, body).write(&mut message);
            framing.wrap(&mut flood.block, &[&message], binary);
            octets += message.len();
            flood.ends.push(flood.block.len());
        }
        flood
    }

    /// Octets that so many messages take.
    pub(super) fn octets(&self, messages: usize) -> usize {
        let rest = messages % self.ends.len();
        messages / self.ends.len() * self.block.len() + if rest == 0 { 0 } else { self.ends[rest - 1] }
    }

    /// Writes so many messages.
    pub(super) async fn write(&self, io: &mut (impl AsyncWrite + Unpin), messages: usize) -> io::Result<()> {
        for _ in 0..messages / self.ends.len() {
            io.write_all(&self.block).await?;
        }
        match messages % self.ends.len() {
            0 => Ok(()),
            rest => io.write_all(&self.block[..self.ends[rest - 1]]).await,
        }
    }
}

impl Framing {
    /// Appends one frame, given in parts.
    pub(super) fn wrap(self, out: &mut Vec<u8>, parts: &[&[u8]], binary: bool) {
        if self == Self::WebSocket {
            let len: usize = parts.iter().map(|part| part.len()).sum();
            out.push(0x80 | if binary { 2 } else { 1 });
            match (u8::try_from(len), u16::try_from(len)) {
                (Ok(len @ ..126), _) => out.push(len),
                (_, Ok(len)) => {
                    out.push(126);
                    out.extend_from_slice(&len.to_be_bytes());
                }
                _ => {
                    out.push(127);
                    out.extend_from_slice(&(len as u64).to_be_bytes());
                }
            }
        }
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }
}

/// Octets of a block, about: a system call takes so many at once.
const BLOCK: usize = 128 * 1024;
