use stompede_codec::{Command, Frame};

/// Why a request was refused: the `message` and the body of an ERROR.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) message: &'static str,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(message: &'static str, text: impl Into<String>) -> Self {
        Self { message, text: text.into() }
    }

    /// The frame lacks a header that it needs.
    pub(crate) fn missing(frame: &Frame, name: &str) -> Self {
        Self::new("missing header", format!("{} needs the header {name}", frame.command()))
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
