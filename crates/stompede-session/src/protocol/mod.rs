//! The protocol without I/O: it decides, somebody else carries out.
//!
//! [`Machine`] is the whole client side of STOMP as a value. It has no clock (`now` is an argument), no socket, no
//! task. Whoever drives it does four things:
//!
//! 1. [`Machine::start`], then on every [`Output::Dial`] open a connection and report [`Input::Opened`] or
//!    [`Input::DialFailed`];
//! 2. hand what arrives to [`Machine::handle_input`];
//! 3. after each input and each command drain [`Machine::poll_output`] until it says [`Output::Wait`], and call
//!    [`Machine::handle_input`] with [`Input::Timer`] when that time comes;
//! 4. while the connection takes more, write what [`Machine::poll_transmit`] gives; then report [`Input::Flushed`], or
//!    [`Input::Blocked`] while it takes nothing, and [`Input::Written`] when it has taken a part.
//!
//! Messages go to the queue of their subscription ([`Machine::inbox`]), in batches; take them with [`Inbox::poll_take`].
//! While [`Machine::wants_bytes`] says no, leave what has arrived where it is. [`Machine::drain_wakers`] gives the tasks
//! that wait for what has just come.
//!
//! Frames wait inside the machine until the connection takes them, because only then is it known what was written
//! when a connection is lost: a frame that never left is reported as not sent, one that did as unknown.
//!
//! The example `sans_io` of this repository does all of it with a blocking `TcpStream` and a loop.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use bytes::{Buf, Bytes};
//! use stompede_session::Config;
//! use stompede_session::protocol::{Event, Input, Machine, Output};
//!
//! # #[allow(clippy::disallowed_methods)]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Instant::now();
//! let mut machine = Machine::new(Config::new("tcp://localhost".parse()?))?;
//! machine.start(now);
//! assert!(matches!(machine.poll_output(), Output::Dial(_)));
//!
//! machine.handle_input(Input::Opened { now });
//! let connect = machine.poll_transmit(now).expect("CONNECT goes out first");
//! assert!(connect.chunk().starts_with(b"CONNECT\naccept-version:1.0,1.1,1.2\n"));
//!
//! machine.handle_input(Input::Received { now, bytes: Bytes::from_static(b"CONNECTED\nversion:1.2\n\n\0") });
//! assert!(matches!(machine.poll_output(), Output::Event(Event::Connected(_))));
//! // The next thing will be a heart-beat of ours; none here, because the broker asked for none.
//! assert!(matches!(machine.poll_output(), Output::Wait(_)));
//! # Ok(())
//! # }
//! ```

mod attempt;
mod connection;
mod event;
mod history;
mod input;
mod machine;
mod output;

pub use attempt::Attempt;
pub use connection::Connected;
pub use event::Event;
pub use history::{History, Record};
pub use input::Input;
#[cfg(feature = "__planted")]
#[doc(hidden)]
pub use machine::Planted;
#[cfg(feature = "tokio")]
pub(crate) use machine::{Arrival, Place};
pub use machine::{
    Batch, Delivery, End, Fate, Gap, Inbox, Machine, OutboxJob, Outcome, Race, ReceiptId, ReceiptName,
    RenewHeaders, Settle, SubscribeRequest, SubscriptionId, Ticket, TransactionId, WhenFull,
};
pub use output::Output;
