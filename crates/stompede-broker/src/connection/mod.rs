//! One connection's task: reads, answers, writes, and ends.

mod answer;
mod beginning;
mod time;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use stompede_codec::{Decoder, Strictness};
use stompede_transport::{BoxTransport, CloseReason, TransportError, TransportErrorKind};
use tokio::sync::watch;
use tokio::time::Instant;

use self::beginning::Beginning;
use crate::Limit;
use crate::broker::Shared;
use crate::builder::Settings;
use crate::clock::{self, Timer};
use crate::faults::{InForce, Wire};
use crate::heartbeat::HeartBeats;
use crate::personality::Personality;
use crate::place::Place;
use crate::refusal::Refusal;
use crate::requests::Requests;

/// Serves a client until it leaves, errs, or the broker stops.
pub(crate) async fn serve(place: Place, transport: BoxTransport, mut stop: watch::Receiver<bool>) {
    let mut connection = Connection::new(place, transport);
    tokio::select! {
        () = poll_fn(|cx| connection.poll_served(cx)) => {}
        () = stopped(&mut stop) => {}
    }
    // Before the goodbye, which may take a while: what was not settled is for others now.
    connection.state = State::Ended;
    connection.say_goodbye().await;
}

/// Tells a client that it cannot be served, and ends.
pub(crate) async fn turn_away(place: Place, transport: BoxTransport, refusal: &Refusal) {
    let mut connection = Connection::new(place, transport);
    connection.refuse(refusal, None);
    connection.say_goodbye().await;
}

/// Ready once the broker stops, or is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard in the outcome must not live across an await.
    drop(stop.wait_for(|stop| *stop).await);
}

struct Connection {
    place: Place,
    wire: Wire,
    faults: InForce,
    /// Frames of the client since these faults came into force.
    frames: u64,
    decoder: Decoder,
    beginning: Beginning,
    state: State,
    /// The peer has closed, or nothing can be read or written any more.
    gone: bool,
    /// Nothing is read until the peer has read some of what waits for it.
    held: bool,
    timer: Timer,
    /// When last something was taken of what waits, or nothing waited.
    unstalled: Instant,
    /// What the transport had written then.
    written: Option<u64>,
    /// When last something was read.
    heard: Instant,
}

enum State {
    Greeting {
        until: Option<Instant>,
    },
    Open {
        requests: Requests,
        beats: HeartBeats,
    },
    /// After DISCONNECT, where the client has to close.
    Leaving {
        until: Option<Instant>,
    },
    Ended,
}

/// Reads what a client says, as this broker does.
fn decoder(settings: &Settings) -> Decoder {
    let lenient = settings.personality.frames.lenient;
    let strictness = if lenient { Strictness::Lenient } else { Strictness::Strict };
    Decoder::new(settings.limits.frames).with_strictness(strictness)
}

/// How far writing got.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Written {
    All,
    Some,
    Blocked,
}

impl Connection {
    fn new(place: Place, transport: BoxTransport) -> Self {
        let now = clock::now();
        let decoder = decoder(&place.shared.settings);
        let state = State::Greeting { until: place.connect_due() };
        let faults = place.faults.clone();
        Self {
            wire: Wire::new(transport, faults.faults.clone()),
            faults,
            frames: 0,
            place,
            decoder,
            beginning: Beginning::default(),
            state,
            gone: false,
            held: false,
            timer: Timer::default(),
            unstalled: now,
            written: None,
            heard: now,
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.place.shared
    }

    fn habits(&self) -> &Personality {
        &self.place.shared.settings.personality
    }

    /// Ready once the connection is to end: the peer has gone, or there is a last word to be said.
    fn poll_served(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = clock::now();
        self.look_for_faults();
        self.poll_read(cx, now);
        let written = self.poll_write(cx, now);
        let outbox = &self.place.entry.outbox;
        let (bytes, is_ending) = outbox.load();
        // What is left then has only the time of the goodbye: a peer that does not read must not keep its place.
        if self.gone || is_ending || self.is_cut() {
            return Poll::Ready(());
        }
        let max = self.shared().settings.limits.max_outbox_bytes;
        if let State::Open { requests, .. } = &self.state
            && outbox.is_fed_again(max)
        {
            requests.feed();
        }
        if self.held && bytes < max || outbox.poll_news(cx, written == Written::Blocked) {
            cx.waker().wake_by_ref();
        }
        self.poll_time(cx, now, written);
        Poll::Pending
    }

    fn look_for_faults(&mut self) {
        let changed = self.shared().faults.changed_since(self.faults.epoch);
        if let Some(in_force) = changed {
            self.wire.set_faults(in_force.faults.clone());
            self.faults = in_force;
            self.frames = 0;
        }
    }

    /// Whether there is no goodbye.
    fn is_cut(&self) -> bool {
        self.wire.is_cut() || self.place.entry.cut.load(Ordering::Acquire)
    }

    async fn say_goodbye(&mut self) {
        if self.is_cut() {
            return;
        }
        let time = GOODBYE.saturating_add(self.faults.faults.delay.unwrap_or_default());
        let goodbye = async {
            poll_fn(|cx| self.poll_last_words(cx)).await;
            poll_fn(|cx| self.poll_closed(cx)).await;
        };
        let _ = tokio::time::timeout(time, goodbye).await;
    }

    /// Writes what is left.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.look_for_faults();
        let is_over = self.gone || self.is_cut() || self.poll_write(cx, clock::now()) == Written::All;
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Closes in order, and waits for the peer's own close.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.look_for_faults();
        if self.is_cut() {
            return Poll::Ready(());
        }
        if !self.gone && self.wire.poll_close(cx).is_pending() {
            return Poll::Pending;
        }
        while !self.gone {
            match self.wire.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None | Some(Err(_))) => self.gone = true,
            }
        }
        Poll::Ready(())
    }

    /// Reads and answers a turn's worth of frames, unless the peer does not read its answers.
    fn poll_read(&mut self, cx: &mut Context<'_>, now: Instant) {
        let max = self.shared().settings.limits.max_outbox_bytes;
        let mut budget = FRAMES_READ;
        self.held = false;
        loop {
            while let Some(item) = self.next_item() {
                self.answer(item, now);
                budget -= 1;
                if budget == 0 {
                    // There may be more; others come first.
                    return cx.waker().wake_by_ref();
                }
            }
            let (bytes, is_ending) = self.place.entry.outbox.load();
            self.held = bytes >= max;
            if self.gone || is_ending || self.held {
                return;
            }
            match self.wire.poll_recv(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(chunk))) => {
                    self.beginning.push(&chunk);
                    self.decoder.push(chunk);
                    self.heard(now);
                    if self.place.entry.is_ws() && self.habits().ws.one_frame_a_message {
                        self.answer_message(now);
                    }
                    // Chunks cost something too: a byte at a time must not take for ever.
                    budget -= 1;
                    if budget == 0 {
                        return cx.waker().wake_by_ref();
                    }
                }
                Poll::Ready(Some(Err(error))) if *error.kind() == TransportErrorKind::TooLarge => {
                    return self.refuse_size(&error);
                }
                Poll::Ready(None | Some(Err(_))) => self.gone = true,
            }
        }
    }

    /// The transport takes no more, because what comes is larger than any frame may be. It still sends.
    fn refuse_size(&mut self, error: &TransportError) {
        if self.habits().ws.broken.is_some() {
            self.wire.set_goodbye(CloseReason::new(1009, ""));
        }
        self.refuse(&Refusal::limit(Limit::FrameSize, "frame is too large", error.to_string()), None);
    }

    /// Writes a turn's worth of what waits, and flushes.
    fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> Written {
        let mut wrote = false;
        let mut written = Written::Some;
        for _ in 0..FRAMES_WRITTEN {
            match self.wire.poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Pending => {
                    written = Written::Blocked;
                    break;
                }
                Poll::Ready(Err(_)) => return self.give_up(),
            }
            let Some(item) = self.place.entry.outbox.pop() else {
                match self.wire.poll_flush(cx) {
                    Poll::Pending => written = Written::Blocked,
                    Poll::Ready(Ok(())) => written = Written::All,
                    Poll::Ready(Err(_)) => return self.give_up(),
                }
                break;
            };
            wrote = true;
            if self.wire.start_send(item).is_err() {
                return self.give_up();
            }
        }
        if written == Written::Some {
            cx.waker().wake_by_ref();
        }
        self.spoke(now, wrote, written);
        written
    }

    fn give_up(&mut self) -> Written {
        self.gone = true;
        Written::All
    }
}

/// Frames that are answered before others have their turn: a fraction of a millisecond, so that a thousand clients
/// that send as fast as they can keep nobody waiting for a second.
const FRAMES_READ: usize = 32;

/// Frames that are written before others have their turn. Writing one is quicker than answering one.
const FRAMES_WRITTEN: usize = 256;

/// Time for the last words and the peer's own close. A peer that is still there needs a round trip.
const GOODBYE: Duration = Duration::from_secs(1);
