//! Between a connection and its transport: where bytes go astray.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use stompede_transport::{
    BoxTransport, CloseReason, Outbound, Transport, TransportError, TransportErrorKind,
};
use tokio::time::Instant;

use super::{Faults, HangUp};
use crate::clock::{self, Timer};

/// A transport that does what the faults in force say. Without any, everything goes straight through.
pub(crate) struct Wire {
    transport: BoxTransport,
    /// `None` is the straight way.
    detour: Option<Box<Detour>>,
}

#[derive(Debug)]
struct Detour {
    faults: Arc<Faults>,
    /// Frames that went out since these faults came into force.
    frames: u64,
    /// What is late on purpose, and until when.
    late: VecDeque<(Instant, Outbound)>,
    timer: Timer,
    /// Frames that go out together.
    joined: BytesMut,
    joined_frames: usize,
    /// What goes out next, each piece by itself.
    pieces: VecDeque<Outbound>,
    /// The last piece is written and not flushed.
    unflushed: bool,
    /// Nothing more comes behind the pieces.
    hangs_up: bool,
    cut: bool,
}

impl Wire {
    pub(crate) fn new(transport: BoxTransport, faults: Arc<Faults>) -> Self {
        let mut wire = Self { transport, detour: None };
        wire.set_faults(faults);
        wire
    }

    /// Puts faults into force. What was late or in pieces goes on its way.
    pub(crate) fn set_faults(&mut self, faults: Arc<Faults>) {
        match &mut self.detour {
            Some(detour) => {
                // It may still hold something, so that the straight way would overtake it.
                detour.frames = 0;
                detour.faults = faults;
                if detour.faults.delay.is_none() {
                    detour.late.iter_mut().for_each(|(due, _)| *due = clock::now());
                }
            }
            None if faults.touch_the_wire() => self.detour = Some(Box::new(Detour::new(faults))),
            None => {}
        }
    }

    pub(crate) fn stalls_reading(&self) -> bool {
        self.detour.as_ref().is_some_and(|detour| detour.faults.stall_reading)
    }

    pub(crate) fn stalls_writing(&self) -> bool {
        self.detour.as_ref().is_some_and(|detour| detour.faults.stall_writing)
    }

    /// Whether the connection is to be dropped as it is.
    pub(crate) fn is_cut(&self) -> bool {
        self.detour.as_ref().is_some_and(|detour| detour.cut)
    }

    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        // Whoever changes the faults wakes the connection.
        if self.stalls_reading() { Poll::Pending } else { self.transport.poll_recv(cx) }
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let Some(detour) = &mut self.detour else { return self.transport.poll_ready(cx) };
        if detour.cut || detour.hangs_up {
            // Nothing of what comes now is written.
            return Poll::Ready(Ok(()));
        }
        if detour.faults.stall_writing {
            return Poll::Pending;
        }
        // What is due now makes room, and a wake-up comes for what is due later.
        while detour.poll_late(cx) {}
        if detour.late.len() >= MAX_LATE {
            return Poll::Pending;
        }
        ready!(detour.poll_pieces(&mut self.transport, cx))?;
        self.transport.poll_ready(cx)
    }

    pub(crate) fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        let Some(detour) = &mut self.detour else { return self.transport.start_send(item) };
        detour.take(item);
        Ok(())
    }

    /// Ready once all is flushed that is not late on purpose.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let Some(detour) = &mut self.detour else { return self.transport.poll_flush(cx) };
        if detour.cut {
            return Poll::Ready(Err(lost()));
        }
        if detour.faults.stall_writing {
            return Poll::Pending;
        }
        while detour.poll_late(cx) {}
        detour.end_joined();
        ready!(detour.poll_pieces(&mut self.transport, cx))?;
        ready!(self.transport.poll_flush(cx))?;
        if detour.hangs_up {
            detour.cut = true;
            return Poll::Ready(Err(lost()));
        }
        Poll::Ready(Ok(()))
    }

    /// How many bytes have gone out, if the transport can tell.
    pub(crate) fn written(&self) -> Option<u64> {
        self.transport.written()
    }

    /// What to close with.
    pub(crate) fn set_goodbye(&mut self, goodbye: CloseReason) {
        self.transport.set_goodbye(goodbye);
    }

    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        ready!(self.poll_flush(cx))?;
        if self.detour.as_ref().is_some_and(|detour| !detour.late.is_empty()) {
            return Poll::Pending;
        }
        self.transport.poll_close(cx)
    }
}

impl Detour {
    fn new(faults: Arc<Faults>) -> Self {
        Self {
            faults,
            frames: 0,
            late: VecDeque::new(),
            timer: Timer::default(),
            joined: BytesMut::new(),
            joined_frames: 0,
            pieces: VecDeque::new(),
            unflushed: false,
            hangs_up: false,
            cut: false,
        }
    }

    fn take(&mut self, mut item: Outbound) {
        if self.hangs_up || item.is_heart_beat() && self.faults.mute_heart_beats {
            return;
        }
        if let Some(HangUp { frames, bytes }) = self.faults.hang_up
            && !item.is_heart_beat()
        {
            self.frames += 1;
            // With nothing to be seen of the next frame, the end comes behind this one and not with the next.
            self.hangs_up = self.frames > frames || self.frames == frames && bytes == 0;
            if self.frames > frames {
                if bytes == 0 {
                    return;
                }
                item = Outbound::whole(item.copy_to_bytes(bytes.min(item.remaining())));
            }
        }
        match self.faults.delay.and_then(|delay| clock::now().checked_add(delay)) {
            Some(due) => self.late.push_back((due, item)),
            // Nothing overtakes what is late.
            None if !self.late.is_empty() => self.late.push_back((clock::now(), item)),
            None => self.shape(item),
        }
    }

    /// Moves one late item on if its time has come.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((due, _)) = self.late.front() else { return false };
        if *due > clock::now() && self.timer.poll(Some(*due), cx).is_pending() {
            return false;
        }
        let item = self.late.pop_front();
        item.into_iter().for_each(|(_, item)| self.shape(item));
        true
    }

    /// Makes pieces of an item.
    fn shape(&mut self, item: Outbound) {
        let Some(frames) = self.faults.join.filter(|_| !item.is_heart_beat()) else {
            self.end_joined();
            return self.cut_up(item);
        };
        self.joined.extend_from_slice(&item.into_bytes());
        self.joined_frames += 1;
        if self.joined_frames >= frames {
            self.end_joined();
        }
    }

    fn end_joined(&mut self) {
        self.joined_frames = 0;
        if !self.joined.is_empty() {
            let joined = Outbound::whole(self.joined.split().freeze());
            self.cut_up(joined);
        }
    }

    fn cut_up(&mut self, mut item: Outbound) {
        let Some(len) = self.faults.chunk else { return self.pieces.push_back(item) };
        while item.has_remaining() {
            let piece = item.copy_to_bytes(len.min(item.remaining()));
            self.pieces.push_back(Outbound::whole(piece));
        }
    }

    /// Writes all pieces; each is flushed before the next where they must not run together.
    fn poll_pieces(
        &mut self,
        transport: &mut BoxTransport,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        loop {
            if self.unflushed {
                ready!(transport.poll_flush(cx))?;
                self.unflushed = false;
            }
            if self.pieces.is_empty() {
                return Poll::Ready(Ok(()));
            }
            ready!(transport.poll_ready(cx))?;
            let Some(piece) = self.pieces.pop_front() else { return Poll::Ready(Ok(())) };
            transport.start_send(piece)?;
            self.unflushed = self.faults.chunk.is_some();
        }
    }
}

fn lost() -> TransportError {
    TransportError::new(TransportErrorKind::Lost, "the connection was cut off on purpose")
}

/// Frames that are late at the same time on one connection.
const MAX_LATE: usize = 1024;
