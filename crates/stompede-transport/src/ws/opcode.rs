/// Turns the text frames of an unmasked WebSocket stream into binary ones, in place, as the bytes come in.
///
/// RabbitMQ by default answers in text frames, also when a body is not UTF-8. tungstenite would fail the connection
/// over that, and checks each text message for nothing where it would not: the codec checks the heads of STOMP frames
/// itself, and to it a body is bytes. So this walks from frame header to frame header and changes nothing else:
/// what is no valid frame stays invalid, for tungstenite to say so.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextToBinary {
    awaiting: Awaiting,
    /// The last data frame was the last one of its message.
    is_whole: bool,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
enum Awaiting {
    /// FIN, reserved bits and opcode.
    Opcode,
    /// The mask bit and a 7-bit length.
    Length,
    /// One of `missing` bytes of a longer length.
    LongLength { missing: u8, value: u64, masked: bool },
    /// One of so many bytes, at least one, that are to be left alone.
    Payload(u64),
}

/// In the first byte: the last frame of its message.
pub(super) const FIN: u8 = 0x80;
pub(super) const CONTINUATION: u8 = 0x00;
pub(super) const TEXT: u8 = 0x01;
pub(super) const BINARY: u8 = 0x02;
pub(super) const PING: u8 = 0x09;
/// In the second byte.
pub(super) const MASKED: u8 = 0x80;

const OPCODE_MASK: u8 = 0x0f;
/// Of the opcode: a ping, pong or close.
const CONTROL: u8 = 0x08;

impl TextToBinary {
    pub(super) fn new() -> Self {
        Self { awaiting: Awaiting::Opcode, is_whole: true }
    }

    /// Whether no message has begun that has not ended.
    pub(super) fn is_between_messages(&self) -> bool {
        matches!(self.awaiting, Awaiting::Opcode) && self.is_whole
    }

    /// How many bytes are to come, at least, before anything else does.
    pub(super) fn payload(&self) -> u64 {
        if let Awaiting::Payload(left) = self.awaiting { left } else { 0 }
    }

    /// Walks over the next bytes of the stream, however it was cut, up to where a frame ends; how many they are.
    pub(super) fn walk(&mut self, bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        let mut bytes = bytes;
        while let Some((first, mut rest)) = bytes.split_first_mut() {
            match self.awaiting {
                Awaiting::Opcode => {
                    // Continuations (0) have no opcode of their own, control frames (8 and up) are not ours.
                    if *first & CONTROL == 0 {
                        self.is_whole = *first & FIN != 0;
                    }
                    if *first & OPCODE_MASK == TEXT {
                        *first = *first & !OPCODE_MASK | BINARY;
                    }
                    self.awaiting = Awaiting::Length;
                }
                Awaiting::Length => {
                    let masked = *first & MASKED != 0;
                    self.awaiting = match *first & !MASKED {
                        126 => Awaiting::LongLength { missing: 2, value: 0, masked },
                        127 => Awaiting::LongLength { missing: 8, value: 0, masked },
                        short => after_header(short.into(), masked),
                    };
                }
                Awaiting::LongLength { missing, value, masked } => {
                    let value = value << 8 | u64::from(*first);
                    self.awaiting = match missing {
                        1 => after_header(value, masked),
                        _ => Awaiting::LongLength { missing: missing - 1, value, masked },
                    };
                }
                Awaiting::Payload(left) => {
                    // `first` is one of them.
                    let skipped = usize::try_from(left - 1).unwrap_or(usize::MAX).min(rest.len());
                    rest = &mut rest[skipped..];
                    self.awaiting = payload(left - 1 - skipped as u64);
                }
            }
            if let Awaiting::Opcode = self.awaiting {
                return all - rest.len();
            }
            bytes = rest;
        }
        all
    }
}

fn after_header(len: u64, masked: bool) -> Awaiting {
    // A server must not mask. If it does, stay in step all the same: the mask is four bytes before the payload.
    payload(len.saturating_add(if masked { 4 } else { 0 }))
}

fn payload(len: u64) -> Awaiting {
    if len == 0 { Awaiting::Opcode } else { Awaiting::Payload(len) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An unmasked frame.
    pub(in super::super) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
        let (mut frame, len) = (vec![first], payload.len());
        match len {
            0..126 => frame.push(len as u8),
            126..65536 => frame.extend([&[126], &(len as u16).to_be_bytes()[..]].concat()),
            _ => frame.extend([&[127], &(len as u64).to_be_bytes()[..]].concat()),
        }
        frame.extend(payload);
        frame
    }

    /// One with a payload of bytes that would be text opcodes if the walker were out of step.
    fn frame(first: u8, len: usize) -> Vec<u8> {
        unmasked(first, &vec![0x81; len])
    }

    fn walk_all(walker: &mut TextToBinary, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let walked = walker.walk(bytes);
            assert!(walked == bytes.len() || matches!(walker.awaiting, Awaiting::Opcode), "a frame ended");
            bytes = &mut bytes[walked..];
        }
    }

    /// Text, fragmented text with a ping between, 16- and 64-bit lengths, a pong, binary, an empty text, a close.
    fn conversation() -> (Vec<u8>, Vec<u8>) {
        let frames = [
            (0x81, 0x82, 5),
            (0x01, 0x02, 3),
            (0x89, 0x89, 4),
            (0x00, 0x00, 125),
            (0x80, 0x80, 126),
            (0x81, 0x82, 300),
            (0x8a, 0x8a, 0),
            (0x81, 0x82, 0),
            (0x82, 0x82, 2),
            (0x81, 0x82, 65536),
            (0xc1, 0xc2, 1),
            (0x88, 0x88, 2),
        ];
        let join = |firsts: Vec<(u8, usize)>| {
            firsts.into_iter().flat_map(|(first, len)| frame(first, len)).collect()
        };
        (
            join(frames.iter().map(|&(before, _, len)| (before, len)).collect()),
            join(frames.iter().map(|&(_, after, len)| (after, len)).collect()),
        )
    }

    #[test]
    fn only_text_opcodes_change_wherever_the_stream_is_cut() {
        let (before, after) = conversation();
        for cut in 0..before.len().min(1000) {
            let mut bytes = before.clone();
            let mut walker = TextToBinary::new();
            let (head, tail) = bytes.split_at_mut(cut);
            walk_all(&mut walker, head);
            walk_all(&mut walker, tail);
            assert!(bytes == after, "cut at {cut}");
        }
        for size in [1, 2, 3, 7, 4096] {
            let mut bytes = before.clone();
            let mut walker = TextToBinary::new();
            bytes.chunks_mut(size).for_each(|chunk| walk_all(&mut walker, chunk));
            assert!(bytes == after, "in pieces of {size}");
        }
    }

    #[test]
    fn a_masked_frame_does_not_put_it_out_of_step() {
        let mut bytes =
            [[0x81, 0x82, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81].as_slice(), &frame(0x81, 1)].concat();
        let after = [[0x82, 0x82, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81].as_slice(), &frame(0x82, 1)].concat();
        walk_all(&mut TextToBinary::new(), &mut bytes);
        assert_eq!(bytes, after);
    }

    #[test]
    fn the_longest_length_does_not_overflow() {
        let mut bytes = [[0x81, 0xff].as_slice(), &[0xff; 8], &[0x81; 100]].concat();
        TextToBinary::new().walk(&mut bytes);
        assert_eq!(bytes[0], 0x82);
        assert_eq!(bytes[10..], [0x81; 100]);
    }
}
