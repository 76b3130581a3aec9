//! Looks at 64 octets at once and answers with one bit for each.
//!
//! Header lines are short: a search that starts anew for each line end and each colon spends most of its time
//! starting. On x86-64 the octets are compared sixteen at a time with SSE2, which every such processor has (`safe_arch`
//! makes the instructions callable without `unsafe`); elsewhere eight at a time in a `u64`.

#[cfg(not(target_arch = "x86_64"))]
use portable::Lanes;
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use portable::is_plain;
#[cfg(target_arch = "x86_64")]
use sse2::Lanes;
#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::is_plain;

/// Octets in a block: as many as a `u64` has bits.
pub(crate) const WIDTH: usize = 64;

/// Up to 64 octets of a head.
#[derive(Clone, Copy)]
pub(crate) struct Block(Lanes);

impl Block {
    /// The first octets of `octets`; what is missing to a whole block is filled up with something that no
    /// question asks for.
    #[inline(always)]
    pub(crate) fn first_of(octets: &[u8]) -> Self {
        match octets.first_chunk() {
            Some(whole) => Self(Lanes::load(whole)),
            None => Self::padded(octets),
        }
    }

    #[cold]
    #[inline(never)]
    fn padded(octets: &[u8]) -> Self {
        let mut filled = [b' '; WIDTH];
        filled[..octets.len()].copy_from_slice(octets);
        Self(Lanes::load(&filled))
    }

    /// Where this octet stands.
    #[inline(always)]
    pub(crate) fn equal_to(self, octet: u8) -> u64 {
        self.0.equal_to(octet)
    }

    /// Where any of these octets stands.
    #[inline(always)]
    pub(crate) fn any_of(self, octets: [u8; 4]) -> u64 {
        self.0.any_of(octets)
    }

    /// Where octets beyond ASCII stand.
    #[inline(always)]
    pub(crate) fn beyond_ascii(self) -> u64 {
        self.0.beyond_ascii()
    }

    /// Where there is a NUL, a backslash or an octet beyond ASCII.
    #[inline(always)]
    pub(crate) fn special(self) -> u64 {
        self.0.special()
    }

    /// Whether there is no backslash and all octets are ASCII.
    #[inline(always)]
    pub(crate) fn is_plain(self) -> bool {
        self.0.is_plain()
    }

    /// Whether there is a NUL.
    #[inline(always)]
    pub(crate) fn has_nul(self) -> bool {
        self.0.has_nul()
    }
}

/// Up to 64 octets of a text, wherever in it.
#[derive(Clone, Copy)]
pub(crate) struct View {
    block: Block,
    /// Octets of the block that stand before those that are meant.
    before: u32,
}

impl View {
    /// The octets from `at` on, which is within the text.
    #[inline(always)]
    pub(crate) fn at(text: &[u8], at: usize) -> Self {
        if let Some(whole) = text[at..].first_chunk() {
            return Self { block: Block(Lanes::load(whole)), before: 0 };
        }
        // Looking at some octets again is cheaper than to fill up what is missing.
        match text.last_chunk::<WIDTH>() {
            Some(last) => Self { block: Block(Lanes::load(last)), before: (at + WIDTH - text.len()) as u32 },
            None => Self { block: Block::padded(&text[at..]), before: 0 },
        }
    }

    /// Where this octet stands.
    #[inline(always)]
    pub(crate) fn equal_to(self, octet: u8) -> u64 {
        self.block.equal_to(octet) >> self.before
    }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use safe_arch::{
        bitor_m128i, bitxor_m128i, cmp_eq_mask_i8_m128i, load_unaligned_m128i, m128i, min_u8_m128i,
        move_mask_i8_m128i, set_i64_m128i, set_splat_i8_m128i, sub_saturating_i8_m128i, zeroed_m128i,
    };

    use super::WIDTH;

    /// Whether there is no colon, no backslash and no control character up to the carriage return among sixteen octets.
    #[inline(always)]
    pub(crate) fn is_plain([low, high]: [u64; 2]) -> bool {
        let octets = set_i64_m128i(high.cast_signed(), low.cast_signed());
        let equal = |octet: u8| cmp_eq_mask_i8_m128i(octets, set_splat_i8_m128i(octet.cast_signed()));
        // Nothing else is the lesser of itself and the carriage return.
        let least = min_u8_m128i(octets, set_splat_i8_m128i(b'\r'.cast_signed()));
        let control = cmp_eq_mask_i8_m128i(octets, least);
        move_mask_i8_m128i(bitor_m128i(control, bitor_m128i(equal(b':'), equal(b'\\')))) == 0
    }

    #[derive(Clone, Copy)]
    pub(super) struct Lanes([m128i; 4]);

    impl Lanes {
        #[inline(always)]
        pub(super) fn load(octets: &[u8; WIDTH]) -> Self {
            let (lanes, _) = octets.as_chunks::<16>();
            Self([0, 1, 2, 3].map(|n| load_unaligned_m128i(&lanes[n])))
        }

        #[inline(always)]
        pub(super) fn equal_to(self, octet: u8) -> u64 {
            let wanted = set_splat_i8_m128i(octet.cast_signed());
            self.bits(|lane| cmp_eq_mask_i8_m128i(lane, wanted))
        }

        #[inline(always)]
        pub(super) fn any_of(self, octets: [u8; 4]) -> u64 {
            let wanted = octets.map(|octet| set_splat_i8_m128i(octet.cast_signed()));
            self.bits(|lane| {
                let [a, b, c, d] = wanted.map(|wanted| cmp_eq_mask_i8_m128i(lane, wanted));
                bitor_m128i(bitor_m128i(a, b), bitor_m128i(c, d))
            })
        }

        #[inline(always)]
        pub(super) fn beyond_ascii(self) -> u64 {
            self.bits(|lane| lane)
        }

        #[inline(always)]
        pub(super) fn special(self) -> u64 {
            let (one, backslash) = (set_splat_i8_m128i(1), set_splat_i8_m128i(b'\\'.cast_signed()));
            // The lesser of an octet and what differs in it from a backslash is 0 for NUL and backslash alone, and not
            // ASCII where the octet is not. Less one, these are negative and the others are not.
            self.bits(|lane| sub_saturating_i8_m128i(min_u8_m128i(lane, bitxor_m128i(lane, backslash)), one))
        }

        #[inline(always)]
        pub(super) fn is_plain(self) -> bool {
            let backslash = set_splat_i8_m128i(b'\\'.cast_signed());
            // The highest bit is set in what is equal, and in what is not ASCII.
            let [a, b, c, d] = self.0.map(|lane| bitor_m128i(cmp_eq_mask_i8_m128i(lane, backslash), lane));
            move_mask_i8_m128i(bitor_m128i(bitor_m128i(a, b), bitor_m128i(c, d))) == 0
        }

        #[inline(always)]
        pub(super) fn has_nul(self) -> bool {
            let [a, b, c, d] = self.0;
            let least = min_u8_m128i(min_u8_m128i(a, b), min_u8_m128i(c, d));
            move_mask_i8_m128i(cmp_eq_mask_i8_m128i(least, zeroed_m128i())) != 0
        }

        #[inline(always)]
        fn bits(self, question: impl Fn(m128i) -> m128i) -> u64 {
            // Sixteen bits come as the lower half of an i32.
            let bits = |lane| u64::from(move_mask_i8_m128i(question(lane)).cast_unsigned());
            let [a, b, c, d] = self.0;
            bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48
        }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::WIDTH;

    /// Whether there is no colon, no backslash and no control character up to the carriage return among sixteen octets.
    #[inline(always)]
    pub(crate) fn is_plain(words: [u64; 2]) -> bool {
        // What is less than the octet that is subtracted borrows from its highest bit. The octet behind it may borrow as
        // well, but then there was one.
        let less = |word: u64, than| word.wrapping_sub(ONES * than);
        let equal = |word: u64, octet: u8| less(word ^ (ONES * u64::from(octet)), 1);
        words.iter().all(|&word| {
            let special = less(word, u64::from(b'\r') + 1) | equal(word, b':') | equal(word, b'\\');
            // What is beyond ASCII has that bit to begin with.
            special & !word & !LOW == 0
        })
    }

    #[derive(Clone, Copy)]
    pub(super) struct Lanes([u64; 8]);

    impl Lanes {
        #[inline(always)]
        pub(super) fn load(octets: &[u8; WIDTH]) -> Self {
            let mut words = [0; 8];
            for (word, octets) in words.iter_mut().zip(octets.as_chunks().0) {
                *word = u64::from_le_bytes(*octets);
            }
            Self(words)
        }

        #[inline(always)]
        pub(super) fn equal_to(self, octet: u8) -> u64 {
            let wanted = ONES * u64::from(octet);
            self.bits(|word| {
                let differs = word ^ wanted;
                // No carry leaves an octet: the sum of two values below 128 stays below 256.
                !(((differs & LOW) + LOW) | differs)
            })
        }

        #[inline(always)]
        pub(super) fn any_of(self, octets: [u8; 4]) -> u64 {
            octets.iter().fold(0, |bits, &octet| bits | self.equal_to(octet))
        }

        #[inline(always)]
        pub(super) fn beyond_ascii(self) -> u64 {
            self.bits(|word| word)
        }

        #[inline(always)]
        pub(super) fn special(self) -> u64 {
            self.equal_to(0) | self.equal_to(b'\\') | self.beyond_ascii()
        }

        #[inline(always)]
        pub(super) fn is_plain(self) -> bool {
            self.equal_to(b'\\') == 0 && self.0.iter().fold(0, |all, word| all | word) & !LOW == 0
        }

        #[inline(always)]
        pub(super) fn has_nul(self) -> bool {
            self.equal_to(0) != 0
        }

        /// Gathers the highest bit of each octet.
        #[inline(always)]
        fn bits(self, question: impl Fn(u64) -> u64) -> u64 {
            let gather = |word: u64| ((question(word) >> 7) & ONES).wrapping_mul(GATHER) >> 56;
            self.0.iter().rev().fold(0, |bits, &word| bits << 8 | gather(word))
        }
    }

    /// A one in each octet.
    const ONES: u64 = 0x0101_0101_0101_0101;
    /// All but the highest bit of each octet.
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    /// Moves the lowest bit of octet `n` to bit `56 + n`; no two products meet.
    const GATHER: u64 = 0x0102_0408_1020_4080;
}

#[cfg(test)]
mod tests {
    use super::{Block, WIDTH, portable};

    /// Every octet at every place, beside neighbours that carries could disturb.
    #[test]
    fn both_ways_of_looking_see_what_is_there() {
        for octet in 0..=u8::MAX {
            for neighbour in [0, 1, 9, 10, 11, 0x7f, 0x80, 0xff, octet] {
                for at in 0..WIDTH {
                    let mut octets = [neighbour; WIDTH];
                    octets[at] = octet;
                    check(&octets);
                }
            }
        }
    }

    #[test]
    fn a_short_block_answers_for_its_octets_only() {
        let block = Block::first_of(b"a:\n");
        assert_eq!(block.equal_to(b':'), 0b010);
        assert_eq!(block.equal_to(b'\n'), 0b100);
        assert!(!block.has_nul());
    }

    #[test]
    fn sixteen_octets_are_plain_or_not_whichever_way_they_are_looked_at() {
        for octet in 0..=u8::MAX {
            for neighbour in [b'a', 0x0e, 0x7f, 0x80, 0xff, octet] {
                for at in 0..16 {
                    let mut octets = [neighbour; 16];
                    octets[at] = octet;
                    let words = u128::from_le_bytes(octets);
                    let words = [words as u64, (words >> 64) as u64];
                    let expected = !octets.iter().any(|octet| matches!(octet, 0..=b'\r' | b':' | b'\\'));
                    assert_eq!((super::is_plain(words), portable::is_plain(words)), (expected, expected));
                }
            }
        }
    }

    fn check(octets: &[u8; WIDTH]) {
        let slow = |question: &dyn Fn(u8) -> bool| {
            octets.iter().rev().fold(0_u64, |bits, &octet| bits << 1 | u64::from(question(octet)))
        };
        let (block, lanes) = (Block::first_of(octets), portable::Lanes::load(octets));
        let expected = slow(&|octet| octet == 0 || octet == b'\\' || !octet.is_ascii());
        assert_eq!((block.special(), lanes.special()), (expected, expected));
        for wanted in [b':', b'\\', b'\n', 0, 0xff] {
            let expected = slow(&|octet| octet == wanted);
            assert_eq!((block.equal_to(wanted), lanes.equal_to(wanted)), (expected, expected));
        }
        let wanted = *b"n:\\\xff";
        let expected = slow(&|octet| wanted.contains(&octet));
        assert_eq!((block.any_of(wanted), lanes.any_of(wanted)), (expected, expected));
        let expected = slow(&|octet| !octet.is_ascii());
        assert_eq!((block.beyond_ascii(), lanes.beyond_ascii()), (expected, expected));
        let expected = octets.is_ascii() && !octets.contains(&b'\\');
        assert_eq!((block.is_plain(), lanes.is_plain()), (expected, expected));
        let expected = octets.contains(&0);
        assert_eq!((block.has_nul(), lanes.has_nul()), (expected, expected));
    }
}
