//! Whether a whole head is UTF-8 and the backslashes in it begin escapes that are defined, 64 octets at a time.

use super::fault::Fault;
use crate::DecodeErrorKind;
use crate::block::{Block, WIDTH};
use crate::headers::escape::Rules;

/// Judges the head that takes the first `len` octets of `frame`; whether it has escapes.
#[cold]
#[inline(never)]
pub(super) fn check(frame: &[u8], len: usize, rules: Rules) -> Result<bool, Fault> {
    let mut has_escapes = false;
    let mut undefined = None;
    // Whether the first octet of a block belongs to an escape: 1 or 0.
    let mut pending = 0;
    // How far the text is known to be UTF-8, and to end with a character.
    let mut valid = 0;
    for at in (0..len).step_by(WIDTH) {
        let block = Block::first_of(&frame[at..]);
        if block.is_plain() && pending == 0 {
            continue;
        }
        let within = u64::MAX >> (WIDTH - WIDTH.min(len - at));
        let beyond_ascii = block.beyond_ascii() & within;
        if beyond_ascii != 0 {
            valid = check_utf8(&frame[..len], at, beyond_ascii, valid)?;
        }
        let backslashes = block.equal_to(b'\\') & within;
        if backslashes | pending == 0 || rules == Rules::Literal {
            continue;
        }
        has_escapes = true;
        if rules.are_strict() && undefined.is_none() {
            let (escaped, carried) = escaped(backslashes, pending);
            pending = carried;
            let unknown = escaped & within & !block.any_of(rules.escape_letters());
            if unknown != 0 {
                // The backslash is the octet before, which may stand in the block before.
                undefined = Some(at + unknown.trailing_zeros() as usize - 1);
            }
        }
    }
    match undefined {
        None => Ok(has_escapes),
        Some(offset) => Err(Fault { kind: DecodeErrorKind::UndefinedEscape, offset }),
    }
}

/// Checks what is not ASCII in the block at `at` and beyond, up to the next octet that is; how far all is valid then.
fn check_utf8(head: &[u8], at: usize, beyond_ascii: u64, valid: usize) -> Result<usize, Fault> {
    let last = at + WIDTH - beyond_ascii.leading_zeros() as usize;
    if last <= valid {
        return Ok(valid);
    }
    let from = valid.max(at + beyond_ascii.trailing_zeros() as usize);
    let behind = head[last..].iter().position(u8::is_ascii);
    let end = behind.map_or(head.len(), |more| last + more);
    match core::str::from_utf8(&head[from..end]) {
        Ok(_) => Ok(end),
        Err(error) => Err(Fault { kind: DecodeErrorKind::NotUtf8, offset: from + error.valid_up_to() }),
    }
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
    use super::{Fault, WIDTH, check};
    use crate::DecodeErrorKind;
    use crate::headers::escape::Rules;

    /// One octet after the other.
    fn slow(text: &[u8]) -> Result<bool, Fault> {
        if let Err(error) = str::from_utf8(text) {
            return Err(Fault { kind: DecodeErrorKind::NotUtf8, offset: error.valid_up_to() });
        }
        let mut at = 0;
        while at < text.len() {
            match text[at..] {
                [b'\\', b'n' | b'c' | b'r' | b'\\', ..] => at += 2,
                [b'\\', ..] => return Err(Fault { kind: DecodeErrorKind::UndefinedEscape, offset: at }),
                _ => at += 1,
            }
        }
        Ok(text.contains(&b'\\'))
    }

    /// Every arrangement of a few parts at every place around the seams of blocks.
    fn arrangements(parts: [&[u8]; 4]) {
        for arrangement in 0..4_usize.pow(6) {
            let middle: Vec<u8> =
                (0..6).flat_map(|n| parts[arrangement / 4_usize.pow(n) % 4]).copied().collect();
            for before in (0..=7).map(|n| WIDTH - n).chain([0]) {
                for behind in
                    [&b""[..], &[parts[0][0]; 2 * WIDTH], &[parts[0][0]; 2 * WIDTH + 1], &[b'.'; WIDTH]]
                {
                    let text = [&[b'.'; WIDTH][..before], &middle, behind, b"\n"].concat();
                    let frame = [&text, &b"\\\xff\\"[..]].concat();
                    let found = check(&frame, text.len(), Rules::V1_2);
                    assert_eq!(found, slow(&text), "{}", text.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn runs_of_backslashes_are_told_apart_wherever_a_block_ends() {
        arrangements([b"\\", b"n", b"t", b"x"]);
    }

    #[test]
    fn characters_are_whole_wherever_a_block_ends() {
        arrangements([b"\xc3", b"\xbc", "€".as_bytes(), b"x"]);
        arrangements(["ü".as_bytes(), "😀".as_bytes(), b"\\t", b"\x80"]);
    }
}
