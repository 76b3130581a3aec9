//! Whether the backslashes of a head begin escapes that are defined, 64 octets at a time.

use super::block::{Block, WIDTH};
use crate::headers::escape::Rules;

/// What was seen of backslashes in a head so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escapes {
    any: bool,
    /// Whether the next octet belongs to an escape: 1 or 0.
    pending: u64,
    /// Where the first backslash stands that begins no escape.
    first_undefined: Option<usize>,
}

impl Escapes {
    pub(crate) const NONE: Self = Self { any: false, pending: 0, first_undefined: None };

    /// Looks at a block that begins at `at` of the frame and has `width` octets; only those whose bit is set in
    /// `belongs` are in the head.
    #[inline]
    pub(crate) fn look(&mut self, block: Block, belongs: u64, width: usize, at: usize, rules: Rules) {
        let backslashes = block.equal_to(b'\\') & belongs;
        if backslashes | self.pending == 0 {
            return;
        }
        self.any = true;
        self.resolve(block, backslashes, belongs, width, at, rules);
    }

    fn resolve(
        &mut self,
        block: Block,
        backslashes: u64,
        belongs: u64,
        width: usize,
        at: usize,
        rules: Rules,
    ) {
        let (escaped, carried) = self.escaped(backslashes);
        self.pending = if width == WIDTH { carried } else { escaped >> width & 1 };
        let mut known = block.equal_to(b'n') | block.equal_to(b'c') | block.equal_to(b'\\');
        if rules.have_carriage_return() {
            known |= block.equal_to(b'r');
        }
        let within = if width == WIDTH { belongs } else { belongs & !(u64::MAX << width) };
        let undefined = escaped & within & !known;
        if undefined != 0 && self.first_undefined.is_none() {
            // The backslash is the octet before, which may stand in the block before.
            self.first_undefined = Some(at + undefined.trailing_zeros() as usize - 1);
        }
    }

    /// Which octets stand behind a backslash that is not itself escaped, and whether the octet behind the
    /// block does.
    fn escaped(&self, backslashes: u64) -> (u64, u64) {
        // In a run of backslashes every second one is escaped. Adding the beginnings of runs to the runs carries
        // through each of them and comes out behind it, which tells runs of odd from runs of even length, 64
        // octets at a time (as simdjson showed for JSON).
        let backslashes = backslashes & !self.pending;
        let behind = backslashes << 1 | self.pending;
        let odd_starts = backslashes & ODD & !behind;
        let (from_odd, carried) = odd_starts.overflowing_add(backslashes);
        ((!ODD ^ (from_odd << 1)) & behind, u64::from(carried))
    }

    /// Whether there was a backslash.
    pub(crate) fn any(&self) -> bool {
        self.any
    }

    /// Where the first backslash stands that begins no escape.
    pub(crate) fn first_undefined(&self) -> Option<usize> {
        self.first_undefined
    }
}

/// Every second bit, the lowest not among them.
const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;

#[cfg(test)]
mod tests {
    use super::{Block, Escapes, WIDTH};
    use crate::headers::escape::Rules;

    /// One octet after the other.
    fn slow(text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < text.len() {
            match text[at..] {
                [b'\\', b'n' | b'c' | b'r' | b'\\', ..] => at += 2,
                // What follows the last backslash has not arrived.
                [b'\\'] => return None,
                [b'\\', ..] => return Some(at),
                _ => at += 1,
            }
        }
        None
    }

    fn fast(text: &[u8], first: usize) -> Option<usize> {
        let mut escapes = Escapes::NONE;
        let mut at = 0;
        while at < text.len() {
            let width = if at == 0 { first } else { WIDTH }.min(text.len() - at);
            let block = Block::first_of(&text[at..at + width]);
            escapes.look(block, u64::MAX, width, at, Rules::V1_2);
            at += width;
        }
        escapes.first_undefined()
    }

    /// Every arrangement of a few octets across the seams of blocks of every width.
    #[test]
    fn runs_of_backslashes_are_told_apart_wherever_a_block_ends() {
        for arrangement in 0..4_usize.pow(6) {
            let octets = (0..6).map(|n| [b'\\', b'n', b't', b'x'][arrangement / 4_usize.pow(n) % 4]);
            let octets: Vec<u8> = octets.collect();
            for first in 1..=7 {
                assert_eq!(fast(&octets, first), slow(&octets), "{}, {first}", octets.escape_ascii());
            }
            let far = [&[b'.'; WIDTH - 3][..], &octets, &[b'\\'; 2 * WIDTH], b"t"].concat();
            assert_eq!(fast(&far, WIDTH), slow(&far), "{}", far.escape_ascii());
        }
    }
}
