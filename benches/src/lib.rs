//! What the benches feed on: generated streams, the same in every run.

use bytes::{Bytes, BytesMut};
use stompede_codec::{Command, Encoder, Frame, Version};

/// Bytes of a chunk, as one large read from a socket brings them.
pub const CHUNK: usize = 64 * 1024;

/// MESSAGE frames as RabbitMQ sends them: eight headers and 120 bytes of JSON.
#[must_use]
pub fn small(count: usize) -> Vec<Frame> {
    let message = |n: usize| {
        let body = format!("{{\"id\":{n:010},\"text\":\"{}\"}}", "x".repeat(120 - 27));
        Frame::new(Command::Message)
            .with_header("subscription", "sub-0")
            .with_header("destination", "/topic/updates")
            .with_header("message-id", format!("T_sub-0@@session-4fgH2kPqR7@@{n}"))
            .with_header("redelivered", "false")
            .with_header("persistent", "1")
            .with_header("content-type", "application/json")
            .with_header("x-sequence", n.to_string())
            .with_header("content-length", body.len().to_string())
            .with_body(body)
    };
    (0..count).map(message).collect()
}

/// MESSAGE frames with 64 KiB of every byte, NUL included.
#[must_use]
pub fn large(count: usize) -> Vec<Frame> {
    let body: Bytes = (0..=u8::MAX).cycle().take(64 * 1024).collect();
    let message = |n: usize| {
        Frame::new(Command::Message)
            .with_header("subscription", "sub-0")
            .with_header("message-id", n.to_string())
            .with_header("destination", "/topic/blobs")
            .with_body(body.clone())
    };
    (0..count).map(message).collect()
}

/// The frames as one stream of STOMP 1.2.
///
/// # Panics
/// If a frame cannot be written, which is a mistake in this file.
#[must_use]
pub fn wire(frames: &[Frame]) -> Bytes {
    let mut out = BytesMut::new();
    for frame in frames {
        Encoder::new(Version::V1_2).encode(frame, &mut out).expect("1.2 carries everything above");
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_what_they_say() {
        assert!(small(3).iter().all(|frame| frame.body().len() == 120 && frame.headers().len() == 8));
        assert!(large(2).iter().all(|frame| frame.body().len() == 64 * 1024 && frame.body().contains(&0)));
        assert_eq!(wire(&small(5)), wire(&small(5)), "the same in every run");
    }
}
