//! The frames that are sent: what stands before a payload, and what is done to it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::opcode::MASKED;

/// Keys that nobody who does not have the process's memory can foresee, as RFC 6455 wants them.
///
/// They are the values of SipHash for a count, under a key that comes from the operating system's random numbers.
pub(super) struct Masks {
    random: RandomState,
    count: u64,
    spare: Option<[u8; 4]>,
}

impl Masks {
    pub(super) fn new() -> Self {
        Self { random: RandomState::new(), count: 0, spare: None }
    }

    pub(super) fn next(&mut self) -> [u8; 4] {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        self.count += 1;
        let [a, b, c, d, spare @ ..] = self.random.hash_one(self.count).to_ne_bytes();
        self.spare = Some(spare);
        [a, b, c, d]
    }
}

/// Appends what stands before a payload of `len` bytes; `first` is the opcode and FIN.
pub(super) fn write_header(buffer: &mut Vec<u8>, first: u8, len: usize, mask: Option<[u8; 4]>) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    let mut header = [0; LONGEST_HEADER];
    let mut end = match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..126), _) => {
            header[..2].copy_from_slice(&[first, masked | len]);
            2
        }
        (_, Ok(len)) => {
            header[..2].copy_from_slice(&[first, masked | 126]);
            header[2..4].copy_from_slice(&len.to_be_bytes());
            4
        }
        _ => {
            header[..2].copy_from_slice(&[first, masked | 127]);
            header[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    if let Some(mask) = mask {
        header[end..end + 4].copy_from_slice(&mask);
        end += 4;
    }
    // At once: each part alone would cost as much as the whole.
    buffer.extend_from_slice(&header[..end]);
}

/// Masks a payload, or unmasks it.
pub(super) fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    rest.iter_mut().zip(wide.to_ne_bytes()).for_each(|(byte, mask)| *byte ^= mask);
}

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
