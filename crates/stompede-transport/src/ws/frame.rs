//! The frames that are sent: what stands before a payload, and what is done to it.

use rand::Rng;

use super::opcode::MASKED;

/// Keys that nobody can foresee, as RFC 6455 (section 5.3) wants them: random numbers fit for secrets, some at a time.
pub(super) struct Masks {
    keys: [[u8; 4]; 16],
    used: usize,
}

impl Masks {
    pub(super) fn new() -> Self {
        Self { keys: [[0; 4]; 16], used: usize::MAX }
    }

    #[inline]
    pub(super) fn next(&mut self) -> [u8; 4] {
        if let Some(key) = self.keys.get(self.used) {
            self.used += 1;
            return *key;
        }
        rand::rng().fill_bytes(self.keys.as_flattened_mut());
        self.used = 1;
        self.keys[0]
    }
}

/// Appends what stands before a payload of `len` bytes; `first` is the opcode and FIN.
#[inline]
pub(super) fn write_header(buffer: &mut Vec<u8>, first: u8, len: usize, mask: Option<[u8; 4]>) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..126), _) => put(buffer, [first, masked | len], mask),
        (_, Ok(len)) => {
            let [a, b] = len.to_be_bytes();
            put(buffer, [first, masked | 126, a, b], mask);
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = (len as u64).to_be_bytes();
            put(buffer, [first, masked | 127, a, b, c, d, e, f, g, h], mask);
        }
    }
}

/// Arrays, of which the compiler knows the size: to copy so few bytes by a call takes several times as long.
#[inline(always)]
fn put<const N: usize>(buffer: &mut Vec<u8>, header: [u8; N], mask: Option<[u8; 4]>) {
    buffer.reserve(LONGEST_HEADER);
    buffer.extend_from_slice(&header);
    if let Some(mask) = mask {
        buffer.extend_from_slice(&mask);
    }
}

/// Masks what `buffer` has from `at` on. Gives the bits that were set in any byte of that.
pub(super) fn mask_from(buffer: &mut Vec<u8>, at: usize, mask: [u8; 4]) -> u8 {
    // Filled up to whole pieces: the last bytes one by one would take as long as all before them.
    let len = buffer.len();
    buffer.extend_from_slice(&[0; PIECE - 1]);
    let mut keys = [0; PIECE];
    keys.as_chunks_mut().0.fill(mask);
    // Bytes next to each other, not words: so the compiler takes the vector registers that every processor has.
    let mut any = [0; PIECE];
    for piece in buffer[at..].as_chunks_mut::<PIECE>().0 {
        for ((byte, any), key) in piece.iter_mut().zip(&mut any).zip(keys) {
            *any |= *byte;
            *byte ^= key;
        }
    }
    buffer.truncate(len);
    any_bits(&any)
}

/// The bits that are set in any byte. Below 0x80 all of it is ASCII.
pub(super) fn any_bits(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |any, byte| any | byte)
}

/// What is masked at a time.
const PIECE: usize = 16;

/// Opcode, a length of 64 bits and a mask.
const LONGEST_HEADER: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_differ_from_frame_to_frame_and_from_connection_to_connection() {
        let masks: std::collections::HashSet<[u8; 4]> = (0..10)
            .flat_map(|_| {
                let mut masks = Masks::new();
                (0..100).map(move |_| masks.next())
            })
            .collect();
        // Of 1,000 random ones, two are the same once in 8,600 runs; three pairs never.
        assert!(masks.len() > 997, "{}", masks.len());
    }
}
