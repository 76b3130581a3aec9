//! Frames that are taken together: what is done for each once, under one lock, and with one look at the clock.

use std::collections::VecDeque;
use std::time::Instant;

use stompede_transport::Outbound;

use super::planted::planted;
use super::transmit::Entry;
use super::{Machine, Phase, ReceiptId};

/// Frames that were taken together and are yet to be written; see [`Machine::take_batch`].
#[derive(Debug, Default)]
pub struct Batch {
    frames: VecDeque<Entry>,
    /// A frame that has to be written by itself.
    alone: Option<Outbound>,
    /// The RECEIPT that the frame asks for which was written last.
    last: Option<ReceiptId>,
    /// The connection that they are for.
    epoch: u64,
}

impl Batch {
    /// The next frame to write.
    pub fn next_frame(&mut self) -> Option<Outbound> {
        if let Some(alone) = self.alone.take() {
            return Some(alone);
        }
        let entry = self.frames.pop_front()?;
        self.last = entry.receipt;
        Some(entry.into_item())
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
        (batch.epoch, batch.last) = (self.epoch, self.last_taken);
        let joined_acks_first = self.transmit.bytes() == 0;
        if !joined_acks_first && self.transactions.is_empty() && !planted!(self, UnknownBecomesNotSent) {
            self.take_plain(now, batch);
        }
        if batch.frames.is_empty() {
            batch.alone = self.poll_transmit(now);
        }
    }

    fn take_plain(&mut self, now: Instant, batch: &mut Batch) {
        let Phase::Connected(connection) = &mut self.phase else { return };
        self.transmit.pop_plain(&mut batch.frames);
        let Some(last) = batch.frames.back() else { return };
        self.last_taken = last.receipt;
        connection.pulse.on_taken(now);
        connection.pulse.on_frame(now);
        for receipt in batch.frames.iter().filter_map(|entry| entry.receipt) {
            self.receipts.mark_written(receipt);
        }
    }

    /// Puts the frames back into the queue that were taken and not written, as if they had not been taken.
    pub fn give_back(&mut self, batch: &mut Batch) {
        // A connection that has ended meanwhile has taken the queue with it.
        let same = matches!(self.phase, Phase::Connected(_)) && self.epoch == batch.epoch;
        if planted!(self, LoseWhatComesBack) {
            batch.frames.clear();
        }
        if planted!(self, ReturnInReverse) {
            batch.frames.make_contiguous().reverse();
        }
        if same && !batch.frames.is_empty() {
            self.last_taken = batch.last;
        }
        for entry in batch.frames.drain(..).rev().filter(|_| same) {
            if let Some(receipt) = entry.receipt {
                self.receipts.mark_unwritten(receipt);
            }
            self.transmit.put_back(entry);
        }
    }
}
