//! Frames that are taken together: what is done for each once, under one lock, and with one look at the clock.

use std::time::Instant;

use bytes::Bytes;
use stompede_transport::{Outbound, OutboundFrames};

use super::planted::planted;
use super::transmit::TakenPlain;
use super::{Machine, Phase, ReceiptId};

/// Frames that were taken together and are yet to be written; see [`Machine::take_batch`].
#[derive(Debug, Default)]
pub struct Batch {
    frames: OutboundFrames,
    /// What is known of each, those that have been written included.
    taken: Vec<TakenPlain>,
    /// A frame that has to be written by itself.
    alone: Option<Outbound>,
    /// The RECEIPT that the frame asks for which was taken last before these.
    last: Option<ReceiptId>,
    /// The connection that they are for.
    epoch: u64,
}

impl Batch {
    /// The next frame to write.
    pub fn next_frame(&mut self) -> Option<Outbound> {
        self.next_alone().or_else(|| self.frames.next())
    }

    /// The frame to write that came alone.
    pub fn next_alone(&mut self) -> Option<Outbound> {
        self.alone.take()
    }

    /// The frames to write that came together. What is taken out of them counts as written.
    pub fn frames(&mut self) -> &mut OutboundFrames {
        &mut self.frames
    }

    /// Whether there is none left.
    pub fn is_empty(&self) -> bool {
        self.alone.is_none() && self.frames.is_empty()
    }
}

impl Machine {
    /// Takes the next frames to write into `batch`, which is empty: as [`poll_transmit`](Self::poll_transmit), some
    /// thirty small ones at a time.
    ///
    /// Each of them counts as written. Take them when the connection has room for one; once it has no room for the next,
    /// or has refused one, [give the others back](Self::give_back) before anything else is said to the machine. A
    /// connection that has room for the first has room for a frame that came alone.
    pub fn take_batch(&mut self, now: Instant, batch: &mut Batch) {
        batch.taken.clear();
        (batch.epoch, batch.last) = (self.epoch, self.last_taken);
        let joined_acks_first = self.transmit.bytes() == 0;
        if !joined_acks_first && self.transactions.is_empty() && !planted!(self, UnknownBecomesNotSent) {
            self.take_plain(now, batch);
        }
        if batch.taken.is_empty() {
            batch.alone = self.poll_transmit(now);
        }
    }

    fn take_plain(&mut self, now: Instant, batch: &mut Batch) {
        let Phase::Connected(connection) = &mut self.phase else { return };
        self.transmit.pop_plain(&mut batch.frames, &mut batch.taken);
        let Some(last) = batch.taken.last() else { return };
        self.last_taken = last.receipt;
        connection.pulse.on_taken(now);
        connection.pulse.on_frame(now);
        for receipt in batch.taken.iter().filter_map(|frame| frame.receipt) {
            self.receipts.mark_written(receipt);
        }
    }

    /// Puts the frames back into the queue that were taken and not written, as if they had not been taken.
    pub fn give_back(&mut self, batch: &mut Batch) {
        let written = batch.taken.len() - batch.frames.len();
        // A connection that has ended meanwhile has taken the queue with it.
        let same = matches!(self.phase, Phase::Connected(_)) && self.epoch == batch.epoch;
        if planted!(self, LoseWhatComesBack) {
            batch.frames.take_all();
        }
        if batch.frames.is_empty() || !same {
            batch.frames.take_all();
            return;
        }
        self.last_taken = written.checked_sub(1).map_or(batch.last, |last| batch.taken[last].receipt);
        let mut left = batch.frames.take_all();
        if planted!(self, ReturnInReverse) {
            left = in_reverse(left, &mut batch.taken[written..]);
        }
        let frames = batch.taken.drain(written..);
        for receipt in frames.as_slice().iter().filter_map(|frame| frame.receipt) {
            self.receipts.mark_unwritten(receipt);
        }
        self.transmit.put_back(left, frames);
    }
}

/// What a bug does that a test plants.
fn in_reverse(mut octets: Bytes, frames: &mut [TakenPlain]) -> Bytes {
    let mut all: Vec<_> = frames.iter().map(|frame| octets.split_to(frame.len())).collect();
    all.reverse();
    frames.reverse();
    all.concat().into()
}
