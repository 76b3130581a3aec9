//! Frames that wait for the connection to take them.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use stompede_codec::{Encoder, Frame};
use stompede_transport::Outbound;

use super::ReceiptId;
use crate::Error;

#[derive(Debug, Default)]
pub(super) struct Transmit {
    queue: VecDeque<Entry>,
    bytes: usize,
    /// Frames that were ever queued; the number of the last one.
    queued: u64,
    /// Whether frames are kept beside their encoded form, to be told of when they are taken.
    pub(super) keep_frames: bool,
    /// Frames are written into this block one after the other and split off: one allocation serves many.
    block: BytesMut,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    item: Outbound,
    receipt: Option<ReceiptId>,
    /// There only if somebody wants to be told of it.
    frame: Option<Frame>,
}

impl Transmit {
    /// Encodes `frame` and queues it behind the others.
    pub(super) fn push(
        &mut self,
        encoder: Encoder,
        frame: &Frame,
        receipt: Option<ReceiptId>,
    ) -> Result<(), Error> {
        let item = if frame.body().len() > LARGE_BODY {
            encoder.encode_head(frame, &mut self.block).map_err(Error::unencodable)?;
            Outbound::split(self.block.split().freeze(), frame.body().clone())
        } else {
            encoder.encode(frame, &mut self.block).map_err(Error::unencodable)?;
            Outbound::whole(self.block.split().freeze())
        };
        self.bytes += item.remaining();
        self.queued += 1;
        let frame = self.keep_frames.then(|| frame.clone());
        self.queue.push_back(Entry { number: self.queued, item, receipt, frame });
        Ok(())
    }

    /// Queues a heart-beat.
    pub(super) fn push_heart_beat(&mut self) {
        let item = Outbound::heart_beat();
        self.bytes += item.remaining();
        self.queued += 1;
        self.queue.push_back(Entry { number: self.queued, item, receipt: None, frame: None });
    }

    pub(super) fn pop(&mut self) -> Option<(Outbound, Option<ReceiptId>, Option<Frame>)> {
        let Entry { item, receipt, frame, .. } = self.queue.pop_front()?;
        self.bytes -= item.remaining();
        Some((item, receipt, frame))
    }

    /// Takes the frame with this receipt out again; it must never be written.
    pub(super) fn withdraw(&mut self, receipt: ReceiptId) {
        let at = self.queue.iter().position(|entry| entry.receipt == Some(receipt));
        if let Some(entry) = at.and_then(|at| self.queue.remove(at)) {
            self.bytes -= entry.item.remaining();
        }
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    /// All frames up to this number have left the queue.
    pub(super) fn taken(&self) -> u64 {
        self.queue.front().map_or(self.queued, |entry| entry.number - 1)
    }
}

/// Bodies above this many bytes are not copied into the block but travel beside their head.
///
/// Below it one contiguous frame is cheaper than a second piece in every write.
const LARGE_BODY: usize = 4 * 1024;
