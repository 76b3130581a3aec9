use stompede_codec::{Command, DecodeError, DecodeErrorKind, Frame};

use crate::Limit;

/// Why a request was refused: the `message` and the body of an ERROR.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) message: &'static str,
    pub(crate) text: String,
    /// What the client ran into, if there is a counter for it.
    pub(crate) limit: Option<Limit>,
}

impl Refusal {
    pub(crate) fn new(message: &'static str, text: impl Into<String>) -> Self {
        Self { message, text: text.into(), limit: None }
    }

    pub(crate) fn limit(limit: Limit, message: &'static str, text: impl Into<String>) -> Self {
        Self { limit: Some(limit), ..Self::new(message, text) }
    }

    /// The frame lacks a header that it needs.
    pub(crate) fn missing(frame: &Frame, name: &str) -> Self {
        Self::new("missing header", format!("{} needs the header {name}", frame.command()))
    }

    /// The client does not read what there is for it.
    pub(crate) fn slow_consumer(text: String) -> Self {
        Self::limit(Limit::SlowConsumer, "slow consumer", text)
    }

    pub(crate) fn unknown_destination(text: String) -> Self {
        Self::new(UNKNOWN_DESTINATION, text)
    }

    pub(crate) fn is_unknown_destination(&self) -> bool {
        self.message == UNKNOWN_DESTINATION
    }

    /// What came is not STOMP, or too much of it.
    pub(crate) fn bad_frame(error: &DecodeError) -> Self {
        use DecodeErrorKind as Kind;
        match error.kind() {
            Kind::TooManyHeaders { .. }
            | Kind::HeaderLineTooLong { .. }
            | Kind::HeadTooLarge { .. }
            | Kind::BodyTooLarge { .. } => {
                Self::limit(Limit::FrameSize, "frame is too large", error.to_string())
            }
            _ => Self::new("bad frame", error.to_string()),
        }
    }

    /// An ERROR that says what was wrong.
    pub(crate) fn frame(&self, receipt: Option<&str>) -> Frame {
        let mut frame = Frame::new(Command::Error).with_header("message", self.message);
        if let Some(receipt) = receipt {
            frame = frame.with_header("receipt-id", receipt);
        }
        frame.with_header("content-type", "text/plain").with_body(self.text.clone())
    }
}

const UNKNOWN_DESTINATION: &str = "unknown destination";
