//! Receipts that are awaited: a slab of slots, each with a generation, so that an id never means two things.
//!
//! Opening and resolving one allocates nothing once slab and heap have grown to what is outstanding.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use stompede_codec::Frame;

use crate::Error;

/// Names one awaited receipt of one session; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReceiptId {
    index: u32,
    generation: u32,
}

/// How an awaited receipt ended.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "the four truths about a frame; there is no fifth")]
pub enum Outcome {
    /// The RECEIPT came.
    Confirmed,
    /// The broker answered with an ERROR for this very frame.
    Rejected(Error),
    /// The frame was never written.
    NotSent(Error),
    /// The frame was written, and what became of it cannot be known.
    Unknown(Error),
}

/// How long a receipt is awaited, if not as long as the connection lives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Forever,
    At(Instant),
    /// So long from the next input on: who sends need not look at the clock.
    Within(Duration),
}

impl From<Option<Instant>> for Until {
    fn from(deadline: Option<Instant>) -> Self {
        deadline.map_or(Self::Forever, Self::At)
    }
}

#[derive(Debug, Default)]
pub(super) struct Receipts {
    slots: Vec<Slot>,
    free: Vec<u32>,
    awaited: usize,
    deadlines: Deadlines,
    /// Waits that begin with the next input.
    undated: Vec<(Duration, ReceiptId)>,
    /// Who has to be woken once the caller has let go of its locks.
    wakers: Vec<Waker>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    state: SlotState,
}

#[derive(Debug)]
enum SlotState {
    Free,
    Awaited { written: bool, waker: Option<Waker> },
    Ended(Outcome),
}

impl Receipts {
    /// Reserves a slot.
    pub(super) fn open(&mut self, until: Until) -> ReceiptId {
        let state = SlotState::Awaited { written: false, waker: None };
        let id = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.state = state;
                ReceiptId { index, generation: slot.generation }
            }
            None => {
                // Four billion receipts awaited at once do not fit into memory, so the index always fits.
                let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                self.slots.push(Slot { generation: 0, state });
                ReceiptId { index, generation: 0 }
            }
        };
        self.awaited += 1;
        match until {
            Until::Forever => {}
            Until::At(deadline) => self.put_deadline(deadline, id),
            Until::Within(within) => self.undated.push((within, id)),
        }
        id
    }

    /// The waits begin that have no deadline yet.
    pub(super) fn date(&mut self, now: Instant) {
        let mut undated = std::mem::take(&mut self.undated);
        for (within, id) in undated.drain(..) {
            if let Some(deadline) = now.checked_add(within) {
                self.put_deadline(deadline, id);
            }
        }
        self.undated = undated;
    }

    fn put_deadline(&mut self, deadline: Instant, id: ReceiptId) {
        self.deadlines.push(deadline, id);
        self.tidy_deadlines();
    }

    /// Notes that the frame is on its way: from now on nobody can promise that it was not sent.
    pub(super) fn mark_written(&mut self, id: ReceiptId) {
        self.mark(id, true);
    }

    /// Notes that it is not on its way after all.
    pub(super) fn mark_unwritten(&mut self, id: ReceiptId) {
        self.mark(id, false);
    }

    fn mark(&mut self, id: ReceiptId, is_written: bool) {
        if let Some(Slot { state: SlotState::Awaited { written, .. }, .. }) = self.slot(id) {
            *written = is_written;
        }
    }

    /// Ends the wait for `id`, if somebody still waits.
    pub(super) fn resolve(&mut self, id: ReceiptId, outcome: Outcome) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let SlotState::Awaited { waker, .. } = &mut slot.state else { return false };
        let waker = waker.take();
        slot.state = SlotState::Ended(outcome);
        self.awaited -= 1;
        self.wakers.extend(waker);
        true
    }

    /// Ends every wait because the connection has ended, except those that go on with the next one.
    pub(super) fn resolve_all(&mut self, cause: &Error, goes_on: impl Fn(ReceiptId) -> bool) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let SlotState::Awaited { written, .. } = slot.state else { continue };
            let id = ReceiptId { index: index as u32, generation: slot.generation };
            if goes_on(id) {
                continue;
            }
            let outcome =
                if written { Outcome::Unknown(cause.clone()) } else { Outcome::NotSent(cause.clone()) };
            self.resolve(id, outcome);
        }
    }

    /// The next receipt whose time is over, and whether its frame was written.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(ReceiptId, bool)> {
        while let Some((deadline, id)) = self.deadlines.first() {
            if deadline > now {
                return None;
            }
            self.deadlines.remove_first();
            if let Some(Slot { state: SlotState::Awaited { written, .. }, .. }) = self.slot(id) {
                return Some((id, *written));
            }
        }
        None
    }

    /// Takes the outcome of `id`, or arranges for a wake-up. The slot is free again after `Ready`.
    pub(super) fn poll(&mut self, id: ReceiptId, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let Some(slot) = self.slot(id) else { return Poll::Ready(None) };
        if let SlotState::Awaited { waker, .. } = &mut slot.state {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        match self.release(id) {
            Some(SlotState::Ended(outcome)) => Poll::Ready(Some(outcome)),
            _ => Poll::Ready(None),
        }
    }

    /// Nobody waits for `id` any more.
    pub(super) fn forget(&mut self, id: ReceiptId) {
        if let Some(SlotState::Awaited { .. }) = self.release(id) {
            self.awaited -= 1;
        }
    }

    /// The earliest deadline of a receipt that is awaited.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some((deadline, id)) = self.deadlines.first() {
            if self.is_awaited(id) {
                return Some(deadline);
            }
            self.deadlines.remove_first();
        }
        None
    }

    pub(super) fn awaited(&self) -> usize {
        self.awaited
    }

    pub(super) fn has_wakers(&self) -> bool {
        !self.wakers.is_empty()
    }

    pub(super) fn append_wakers(&mut self, to: &mut Vec<Waker>) {
        to.append(&mut self.wakers);
    }

    /// All receipts that are awaited, and whether their frames were written.
    pub(super) fn awaited_ids(&self) -> Vec<(ReceiptId, bool)> {
        let slots = self.slots.iter().zip(0..);
        slots
            .filter_map(|(slot, index)| match slot.state {
                SlotState::Awaited { written, .. } => {
                    Some((ReceiptId { index, generation: slot.generation }, written))
                }
                _ => None,
            })
            .collect()
    }

    /// Whether the frame was written whose receipt this is; `None` if nobody awaits that.
    pub(super) fn is_written(&self, id: ReceiptId) -> Option<bool> {
        match self.slots.get(id.index as usize)? {
            Slot { generation, state: SlotState::Awaited { written, .. } }
                if *generation == id.generation =>
            {
                Some(*written)
            }
            _ => None,
        }
    }

    fn is_awaited(&self, id: ReceiptId) -> bool {
        self.is_written(id).is_some()
    }

    /// Throws deadlines away that mean nothing any more, once they are more than half.
    fn tidy_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.awaited + SPARE_DEADLINES {
            let mut deadlines = std::mem::take(&mut self.deadlines);
            deadlines.retain(|id| self.is_awaited(id));
            self.deadlines = deadlines;
        }
    }

    fn release(&mut self, id: ReceiptId) -> Option<SlotState> {
        let slot = self.slot(id)?;
        slot.generation = slot.generation.wrapping_add(1);
        let state = std::mem::replace(&mut slot.state, SlotState::Free);
        self.free.push(id.index);
        Some(state)
    }

    fn slot(&mut self, id: ReceiptId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.index as usize)?;
        (slot.generation == id.generation && !matches!(slot.state, SlotState::Free)).then_some(slot)
    }
}

/// Deadlines, earliest first; those of receipts that have ended meanwhile stay until they come up, or until they are the
/// greater part.
#[derive(Debug, Default)]
struct Deadlines {
    /// In order. Most waits are equally long, so most deadlines go to the end.
    in_order: VecDeque<(Instant, ReceiptId)>,
    /// Those that came later than one that is later.
    others: BinaryHeap<Reverse<(Instant, ReceiptId)>>,
}

impl Deadlines {
    fn push(&mut self, deadline: Instant, id: ReceiptId) {
        if self.in_order.back().is_none_or(|(last, _)| *last <= deadline) {
            self.in_order.push_back((deadline, id));
        } else {
            self.others.push(Reverse((deadline, id)));
        }
    }

    fn first(&self) -> Option<(Instant, ReceiptId)> {
        let first = self.in_order.front();
        if self.others.is_empty() {
            return first.copied();
        }
        let other = self.others.peek().map(|Reverse(other)| other);
        first.into_iter().chain(other).min().copied()
    }

    fn remove_first(&mut self) {
        if self.others.is_empty() || self.first() == self.in_order.front().copied() {
            self.in_order.pop_front();
        } else {
            self.others.pop();
        }
    }

    fn retain(&mut self, is_awaited: impl Fn(ReceiptId) -> bool) {
        self.in_order.retain(|(_, id)| is_awaited(*id));
        self.others.retain(|Reverse((_, id))| is_awaited(*id));
    }

    fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }
}

/// The id as it stands in a `receipt` header.
impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl ReceiptId {
    /// What [`Display`](fmt::Display) writes, without an allocation.
    pub(super) fn text(self) -> ReceiptText {
        let mut text = ReceiptText::new();
        text.put_id(self);
        text
    }

    /// The header line that asks for it, and the blank line.
    pub(super) fn end_of_head(self) -> ReceiptText {
        let mut text = ReceiptText::new();
        text.put(b'\n');
        text.put(b'\n');
        text.put_id(self);
        text.from -= HEADER.len();
        text.octets[text.from..][..HEADER.len()].copy_from_slice(HEADER);
        text
    }

    /// Reads what [`Display`](fmt::Display) wrote; anything else is no id of ours.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let [b'r', b'-', rest @ ..] = text else { return None };
        let (index, rest) = number(rest)?;
        let [b'-', rest @ ..] = rest else { return None };
        let (generation, rest) = number(rest)?;
        rest.is_empty().then_some(Self { index, generation })
    }
}

/// The number at the beginning, as `Display` writes it, and what follows. "01" is not what was sent.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0u32;
    let mut len = 0;
    while let Some(digit) = text.get(len).and_then(|octet| digit(*octet)) {
        // Neither a zero in front nor a digit too many.
        if len > 0 && number == 0 || number >> (u32::BITS - DIGIT_BITS) != 0 {
            return None;
        }
        number = number << DIGIT_BITS | digit;
        len += 1;
    }
    (len > 0).then_some((number, &text[len..]))
}

fn digit(octet: u8) -> Option<u32> {
    match octet {
        b'0'..=b'9' => Some(u32::from(octet - b'0')),
        b'a'..=b'v' => Some(u32::from(octet - b'a') + 10),
        _ => None,
    }
}

/// A receipt id as text, on the stack. It is written from its end, and its numbers have the base 32: the general way of
/// writing numbers takes longer than the rest of what is done for a receipt.
#[derive(Debug)]
pub(super) struct ReceiptText {
    octets: [u8; MAX_TEXT],
    from: usize,
}

impl ReceiptText {
    fn new() -> Self {
        Self { octets: [0; MAX_TEXT], from: MAX_TEXT }
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.octets.get(self.from..).unwrap_or_default()
    }

    fn put_id(&mut self, id: ReceiptId) {
        self.put_number(id.generation);
        self.put(b'-');
        self.put_number(id.index);
        self.put(b'-');
        self.put(b'r');
    }

    fn put(&mut self, octet: u8) {
        // It always fits: see `MAX_TEXT`.
        self.from -= 1;
        self.octets[self.from] = octet;
    }

    fn put_number(&mut self, mut number: u32) {
        loop {
            self.put(DIGITS[number as usize % DIGITS.len()]);
            number >>= DIGIT_BITS;
            if number == 0 {
                return;
            }
        }
    }
}

/// What a RECEIPT names: its `receipt-id`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a receipt is one of ours or it is not")]
pub enum ReceiptName {
    /// An id that this session gave out, perhaps one that nobody awaits any more.
    Ours(ReceiptId),
    /// Any other text, for example a `receipt` header that a caller wrote.
    Other(Box<str>),
}

impl ReceiptName {
    /// What a RECEIPT names, if it names anything.
    pub(super) fn of(frame: &Frame) -> Option<Self> {
        let ours = frame.headers().get_raw("receipt-id").and_then(ReceiptId::parse);
        ours.map(Self::Ours).or_else(|| frame.header("receipt-id").map(|other| Self::Other(other.into())))
    }

    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            Self::Ours(id) => id.text().as_str() == text,
            Self::Other(other) => **other == *text,
        }
    }
}

/// The text of the `receipt-id` header.
impl fmt::Display for ReceiptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(id) => id.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

const DIGITS: &[u8; 1 << DIGIT_BITS] = b"0123456789abcdefghijklmnopqrstuv";

/// What a digit stands for.
const DIGIT_BITS: u32 = 5;

/// What the line begins with that asks for a receipt.
const HEADER: &[u8] = b"receipt:";

/// "r-", "-" and two numbers of at most seven digits, and what makes it the end of a head.
const MAX_TEXT: usize = HEADER.len() + 3 + 2 * 7 + 2;

/// Deadlines of ended waits that are kept before tidying up: enough that a few waits never cause it.
const SPARE_DEADLINES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any start will do")]
    fn ended_waits_are_not_kept_until_their_deadlines() {
        let start = Instant::now();
        let mut receipts = Receipts::default();
        for n in 0..100_000u32 {
            let deadline = start + Duration::from_millis(u64::from(n));
            let id = receipts.open(Until::At(deadline));
            assert_eq!(receipts.next_deadline(), Some(deadline));
            receipts.resolve(id, Outcome::Confirmed);
            receipts.forget(id);
        }
        assert!(receipts.deadlines.len() <= SPARE_DEADLINES + 1);
        assert_eq!((receipts.slots.len(), receipts.awaited()), (1, 0));
        assert_eq!(receipts.next_deadline(), None);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any start will do")]
    fn deadlines_come_in_order_however_they_were_put_in() {
        let start = Instant::now();
        let mut receipts = Receipts::default();
        let mut expected: Vec<_> = [5, 7, 7, 3, 9, 1, 9, 4, 8, 2]
            .into_iter()
            .map(|seconds| {
                let deadline = start + Duration::from_secs(seconds);
                (deadline, receipts.open(Until::At(deadline)))
            })
            .collect();
        receipts.forget(expected.remove(4).1);
        receipts.forget(expected.remove(4).1);
        expected.sort_unstable();
        let end = start + Duration::from_secs(60);
        for (deadline, id) in expected {
            assert_eq!(receipts.next_deadline(), Some(deadline));
            assert_eq!(receipts.pop_expired(end), Some((id, false)));
        }
        assert_eq!((receipts.next_deadline(), receipts.pop_expired(end)), (None, None));
    }

    #[test]
    fn ids_fit_and_read_back() {
        let [smallest, largest] = [0, u32::MAX].map(|n| ReceiptId { index: n, generation: n });
        assert_eq!(smallest.text().as_str(), "r-0-0");
        assert_eq!(largest.text().as_str(), "r-3vvvvvv-3vvvvvv");
        assert_eq!(largest.end_of_head().as_bytes(), b"receipt:r-3vvvvvv-3vvvvvv\n\n");
        assert_eq!(ReceiptId { index: 31, generation: 907 }.text().as_str(), "r-v-sb");
        for number in (0..u32::BITS).flat_map(|bit| [1 << bit, (1 << bit) - 1, (1 << bit) + 1]) {
            for id in [smallest, largest].map(|id| ReceiptId { index: number, ..id }) {
                assert_eq!(ReceiptId::parse(id.text().as_bytes()), Some(id));
            }
        }
        for other in [
            "r-4000000-0",
            "r-3vvvvvv0-0",
            "r-00-0",
            "r-w-0",
            "r-V-0",
            "r-+1-0",
            "r--1",
            "r-1-",
            "r-1",
            "x-1-1",
        ] {
            assert_eq!(ReceiptId::parse(other.as_bytes()), None, "{other}");
        }
    }
}
