//! Whether the backslashes of a whole head begin escapes that are defined, 64 octets at a time.

use crate::block::{Block, WIDTH};
use crate::headers::escape::Rules;

/// Where the first backslash stands that begins no escape; `None` if all are fine.
pub(crate) fn first_undefined(head: &[u8], rules: Rules) -> Option<usize> {
    // Whether the first octet of a block belongs to an escape: 1 or 0.
    let mut pending = 0;
    for at in (0..head.len()).step_by(WIDTH) {
        let block = Block::first_of(&head[at..]);
        let backslashes = block.equal_to(b'\\');
        if backslashes | pending == 0 {
            continue;
        }
        let (escaped, carried) = escaped(backslashes, pending);
        pending = carried;
        let mut known = block.equal_to(b'n') | block.equal_to(b'c') | block.equal_to(b'\\');
        if rules.have_carriage_return() {
            known |= block.equal_to(b'r');
        }
        let undefined = escaped & !known;
        if undefined != 0 {
            // The backslash is the octet before, which may stand in the block before.
            return Some(at + undefined.trailing_zeros() as usize - 1);
        }
    }
    (pending != 0).then(|| head.len() - 1)
}

/// Which octets stand behind a backslash that is not itself escaped, and whether the octet behind the block does.
fn escaped(backslashes: u64, pending: u64) -> (u64, u64) {
    // In a run of backslashes every second one is escaped. Adding the beginnings of runs to the runs carries through each
    // of them and comes out behind it, which tells runs of odd from runs of even length, 64 octets at a time
    // (as simdjson showed for JSON).
    let backslashes = backslashes & !pending;
    let behind = backslashes << 1 | pending;
    let odd_starts = backslashes & ODD & !behind;
    let (from_odd, carried) = odd_starts.overflowing_add(backslashes);
    ((!ODD ^ (from_odd << 1)) & behind, u64::from(carried))
}

/// Every second bit, the lowest not among them.
const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;

#[cfg(test)]
mod tests {
    use super::{WIDTH, first_undefined};
    use crate::headers::escape::Rules;

    /// One octet after the other.
    fn slow(text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < text.len() {
            match text[at..] {
                [b'\\', b'n' | b'c' | b'r' | b'\\', ..] => at += 2,
                [b'\\', ..] => return Some(at),
                _ => at += 1,
            }
        }
        None
    }

    /// Every arrangement of a few octets at every place around the seams of blocks.
    #[test]
    fn runs_of_backslashes_are_told_apart_wherever_a_block_ends() {
        for arrangement in 0..4_usize.pow(6) {
            let octets = (0..6).map(|n| [b'\\', b'n', b't', b'x'][arrangement / 4_usize.pow(n) % 4]);
            let octets: Vec<u8> = octets.collect();
            for before in (0..=7).map(|n| WIDTH - n).chain([0]) {
                for behind in [&b""[..], b"\n", &[b'\\'; 2 * WIDTH], &[b'\\'; 2 * WIDTH + 1], &[b'.'; WIDTH]]
                {
                    let text = [&[b'.'; WIDTH][..before], &octets, behind].concat();
                    let found = first_undefined(&text, Rules::V1_2);
                    assert_eq!(found, slow(&text), "{}", text.escape_ascii());
                }
            }
        }
    }
}
