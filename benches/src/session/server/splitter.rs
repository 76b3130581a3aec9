//! Finds frames in what a client sends, with a look at no more octets than that takes.

use std::io;
use std::ops::Range;

/// How frames travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// One after the other.
    Stream,
    /// Each in a WebSocket message of one frame.
    WebSocket,
}

/// What comes next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Read more first.
    More,
    /// One frame. `end` may lie beyond what was read: the rest of a large body is of no interest.
    Frame { head: Range<usize>, body: Range<usize>, end: usize },
    /// A heart-beat, or a WebSocket frame that needs no answer.
    Nothing { end: usize },
    /// A WebSocket ping.
    Ping { payload: Range<usize>, end: usize },
    /// A WebSocket close.
    Close,
}

impl Framing {
    /// Looks at `buffer[at..]`. WebSocket payloads are unmasked in place, as far as they are looked at.
    ///
    /// # Errors
    /// This is not what a client of the bench sends.
    pub(super) fn next(self, buffer: &mut [u8], at: usize) -> io::Result<Step> {
        match self {
            Self::Stream => stream(buffer, at),
            Self::WebSocket => web_socket(buffer, at),
        }
    }
}

fn stream(buffer: &[u8], at: usize) -> io::Result<Step> {
    let octets = &buffer[at..];
    match octets.first() {
        None => return Ok(Step::More),
        Some(b'\n') => return Ok(Step::Nothing { end: at + 1 }),
        Some(_) => {}
    }
    let Some((head, counted)) = head(octets) else { return Ok(Step::More) };
    let body = match counted {
        Some(len) => at + head..at + head + len,
        None => match memchr::memchr(0, &octets[head..]) {
            Some(len) => at + head..at + head + len,
            None => return Ok(Step::More),
        },
    };
    let end = body.end + 1;
    if end > buffer.len() && body.len() <= LOOK_AT {
        return Ok(Step::More);
    }
    Ok(Step::Frame { head: at..at + head, body, end })
}

/// One WebSocket frame (RFC 6455, section 5.2).
fn web_socket(buffer: &mut [u8], at: usize) -> io::Result<Step> {
    let octets = &buffer[at..];
    let [first, second, ..] = *octets else { return Ok(Step::More) };
    let (len_octets, len) = match second & 0x7f {
        126 => (2, octets.get(2..4).map(|len| usize::from(u16::from_be_bytes([len[0], len[1]])))),
        127 => {
            (8, octets.get(2..10).map(|len| len.iter().fold(0, |len, &octet| len << 8 | usize::from(octet))))
        }
        len => (0, Some(usize::from(len))),
    };
    let header = 2 + len_octets + 4;
    let (Some(len), Some(mask)) = (len, octets.get(header - 4..header)) else { return Ok(Step::More) };
    let mask = [mask[0], mask[1], mask[2], mask[3]];
    let start = at + header;
    let end = start + len;
    let looked_at = start..end.min(start + LOOK_AT);
    if buffer.len() < looked_at.end {
        return Ok(Step::More);
    }
    unmask(&mut buffer[looked_at.clone()], mask);
    match first & 0x0f {
        _ if first & 0x80 == 0 || second & 0x80 == 0 => Err(io::ErrorKind::InvalidData.into()),
        1 | 2 if buffer[start] == b'\n' => Ok(Step::Nothing { end }),
        1 | 2 => {
            let Some((head, _)) = head(&buffer[looked_at]) else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a message without a frame"));
            };
            Ok(Step::Frame { head: start..start + head, body: start + head..end - 1, end })
        }
        8 => Ok(Step::Close),
        9 => Ok(Step::Ping { payload: looked_at, end }),
        _ => Ok(Step::Nothing { end }),
    }
}

fn unmask(octets: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from(u32::from_ne_bytes(mask));
    let wide = wide << 32 | wide;
    let mut blocks = octets.chunks_exact_mut(8);
    for block in &mut blocks {
        let value = block.iter().rev().fold(0, |value, &octet| value << 8 | u64::from(octet));
        block.copy_from_slice(&(value ^ wide.to_le()).to_le_bytes());
    }
    for (octet, mask) in blocks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *octet ^= mask;
    }
}

/// Octets up to the body, and those of the body if they are counted.
fn head(octets: &[u8]) -> Option<(usize, Option<usize>)> {
    let (mut at, mut counted) = (0, None);
    loop {
        let line = &octets[at..at + memchr::memchr(b'\n', &octets[at..])?];
        at += line.len() + 1;
        if line.is_empty() {
            return Some((at, counted));
        }
        if let Some(len) = line.strip_prefix(b"content-length:") {
            counted = str::from_utf8(len).ok().and_then(|len| len.trim().parse().ok());
        }
    }
}

/// What is looked at of a payload: any head, and the bodies that are sent back.
const LOOK_AT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &[u8] = b"SEND\ndestination:/a\ncontent-length:3\n\na\0b\0";

    fn masked(payload: &[u8], opcode: u8) -> Vec<u8> {
        let mask = [1, 2, 3, 0x84];
        let mut message = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap()];
        message.extend(mask);
        message.extend(payload.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
        message
    }

    #[test]
    fn a_frame_is_found_wherever_what_was_read_ends() {
        let wire = [b"\n", FRAME].concat();
        assert_eq!(Framing::Stream.next(&mut wire.clone(), 0).unwrap(), Step::Nothing { end: 1 });
        for end in 1..wire.len() {
            assert_eq!(Framing::Stream.next(&mut wire[..end].to_vec(), 1).unwrap(), Step::More);
        }
        let frame = Step::Frame { head: 1..39, body: 39..42, end: 43 };
        assert_eq!(Framing::Stream.next(&mut wire.clone(), 1).unwrap(), frame);

        let wire = masked(FRAME, 1);
        for end in 0..wire.len() {
            assert_eq!(Framing::WebSocket.next(&mut wire[..end].to_vec(), 0).unwrap(), Step::More);
        }
        let mut read = wire.clone();
        let frame = Step::Frame { head: 6..44, body: 44..47, end: 48 };
        assert_eq!(Framing::WebSocket.next(&mut read, 0).unwrap(), frame);
        assert_eq!(&read[6..], FRAME);
    }

    #[test]
    fn payloads_of_any_length_are_unmasked() {
        for len in 1..40 {
            let payload: Vec<u8> = (b'a'..).take(len).collect();
            let mut read = masked(&payload, 9);
            let ping = Step::Ping { payload: 6..6 + len, end: 6 + len };
            assert_eq!(Framing::WebSocket.next(&mut read, 0).unwrap(), ping);
            assert_eq!(read[6..], payload);
        }
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        let next = |payload: &[u8], opcode| Framing::WebSocket.next(&mut masked(payload, opcode), 0).unwrap();
        assert_eq!(next(b"\n", 1), Step::Nothing { end: 7 });
        assert_eq!(next(b"hi", 9), Step::Ping { payload: 6..8, end: 8 });
        assert_eq!(next(b"", 8), Step::Close);
        assert!(Framing::WebSocket.next(&mut [0x81, 0x00, 0, 0, 0, 0], 0).is_err(), "a client masks");
    }

    #[test]
    fn the_rest_of_a_large_body_is_not_waited_for() {
        let wire = b"SEND\ncontent-length:5000\n\n";
        let frame = Step::Frame { head: 0..26, body: 26..5026, end: 5027 };
        assert_eq!(Framing::Stream.next(&mut wire.to_vec(), 0).unwrap(), frame);
    }
}
