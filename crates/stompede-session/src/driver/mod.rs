//! Carries out what the protocol decides: dials, reads, writes, wakes. It decides nothing itself.

mod activity;
mod flush;
mod outbox;
mod race;
mod room;
mod shared;
mod write;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use stompede_codec::Frame;
use stompede_transport::{
    BoxTransport, CloseReason, Connector, Transport, TransportError, TransportErrorKind,
};

pub(crate) use self::flush::Flush;
use self::outbox::Storing;
pub(crate) use self::outbox::load;
use self::race::{Dials, News, What};
pub(crate) use self::room::Room;
pub(crate) use self::shared::Shared;
use crate::protocol::{Batch, Event, Input, Machine, Output};
use crate::{BeforeConnect, Config, Error, ErrorKind, Postponed, Stored, rt};

/// Is told what happens in a session, in order, and may change what passes.
///
/// No method may block; each may call any method of the session. Messages of subscriptions go to their consumers and
/// are not repeated in [`on_event`](Self::on_event).
pub trait Observer: Send + Sync {
    /// Something happened. Called by the driver itself.
    fn on_event(&self, event: &Event);

    /// Whether [`Event::Sent`] is told from the beginning; see [`Session::tell_sends`](crate::Session::tell_sends).
    fn wants_sends(&self) -> bool {
        false
    }

    /// A frame that a caller hands over is about to be queued; called once, in the caller's task. `false` holds it back:
    /// the caller gets [`ErrorKind::HeldBack`](crate::ErrorKind::HeldBack).
    fn before_send(&self, frame: &mut Frame) -> bool {
        let _ = frame;
        true
    }

    /// A message is about to be given to its consumer; called once, in the consumer's task. `false` drops it: the consumer
    /// does not see it, and in ack mode client-individual it is acknowledged, so that it does not come again.
    fn before_message(&self, frame: &mut Frame) -> bool {
        let _ = frame;
        true
    }
}

/// Starts the task that drives one session. It ends when the session ends.
pub(crate) fn start(
    config: Config,
    left_over: Vec<Stored>,
    connector: Arc<dyn Connector>,
    observer: Option<Arc<dyn Observer>>,
) -> Result<Arc<Shared>, Error> {
    let span = tracing::debug_span!("session", endpoint = %config.endpoint);
    let receipt_timeout = config.receipt_timeout;
    let before_connect = config.before_connect.clone();
    let storing = config.outbox.clone().map(|outbox| Storing::new(outbox, receipt_timeout));
    let runtime = rt::current()?;
    let mut machine = Machine::with_seed(config, rt::seed())?;
    machine.replay(rt::now(), left_over);
    machine.tell_sends(observer.as_ref().is_some_and(|observer| observer.wants_sends()));
    machine.tell_traffic(observer.is_some());
    machine.start(rt::now());
    let shared = Arc::new(Shared::new(machine, observer, receipt_timeout, runtime.clone()));
    let link = Link::Down;
    let (timer, late_turns, batch, turn) = (None, 0, Batch::default(), Turn::default());
    let driver = Driver {
        shared: shared.clone(),
        connector,
        before_connect,
        storing,
        span,
        link,
        timer,
        late_turns,
        batch,
        turn,
    };
    runtime.spawn(driver);
    Ok(shared)
}

struct Driver {
    shared: Arc<Shared>,
    connector: Arc<dyn Connector>,
    before_connect: Option<BeforeConnect>,
    storing: Option<Storing>,
    /// What happens in a turn is told inside it.
    span: tracing::Span,
    link: Link,
    timer: Option<Pin<Box<rt::Sleep>>>,
    /// Turns in a row in which the timer has waited for what there was to read.
    late_turns: u32,
    /// Empty between turns. Kept, as the next one, for the memory that it has.
    batch: Batch,
    turn: Turn,
}

enum Link {
    Down,
    Dialing(Dials),
    Up {
        transport: BoxTransport,
        closing: bool,
        unflushed: bool,
        /// What the transport said last of how much it has written.
        written: Option<u64>,
    },
}

/// What a locked look at the protocol brought up, to be carried out without the lock.
#[derive(Default)]
struct Turn {
    outputs: Vec<Output>,
    wakers: Vec<Waker>,
    deadline: Option<Instant>,
    /// Whether the protocol wants more bytes.
    reading: bool,
    /// Whether frames have left the queue of which nobody knows that they have been flushed: they may have been refused, or
    /// withdrawn.
    behind: bool,
    more: bool,
    /// Whether the session has ended and all has been said: an end that a handle asks for later has still to be told.
    ended: bool,
}

impl Future for Driver {
    type Output = ();

    /// One turn: dial, read, write, timer. None of them waits for another.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let span = (!this.span.is_disabled()).then(|| this.span.clone());
        let _turn = span.as_ref().map(tracing::Span::enter);
        this.begin(cx);
        this.poll_dial(cx);
        let unread = this.poll_read(cx);
        // Before the timer: a silence is judged by what has arrived.
        let waits = unread && this.was_asleep();
        let mut busy = unread | (!waits && this.poll_timer(cx));
        busy |= this.poll_write(cx);
        // A connection that was lost in this turn may have been followed by a dial, which has to be polled to begin.
        busy |= this.poll_dial(cx);
        // Writing moves deadlines, and a timer that was set must be polled once to be heard.
        this.run_and_wait(None);
        busy |= !waits && this.poll_timer(cx);
        busy |= this.poll_outbox(cx);
        let storing = this.storing.as_ref().is_some_and(Storing::is_busy);
        if let (Link::Down, false, true) = (&this.link, storing, this.turn.ended) {
            return Poll::Ready(());
        }
        if busy {
            // There is more to do, but others want their turn first.
            rt::wake_after_others(cx);
        }
        Poll::Pending
    }
}

impl Drop for Driver {
    /// Nobody waits for a session without its task: its runtime has been shut down, or something that it called panicked.
    fn drop(&mut self) {
        if self.turn.ended {
            return;
        }
        let text =
            "the session's task is gone: its runtime was shut down, or something that it called panicked";
        let mut core = self.shared.lock();
        core.machine.give_back(&mut self.batch);
        core.machine.give_up(Error::new(ErrorKind::Closed, text));
        drop(core);
        self.turn.more = true;
        while self.turn.more {
            self.turn.take(&self.shared, None, false);
            let outputs = std::mem::take(&mut self.turn.outputs);
            outputs.iter().for_each(|output| self.carry_out(output));
            self.turn.wakers.drain(..).for_each(Waker::wake);
            for output in outputs {
                let Output::Event(event) = output else { continue };
                // It may be the one that panicked, and a second panic on the way would end the process.
                let _ = catch_unwind(AssertUnwindSafe(|| self.announce(&event)));
            }
        }
    }
}

impl Driver {
    /// Takes in what handles have brought up since the last turn.
    fn begin(&mut self, cx: &Context<'_>) {
        let mut core = self.shared.lock();
        // Registered first: whatever a handle does from here on wakes this task.
        core.driver = Some(cx.waker().clone());
        core.machine.handle_input(Input::Taken { now: rt::now() });
        self.turn.reading = core.machine.wants_bytes();
        self.turn.behind = core.is_behind();
        let quiet = core.machine.is_quiet();
        drop(core);
        if !quiet {
            self.run(None);
        }
    }

    /// Dials, after asking `before_connect`. `true` if a dial has come to an end, which may have left something to read or
    /// to write.
    fn poll_dial(&mut self, cx: &mut Context<'_>) -> bool {
        let mut ended = false;
        while let Link::Dialing(dials) = &mut self.link {
            let Poll::Ready(news) = dials.poll(cx, &*self.connector, self.before_connect.as_ref()) else {
                break;
            };
            let is_last = dials.is_over();
            ended |= !matches!(news.what, What::Dialing);
            self.on_dial_news(news, is_last);
        }
        ended
    }

    fn on_dial_news(&mut self, News { host, attempt, what }: News, is_last: bool) {
        let now = rt::now();
        let mut core = self.shared.lock();
        let machine = &mut core.machine;
        let mut input = None;
        match what {
            What::Dialing => {
                let event = Event::Connecting(attempt.endpoint.clone());
                tracing::debug!(endpoint = %attempt.endpoint, "connecting");
                machine.note(now, &event);
                machine.set_attempt(attempt);
                drop(core);
                return self.announce(&event);
            }
            What::Open(transport) => {
                machine.win_race(&host, attempt);
                self.link = Link::Up { transport, closing: false, unflushed: false, written: None };
                input = Some(Input::Opened { now });
            }
            What::Failed(error) if is_last => {
                machine.set_attempt(attempt);
                self.link = Link::Down;
                input = Some(Input::DialFailed { now, error });
            }
            What::Failed(error) => machine.leave_race(&host, attempt, error),
            What::Postponed(Postponed { error, for_good: true }) => machine.give_up(error),
            What::Postponed(Postponed { error, .. }) if is_last => machine.fail_attempt(error),
            What::Postponed(Postponed { error, .. }) => machine.withdraw_from_race(&host, error),
        }
        drop(core);
        self.run(input);
    }

    /// Reads what there is, up to a budget; `true` if the budget was what ended it.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..READ_BUDGET {
            let Link::Up { transport, .. } = &mut self.link else { return false };
            if !self.turn.reading {
                return false;
            }
            match transport.poll_recv(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(bytes))) => self.feed(Input::Received { now: rt::now(), bytes }),
                Poll::Ready(None) => {
                    let said = transport.close_reason().and_then(unasked);
                    self.on_cut(said);
                }
                Poll::Ready(Some(Err(error))) => self.on_cut(Some(error)),
            }
        }
        true
    }

    /// Whether the timer comes so late that this machine must have been asleep. Then it waits until what has arrived meanwhile
    /// has been read, within bounds: a flood has no end.
    fn was_asleep(&mut self) -> bool {
        let due = self.timer.as_ref().map(|timer| timer.deadline().into_std());
        let late = due.map_or(Duration::ZERO, |due| rt::now().saturating_duration_since(due));
        self.late_turns = if late < ASLEEP { 0 } else { self.late_turns + 1 };
        (1..=LATE_TURNS).contains(&self.late_turns)
    }

    /// `true` if it was time for something, which may have left something to write.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let mut fired = false;
        while let Some(timer) = &mut self.timer {
            if timer.as_mut().poll(cx).is_pending() {
                break;
            }
            self.timer = None;
            // A late one is judged by what the connection has taken meanwhile.
            let _ = self.poll_write(cx);
            self.run_and_wait(Some(Input::Timer { now: rt::now() }));
            fired = true;
        }
        fired
    }

    /// The connection has ended.
    fn on_cut(&mut self, error: Option<TransportError>) {
        self.link = Link::Down;
        self.feed(Input::Closed { now: rt::now(), error });
    }

    fn feed(&mut self, input: Input) {
        self.run(Some(input));
    }

    /// Carries out what the protocol has to say.
    fn run(&mut self, input: Option<Input>) {
        self.take(input, false);
    }

    /// The same, and sets the timer.
    fn run_and_wait(&mut self, input: Option<Input>) {
        self.take(input, true);
        self.set_timer(self.turn.deadline);
    }

    /// Some at a time, so that the lock is never held for long.
    fn take(&mut self, mut input: Option<Input>, wait: bool) {
        loop {
            self.turn.take(&self.shared, input.take(), wait);
            let mut outputs = std::mem::take(&mut self.turn.outputs);
            // First: whoever is woken or told of something may look at once where the session stands.
            outputs.iter().for_each(|output| self.carry_out(output));
            self.turn.wakers.drain(..).for_each(Waker::wake);
            for output in outputs.drain(..) {
                if let Output::Event(event) = output {
                    self.announce(&event);
                }
            }
            self.turn.outputs = outputs;
            if !self.turn.more {
                return;
            }
        }
    }

    fn carry_out(&mut self, output: &Output) {
        match output {
            Output::Dial(_) => {
                let race = self.shared.lock().machine.race();
                self.link = Link::Dialing(Dials::new(race));
            }
            Output::Close => {
                if let Link::Up { closing, .. } = &mut self.link {
                    *closing = true;
                }
            }
            Output::Abandon => {
                if let Link::Up { mut transport, .. } = std::mem::replace(&mut self.link, Link::Down) {
                    // A goodbye if it can be said without waiting. Dropping the transport closes it either way.
                    let _ = transport.poll_close(&mut Context::from_waker(Waker::noop()));
                }
            }
            Output::Event(event) => self.note_state(event),
            Output::Wait(_) => {}
        }
    }

    /// Says where the session stands, if this changes it.
    fn note_state(&self, event: &Event) {
        self.shared.state.send_if_modified(|state| {
            let Some(next) = state.after(event) else { return false };
            *state = next;
            true
        });
    }

    fn announce(&self, event: &Event) {
        match event {
            Event::Connected(peer) => {
                tracing::debug!(version = %peer.version(), server = ?peer.server(), "connected");
            }
            Event::Disconnected(cause) => tracing::debug!(%cause, "disconnected"),
            Event::Closed(cause) => tracing::debug!(?cause, "session ended"),
            Event::Reconnecting { cause, attempt, next_in } => {
                tracing::debug!(%cause, attempt, ?next_in, "reconnecting");
            }
            _ => {}
        }
        if let Some(observer) = &self.shared.observer {
            observer.on_event(event);
        }
    }

    /// A timer that is set too early is left as it is: deadlines mostly move away, with every frame, and one needless
    /// call is cheaper than moving the timer each time.
    fn set_timer(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        match &mut self.timer {
            Some(timer) if timer.deadline() <= deadline.into() => {}
            Some(timer) => timer.as_mut().reset(deadline.into()),
            timer => *timer = Some(Box::pin(rt::sleep_until(deadline))),
        }
    }
}

impl Turn {
    /// `wait`: looks for how long to wait as well.
    fn take(&mut self, shared: &Shared, input: Option<Input>, wait: bool) {
        let mut core = shared.lock();
        if let Some(Input::Timer { now }) = input {
            core.expire(now, &mut self.wakers);
        }
        if let Some(input) = input {
            core.machine.handle_input(input);
        }
        self.more = true;
        // Where a connection has ended there is nothing left to decode, and all that is to be said of it belongs together.
        while self.outputs.len() < OUTPUT_BUDGET || core.machine.connected().is_none() {
            let Some(output) = core.machine.next_output() else {
                self.more = false;
                break;
            };
            if let Output::Event(event) = &output {
                core.on_event(event, &mut self.wakers);
            }
            self.outputs.push(output);
        }
        if wait && !self.more {
            self.deadline = [core.machine.next_deadline(), core.soonest()].into_iter().flatten().min();
        }
        self.ended = !self.more && core.machine.closed().is_some();
        self.reading = core.machine.wants_bytes();
        self.behind = core.is_behind();
        core.machine.drain_wakers(&mut self.wakers);
    }
}

/// What a peer said that closed in order while nobody here had asked for it: without that, RabbitMQ's "STOMP died" would be
/// lost.
fn unasked(reason: &CloseReason) -> Option<TransportError> {
    // By any other code the transport would not have called it orderly, or has words of its own for it.
    let CloseReason { code: code @ (1000 | 1001), requested: false, .. } = *reason else { return None };
    let context = format!("the broker closed it, with {reason}");
    let error = TransportError::new(TransportErrorKind::Closed { code }, context);
    Some(error.with_close_reason(reason.clone()))
}

/// Chunks read in one turn. With chunks of 16 KiB this is a good hundred small messages: as many as a consumer takes, one by
/// one from many subscriptions, before tokio wants it to yield (128 polls). With more they would pile up. A turn costs as
/// much as a few messages.
const READ_BUDGET: usize = 2;

/// A timer later than this did not only wait for its turn.
const ASLEEP: Duration = Duration::from_millis(500);

/// Turns that such a timer waits at most: with chunks of 16 KiB they read more than a system keeps for one connection.
const LATE_TURNS: u32 = 1024;

/// Outputs taken under one lock. One may stand for 64 messages that were decoded, which take some ten microseconds.
const OUTPUT_BUDGET: usize = 16;
