use stompede_codec::Frame;

/// Changes frames on their way, or holds them back.
///
/// Synchronous and in the way of every frame: it must not block, and it should be quick. Several are asked in the order
/// in which they were added; the first that says [`Verdict::Drop`] has the last word. A panic in one is logged, and the
/// frame passes.
///
/// ```
/// use stompede::{Frame, Interceptor, Verdict};
///
/// /// Adds a header to everything that is sent.
/// struct Tag;
///
/// impl Interceptor for Tag {
///     fn before_send(&self, frame: &mut Frame) -> Verdict {
///         frame.headers_mut().insert("app", "billing");
///         Verdict::Pass
///     }
/// }
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// A frame is about to be handed over: a SEND, or one of [`Client::send_frame`](crate::Client::send_frame). Called
    /// once for each, before it waits for room, in the task that sends it. Its `receipt` header is not there yet.
    ///
    /// Held back, the caller gets it back with [`ErrorKind::HeldBack`](crate::ErrorKind::HeldBack). CONNECT, SUBSCRIBE
    /// and acknowledgements do not come here: they are made of settings.
    fn before_send(&self, frame: &mut Frame) -> Verdict {
        let _ = frame;
        Verdict::Pass
    }

    /// A MESSAGE is about to be given to its consumer: a stream, a closure, the listeners. Called once for each, in the
    /// task that takes it.
    ///
    /// Dropped, no consumer sees it; in ack mode client-individual it is acknowledged, so that it does not come again.
    /// Leave the headers alone by which it is acknowledged: `ack`, `message-id`, `subscription`.
    fn before_message(&self, frame: &mut Frame) -> Verdict {
        let _ = frame;
        Verdict::Pass
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "a frame goes on or it does not")]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It goes no further.
    Drop,
}
