//! Frames that wait for the connection to take them.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use stompede_codec::{Encoder, Frame};
use stompede_transport::{Outbound, OutboundFrames};

use super::ReceiptId;
use crate::{Error, ErrorKind};

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
    encoded: Encoded,
}

/// What is kept of a frame beside its octets, which are those of [`Encoded`] that its turn comes to.
#[derive(Debug)]
struct Entry {
    number: u64,
    receipt: Option<ReceiptId>,
    /// What it has in [`Encoded`]: all of it, or all before a body that is beside it.
    len: u32,
    state: State,
    /// What few frames have.
    more: Option<Box<More>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Waits,
    /// It is an acknowledgement.
    Ack,
    /// It is to wait for another connection should this one be lost before it is written.
    Lasts,
    /// It has been taken out, and only its octets are still there.
    Withdrawn,
}

#[derive(Debug, Default)]
struct More {
    body: Option<Bytes>,
    /// The frame itself, if somebody wants to be told of it when it is taken, or if it lasts.
    frame: Option<Box<Frame>>,
}

/// The octets of the frames, next to each other.
#[derive(Debug, Default)]
struct Encoded {
    /// Those that come before what is in `block`.
    before: VecDeque<Bytes>,
    /// Frames are written into this block one after the other: one allocation serves many.
    block: BytesMut,
    /// What the block had at first.
    block_len: usize,
}

/// A frame that was taken with others.
#[derive(Debug)]
pub(super) struct TakenPlain {
    number: u64,
    pub(super) receipt: Option<ReceiptId>,
    len: u32,
}

impl TakenPlain {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }
}

impl Entry {
    fn len(&self) -> usize {
        let body = self.more.as_ref().and_then(|more| more.body.as_ref());
        // Behind a body that is beside the frame comes a NUL.
        self.len as usize + body.map_or(0, |body| body.len() + 1)
    }

    /// Whether nothing is to be done about it but to write it.
    fn is_plain(&self) -> bool {
        self.state == State::Waits && self.more.is_none()
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
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
            entry.state = State::Ack;
            self.ack_bytes += entry.len();
        }
        Ok(())
    }

    /// What was queued last waits for another connection if this one is lost before it is written.
    pub(super) fn keep_last(&mut self, frame: Frame) {
        if let Some(entry) = self.queue.back_mut() {
            entry.more().frame = Some(Box::new(frame));
            entry.state = State::Lasts;
        }
    }

    /// Encodes `frame` and queues it before all that is not first as well.
    pub(super) fn push_first(&mut self, encoder: Encoder, frame: &Frame) -> Result<(), Error> {
        let mut encoded = BytesMut::new();
        encoder.encode(frame, &mut encoded).map_err(Error::unencodable)?;
        let item = Outbound::whole(encoded.freeze());
        self.bytes += item.remaining();
        let frame = self.told(frame);
        self.first.push_back((item, frame));
        Ok(())
    }

    /// Whether `frame` can be written.
    pub(super) fn check(&mut self, encoder: Encoder, frame: &Frame) -> Result<(), Error> {
        let block = &mut self.encoded.block;
        let before = block.len();
        let written = encoder.encode_head(frame, block).map_err(Error::unencodable);
        block.truncate(before);
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
        let head = self.encoded.split_to(entry.len as usize);
        self.forget_withdrawn();
        self.last_taken = entry.number;
        let Entry { receipt, state, more, .. } = entry;
        let More { body, frame } = more.map(|more| *more).unwrap_or_default();
        let item = match body {
            None => Outbound::whole(head),
            Some(body) => Outbound::split(head, body),
        };
        let frame = frame.filter(|_| self.keep_frames);
        Some(Taken { item, receipt, frame, ack: state == State::Ack })
    }

    /// Takes the next ones out together that are plain.
    pub(super) fn pop_plain(&mut self, frames: &mut OutboundFrames, taken: &mut Vec<TakenPlain>) {
        if self.held || !self.first.is_empty() {
            return;
        }
        let most = self.encoded.first_len().min(TOGETHER_BYTES);
        let mut bytes = 0;
        while taken.len() < TOGETHER
            && let Some(entry) = self.queue.front()
            && entry.is_plain()
            && bytes + entry.len as usize <= most
        {
            let &Entry { number, receipt, len, .. } = entry;
            self.queue.pop_front();
            taken.push(TakenPlain { number, receipt, len });
            bytes += len as usize;
        }
        let Some(last) = taken.last() else { return };
        self.last_taken = last.number;
        self.bytes -= bytes;
        frames.refill(self.encoded.split_to(bytes), taken.iter().map(|frame| frame.len));
        self.forget_withdrawn();
    }

    /// Puts what was taken out by [`pop_plain`](Self::pop_plain) and not written back where it was.
    pub(super) fn put_back(&mut self, left: Bytes, frames: impl DoubleEndedIterator<Item = TakenPlain>) {
        self.bytes += left.len();
        self.encoded.put_back(left);
        for TakenPlain { number, receipt, len } in frames.rev() {
            self.last_taken = number - 1;
            self.queue.push_front(Entry { number, receipt, len, state: State::Waits, more: None });
        }
    }

    /// Whether [`pop`](Self::pop) has something to give.
    pub(super) fn has_next(&self) -> bool {
        !self.first.is_empty() || !(self.held || self.queue.is_empty())
    }

    /// Takes the frame with this receipt out again; it must never be written.
    pub(super) fn withdraw(&mut self, receipt: ReceiptId) {
        let found = self.queue.iter().position(|entry| entry.receipt == Some(receipt));
        let Some(entry) = found.and_then(|at| self.queue.get_mut(at)) else { return };
        let withdrawn = Entry { state: State::Withdrawn, receipt: None, more: None, ..*entry };
        let entry = std::mem::replace(entry, withdrawn);
        self.uncount(&entry);
        self.forget_withdrawn();
    }

    /// Forgets those at the front that were withdrawn.
    #[inline]
    fn forget_withdrawn(&mut self) {
        while let Some(&Entry { state: State::Withdrawn, len, .. }) = self.queue.front() {
            self.queue.pop_front();
            drop(self.encoded.split_to(len as usize));
        }
    }

    /// Whether an acknowledgement with this receipt waits.
    pub(super) fn has_ack(&self, receipt: ReceiptId) -> bool {
        let is_it = |entry: &Entry| entry.state == State::Ack && entry.receipt == Some(receipt);
        self.ack_bytes > 0 && self.queue.iter().any(is_it)
    }

    /// Takes everything out. Gives the frames that are to wait for another connection.
    pub(super) fn clear(&mut self) -> Vec<(Frame, Option<ReceiptId>)> {
        self.first.clear();
        self.held = false;
        (self.bytes, self.ack_bytes) = (0, 0);
        self.encoded.clear();
        let queue = std::mem::take(&mut self.queue);
        let lasting = queue.into_iter().filter(|entry| entry.state == State::Lasts);
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
        let body = Some(frame.body()).filter(|body| body.len() > LARGE_BODY);
        let len = self.encoded.push(encoder, frame, body.is_some(), asked)?;
        let more =
            (body.is_some() || told.is_some()).then(|| Box::new(More { body: body.cloned(), frame: told }));
        self.queued += 1;
        let entry = Entry { number: self.queued, receipt, len, state: State::Waits, more };
        self.bytes += entry.len();
        self.queue.push_back(entry);
        Ok(())
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
        if entry.state == State::Ack {
            self.ack_bytes -= entry.len();
        }
    }
}

impl Encoded {
    /// Encodes a frame behind the others, all before its body if that is `beside` it; how many octets that takes.
    #[inline]
    fn push(
        &mut self,
        encoder: Encoder,
        frame: &Frame,
        beside: bool,
        receipt: Option<ReceiptId>,
    ) -> Result<u32, Error> {
        let body = frame.body();
        self.make_room(ABOUT_A_HEAD + if beside { 0 } else { body.len() });
        let before = self.block.len();
        if let Err(error) = encoder.encode_head(frame, &mut self.block) {
            self.block.truncate(before);
            return Err(Error::unencodable(error));
        }
        if let Some(id) = receipt {
            // In the place of the blank line. There is nothing in it that would have to be escaped or refused.
            self.block.truncate(self.block.len() - 1);
            self.block.put_slice(id.end_of_head().as_bytes());
        }
        if !beside {
            self.block.put_slice(body);
            self.block.put_u8(0);
        }
        u32::try_from(self.block.len() - before).map_err(|_| {
            self.block.truncate(before);
            Error::new(ErrorKind::Unencodable, "the headers of the frame take more than 4 GiB")
        })
    }

    /// Begins another block if this one has too little left. Whoever sends much has large ones soon.
    #[inline]
    fn make_room(&mut self, len: usize) {
        if self.block.capacity() - self.block.len() < len {
            self.renew_block(len);
        }
    }

    fn renew_block(&mut self, len: usize) {
        if !self.block.is_empty() {
            self.before.push_back(self.block.split().freeze());
        }
        self.block_len = (2 * self.block_len).clamp(FIRST_BLOCK, BLOCK).max(len);
        // Takes the old block again if all of its frames are gone. Not `reserve`: for what is nearly used up it would take
        // just what is asked for.
        if !self.block.try_reclaim(self.block_len) {
            self.block = BytesMut::with_capacity(self.block_len);
        }
    }

    /// How many octets of the first frames lie together.
    fn first_len(&self) -> usize {
        self.before.front().map_or(self.block.len(), Bytes::len)
    }

    /// The first octets, which lie together.
    fn split_to(&mut self, len: usize) -> Bytes {
        let Some(first) = self.before.front_mut() else { return self.block.split_to(len).freeze() };
        let octets = first.split_to(len);
        if first.is_empty() {
            self.before.pop_front();
        }
        octets
    }

    fn put_back(&mut self, octets: Bytes) {
        if !octets.is_empty() {
            self.before.push_front(octets);
        }
    }

    fn clear(&mut self) {
        self.before.clear();
        self.block.clear();
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
