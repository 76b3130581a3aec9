//! Frames that wait for the connection to take them.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use stompede_codec::{Encoder, Frame};
use stompede_transport::Outbound;

use super::ReceiptId;
use crate::Error;

#[derive(Debug, Default)]
pub(super) struct Transmit {
    /// Goes before everything else: CONNECT, heart-beats, subscriptions that are made again one by one.
    first: VecDeque<(Outbound, Option<Box<Frame>>)>,
    /// The queue waits; only what goes first goes.
    held: bool,
    queue: VecDeque<Entry>,
    bytes: usize,
    /// Bytes of acknowledgements among them.
    ack_bytes: usize,
    /// Frames that were ever queued; the number of the last one.
    queued: u64,
    /// The number of the frame that was taken last.
    last_taken: u64,
    /// Whether frames are kept beside their encoded form, to be told of when they are taken.
    pub(super) keep_frames: bool,
    /// Frames are written into this block one after the other and split off: one allocation serves many.
    block: BytesMut,
    /// What the block had at first.
    block_len: usize,
}

/// One cache line: in a full queue there are a good thousand of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    /// The encoded frame, or all of it before a body that is beside it.
    head: Bytes,
    pub(super) receipt: Option<ReceiptId>,
    /// It is to wait for another connection should this one be lost before it is written.
    lasts: bool,
    ack: bool,
    /// What few frames have.
    more: Option<Box<More>>,
}

#[derive(Debug, Default)]
struct More {
    body: Option<Bytes>,
    /// The frame itself, if somebody wants to be told of it when it is taken, or if it lasts.
    frame: Option<Box<Frame>>,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Entry>() == 64);

impl Entry {
    fn len(&self) -> usize {
        let body = self.more.as_ref().and_then(|more| more.body.as_ref());
        // Behind a body that is beside the frame comes a NUL.
        self.head.len() + body.map_or(0, |body| body.len() + 1)
    }

    /// Whether nothing is to be done about it but to write it.
    fn is_plain(&self) -> bool {
        let is_told = self.more.as_ref().is_some_and(|more| more.frame.is_some());
        !(self.ack || self.lasts || is_told)
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    pub(super) fn into_item(self) -> Outbound {
        self.apart().0
    }

    fn apart(self) -> (Outbound, Option<Box<Frame>>) {
        match self.more.map(|more| *more) {
            None => (Outbound::whole(self.head), None),
            Some(More { body: None, frame }) => (Outbound::whole(self.head), frame),
            Some(More { body: Some(body), frame }) => (Outbound::split(self.head, body), frame),
        }
    }
}

/// A frame on its way out.
pub(super) struct Taken {
    pub(super) item: Outbound,
    pub(super) receipt: Option<ReceiptId>,
    /// There only if somebody wants to be told of it.
    pub(super) frame: Option<Box<Frame>>,
    /// Whether it is an acknowledgement.
    pub(super) ack: bool,
}

impl Transmit {
    /// Encodes `frame` and queues it behind the others.
    pub(super) fn push(
        &mut self,
        encoder: Encoder,
        frame: &Frame,
        receipt: Option<ReceiptId>,
    ) -> Result<(), Error> {
        let told = self.told(frame);
        self.put_last(encoder, frame, None, receipt, told)
    }

    /// The same for one that asks for this RECEIPT and does not say so itself. Nobody is told of it.
    pub(super) fn push_with_receipt(
        &mut self,
        encoder: Encoder,
        frame: &Frame,
        receipt: ReceiptId,
    ) -> Result<(), Error> {
        self.put_last(encoder, frame, Some(receipt), Some(receipt), None)
    }

    /// The same for an acknowledgement.
    pub(super) fn push_ack(
        &mut self,
        encoder: Encoder,
        frame: &Frame,
        receipt: Option<ReceiptId>,
    ) -> Result<(), Error> {
        self.push(encoder, frame, receipt)?;
        if let Some(entry) = self.queue.back_mut() {
            entry.ack = true;
            self.ack_bytes += entry.len();
        }
        Ok(())
    }

    /// What was queued last waits for another connection if this one is lost before it is written.
    pub(super) fn keep_last(&mut self, frame: Frame) {
        if let Some(entry) = self.queue.back_mut() {
            entry.more().frame = Some(Box::new(frame));
            entry.lasts = true;
        }
    }

    /// Encodes `frame` and queues it before all that is not first as well.
    pub(super) fn push_first(&mut self, encoder: Encoder, frame: &Frame) -> Result<(), Error> {
        let item = match self.encode(encoder, frame, None)? {
            (head, None) => Outbound::whole(head),
            (head, Some(body)) => Outbound::split(head, body),
        };
        self.bytes += item.remaining();
        let frame = self.told(frame);
        self.first.push_back((item, frame));
        Ok(())
    }

    /// Whether `frame` can be written.
    pub(super) fn check(&mut self, encoder: Encoder, frame: &Frame) -> Result<(), Error> {
        let before = self.block.len();
        let written = encoder.encode_head(frame, &mut self.block).map_err(Error::unencodable);
        self.block.truncate(before);
        written
    }

    /// Queues a heart-beat.
    pub(super) fn push_heart_beat(&mut self) {
        let item = Outbound::heart_beat();
        self.bytes += item.remaining();
        self.first.push_back((item, None));
    }

    /// Stops the queue, or lets it go on.
    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// The next one to be written.
    pub(super) fn pop(&mut self) -> Option<Taken> {
        if let Some((item, frame)) = self.first.pop_front() {
            self.bytes -= item.remaining();
            return Some(Taken { item, receipt: None, frame, ack: false });
        }
        if self.held {
            return None;
        }
        let entry = self.queue.pop_front()?;
        self.uncount(&entry);
        self.last_taken = entry.number;
        let (receipt, ack) = (entry.receipt, entry.ack);
        let (item, frame) = entry.apart();
        let frame = frame.filter(|_| self.keep_frames);
        Some(Taken { item, receipt, frame, ack })
    }

    /// Takes the next ones out together that are plain.
    pub(super) fn pop_plain(&mut self, into: &mut VecDeque<Entry>) {
        if self.held || !self.first.is_empty() {
            return;
        }
        let mut bytes = 0;
        while bytes < TOGETHER_BYTES && into.len() < TOGETHER {
            if !self.queue.front().is_some_and(Entry::is_plain) {
                break;
            }
            let Some(entry) = self.queue.pop_front() else { break };
            bytes += entry.len();
            self.last_taken = entry.number;
            into.push_back(entry);
        }
        self.bytes -= bytes;
    }

    /// Puts what was taken out by [`pop_plain`](Self::pop_plain) and not written back where it was, the last one first.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.bytes += entry.len();
        self.last_taken = entry.number - 1;
        self.queue.push_front(entry);
    }

    /// Whether [`pop`](Self::pop) has something to give.
    pub(super) fn has_next(&self) -> bool {
        !self.first.is_empty() || !(self.held || self.queue.is_empty())
    }

    /// Takes the frame with this receipt out again; it must never be written.
    pub(super) fn withdraw(&mut self, receipt: ReceiptId) {
        let at = self.queue.iter().position(|entry| entry.receipt == Some(receipt));
        if let Some(entry) = at.and_then(|at| self.queue.remove(at)) {
            self.uncount(&entry);
        }
    }

    /// Whether an acknowledgement with this receipt waits.
    pub(super) fn has_ack(&self, receipt: ReceiptId) -> bool {
        self.ack_bytes > 0 && self.queue.iter().any(|entry| entry.ack && entry.receipt == Some(receipt))
    }

    /// Takes everything out. Gives the frames that are to wait for another connection.
    pub(super) fn clear(&mut self) -> Vec<(Frame, Option<ReceiptId>)> {
        self.first.clear();
        self.held = false;
        (self.bytes, self.ack_bytes) = (0, 0);
        let queue = std::mem::take(&mut self.queue);
        let lasting = queue.into_iter().filter(|entry| entry.lasts);
        lasting.filter_map(|entry| Some((*entry.more?.frame?, entry.receipt))).collect()
    }

    fn told(&self, frame: &Frame) -> Option<Box<Frame>> {
        self.keep_frames.then(|| Box::new(frame.clone()))
    }

    /// `asked` is the RECEIPT that the frame does not ask for itself.
    fn put_last(
        &mut self,
        encoder: Encoder,
        frame: &Frame,
        asked: Option<ReceiptId>,
        receipt: Option<ReceiptId>,
        told: Option<Box<Frame>>,
    ) -> Result<(), Error> {
        let (head, body) = self.encode(encoder, frame, asked)?;
        let more = (body.is_some() || told.is_some()).then(|| Box::new(More { body, frame: told }));
        self.queued += 1;
        let entry = Entry { number: self.queued, head, receipt, lasts: false, ack: false, more };
        self.bytes += entry.len();
        self.queue.push_back(entry);
        Ok(())
    }

    /// The encoded frame, and its body if that is to go beside it.
    #[inline]
    fn encode(
        &mut self,
        encoder: Encoder,
        frame: &Frame,
        receipt: Option<ReceiptId>,
    ) -> Result<(Bytes, Option<Bytes>), Error> {
        let body = frame.body();
        let beside = body.len() > LARGE_BODY;
        self.make_room(ABOUT_A_HEAD + if beside { 0 } else { body.len() });
        encoder.encode_head(frame, &mut self.block).map_err(Error::unencodable)?;
        if let Some(id) = receipt {
            // In the place of the blank line. There is nothing in it that would have to be escaped or refused.
            self.block.truncate(self.block.len() - 1);
            self.block.put_slice(id.end_of_head().as_bytes());
        }
        if beside {
            return Ok((self.block.split().freeze(), Some(body.clone())));
        }
        self.block.put_slice(body);
        self.block.put_u8(0);
        Ok((self.block.split().freeze(), None))
    }

    /// Begins another block if this one has too little left. Whoever sends much has large ones soon.
    fn make_room(&mut self, len: usize) {
        if self.block.capacity() >= len {
            return;
        }
        self.block_len = (2 * self.block_len).clamp(FIRST_BLOCK, BLOCK).max(len);
        // Takes the old block again if all of its frames are gone. Not `reserve`: for what is nearly used up it would take
        // just what is asked for.
        if !self.block.try_reclaim(self.block_len) {
            self.block = BytesMut::with_capacity(self.block_len);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn ack_bytes(&self) -> usize {
        self.ack_bytes
    }

    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    /// The number of the frame that [`pop`](Self::pop) gave last, of those that are not first.
    pub(super) fn last_taken(&self) -> u64 {
        self.last_taken
    }

    /// All frames up to this number have left the queue.
    pub(super) fn taken(&self) -> u64 {
        self.queue.front().map_or(self.queued, |entry| entry.number - 1)
    }

    fn uncount(&mut self, entry: &Entry) {
        self.bytes -= entry.len();
        if entry.ack {
            self.ack_bytes -= entry.len();
        }
    }
}

/// Frames that are taken out together at most, and bytes that they may have before the last one. A transport that has no
/// room for all of them gives the others back.
const TOGETHER: usize = 32;
const TOGETHER_BYTES: usize = 16 * 1024;

/// Bodies above this many bytes are not copied into the block but travel beside their head.
///
/// Below it one contiguous frame is cheaper than a second piece in every write.
const LARGE_BODY: usize = 2 * 1024;

/// What a frame takes besides its body, mostly.
const ABOUT_A_HEAD: usize = 256;

/// A block at first: CONNECT and a SUBSCRIBE or two. An idle session keeps it.
const FIRST_BLOCK: usize = 512;

/// A block in the end: some sixty small frames. A frame that waits keeps its block alive.
const BLOCK: usize = 16 * 1024;
