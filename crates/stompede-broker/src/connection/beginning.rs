//! What is known of a frame that cannot be read.

use std::borrow::Cow;
use std::mem;

use bytes::Bytes;
use stompede_codec::{Decoder, Item, Limits, Version};

/// The beginning of the frame at hand, so that an ERROR about it can name its receipt: the decoder has nothing to say of
/// a frame that it refuses.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// Of chunks before the last; empty unless a frame spans chunks.
    kept: Vec<u8>,
    /// The last chunk, until all whole frames have been taken out of it.
    chunk: Bytes,
}

impl Beginning {
    /// The decoder got a chunk.
    pub(super) fn push(&mut self, chunk: &Bytes) {
        self.chunk = chunk.clone();
    }

    /// There is no whole frame any more in what has arrived, of which `left` bytes remain.
    pub(super) fn settle(&mut self, left: usize) {
        // Not a moment longer than necessary: while it is shared, its buffer cannot be used again.
        let chunk = mem::take(&mut self.chunk);
        if left <= chunk.len() {
            self.kept = Vec::new();
        }
        let fresh = &chunk[chunk.len().saturating_sub(left)..];
        let room = KEPT - self.kept.len();
        self.kept.extend_from_slice(&fresh[..fresh.len().min(room)]);
    }

    /// What the frame says in its `receipt`, where that is among what has arrived; `left` bytes are its and later ones'.
    pub(super) fn receipt(&self, left: usize, version: Option<Version>) -> Option<String> {
        receipt_in(&self.frame(left), version)
    }

    /// What stands behind the first backslash that begins no escape, where that is among what has arrived; `left` as
    /// for a receipt.
    pub(super) fn bad_escape(&self, left: usize) -> Option<u8> {
        let mut frame = self.frame(left).into_owned().into_iter();
        while let Some(byte) = frame.next() {
            if byte == b'\\' {
                let behind = frame.next()?;
                if !b"\\cnr".contains(&behind) {
                    return Some(behind);
                }
            }
        }
        None
    }

    /// What there is of the frame at hand, and perhaps of later ones.
    fn frame(&self, left: usize) -> Cow<'_, [u8]> {
        if left <= self.chunk.len() {
            return self.chunk[self.chunk.len() - left..].into();
        }
        // What is full may have lost what came between it and the chunk.
        let behind = if self.kept.len() < KEPT { &self.chunk[..] } else { &[] };
        [&self.kept, behind].concat().into()
    }
}

/// Looks through the header lines that are whole.
fn receipt_in(frame: &[u8], version: Option<Version>) -> Option<String> {
    for line in frame.split_inclusive(|&byte| byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\n")?;
        if line.is_empty() || line == b"\r" {
            return None;
        }
        if line.starts_with(b"receipt:") {
            return value_of(line, version);
        }
    }
    None
}

/// The value in a line for `receipt`, as the codec reads it.
fn value_of(line: &[u8], version: Option<Version>) -> Option<String> {
    let mut decoder = Decoder::new(Limits::default());
    version.into_iter().for_each(|version| decoder.set_version(version));
    decoder.push_slice(&[b"SEND\n", line, b"\n\n\0"].concat());
    let Ok(Some(Item::Frame(frame))) = decoder.next() else { return None };
    frame.header("receipt").map(String::from)
}

/// Bytes that are kept of a frame that spans chunks. Clients write `receipt` among the first few headers; a thousand
/// frames that are under way hold 8 MiB so.
const KEPT: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands over chunks; gives what is said of the frame that begins so many bytes before their end.
    fn receipt(chunks: &[&str], left: usize) -> Option<String> {
        let mut beginning = Beginning::default();
        let mut arrived = 0;
        let all: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        for (n, chunk) in chunks.iter().enumerate() {
            beginning.push(&Bytes::copy_from_slice(chunk.as_bytes()));
            arrived += chunk.len();
            if n + 1 < chunks.len() {
                beginning.settle((left + arrived).saturating_sub(all));
            }
        }
        beginning.receipt(left, Some(Version::V1_2))
    }

    #[test]
    fn it_is_found_however_the_frame_is_cut() {
        let (before, frame) =
            ("SEND\nreceipt:other\n\n\0", "SEND\na:b\r\nreceipt:r\\c1\r\nb:c\n\nreceipt:body\0");
        let wire = [before, frame].concat();
        for first in 0..wire.len() {
            for second in first..wire.len() {
                let chunks = [&wire[..first], &wire[first..second], &wire[second..]];
                assert_eq!(receipt(&chunks, frame.len()).as_deref(), Some("r:1"), "{first} {second}");
            }
        }
    }

    #[test]
    fn what_is_no_whole_header_line_is_not_taken_for_one() {
        for frame in [
            "SEND\nreceipt:r",
            "SEND\n\nreceipt:r\n",
            "receipt:r\n\n\0",
            "SEND\nreceipt:\\t\n\n\0",
            "SEND\nxreceipt:r\n\n",
        ] {
            assert_eq!(receipt(&[frame], frame.len()), None, "{frame:?}");
        }
    }

    #[test]
    fn no_more_is_kept_than_the_beginning_and_nothing_of_whole_frames() {
        let filler = "x".repeat(KEPT - 10);
        let chunks = ["SEND\na:", &filler, "12345", "\nreceipt:r\n"];
        let len = chunks.iter().map(|chunk| chunk.len()).sum();
        assert_eq!(
            receipt(&chunks, len),
            None,
            "it lies beyond what is kept, and nothing is put together wrongly"
        );
        let mut beginning = Beginning::default();
        beginning.push(&Bytes::from(filler.into_bytes()));
        beginning.settle(100);
        beginning.push(&Bytes::from_static(b"\0"));
        beginning.settle(0);
        assert_eq!((beginning.kept.capacity(), beginning.chunk.len()), (0, 0));
    }
}
