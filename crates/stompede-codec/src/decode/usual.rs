//! The usual frame, in one go: all of it has arrived, and nothing about it is peculiar.
//!
//! Nearly all frames are such. All that is known of one stays in registers, as nothing has to be kept for octets that are
//! still to come, and no error has to be described: where something is missing, wrong or special, the answer is `None`,
//! and the [`Scanner`](super::scan::Scanner) looks at the frame from its beginning. So whatever an octet-by-octet reader
//! would object to first is reported, and the way in which a stream is cut never changes the error.

use memchr::memchr;

use super::scan::Whole;
use super::settings::Settings;
use super::text;
use crate::Command;
use crate::block::{Block, WIDTH};
use crate::headers::name;

/// The frame at the beginning of `frame`, whose head and end are checked.
#[inline(always)]
pub(crate) fn whole(frame: &[u8], settings: &Settings) -> Option<Whole> {
    let head = Head::at_start(frame, settings)?;
    let rest = &frame[head.len..];
    let body_len = match head.content_length {
        Some(length) => (rest.get(length) == Some(&0)).then_some(length)?,
        // Most frames that are no message have no body, and starting a search is dear.
        None if rest.first() == Some(&0) => 0,
        None => memchr(0, rest).filter(|&at| at <= settings.limits.max_body)?,
    };
    let Head { command, first, count, len: head_len, .. } = head;
    let escaped = !head.is_plain && text::check(frame, head_len, settings.rules(command)).ok()?;
    Some(Whole { command, first, count, escaped, head_len, len: head_len + body_len + 1 })
}

/// What is known of a whole head.
struct Head {
    command: Command,
    /// Where the first header line begins.
    first: u8,
    /// How many header lines there are.
    count: usize,
    /// Octets of command, headers and blank line.
    len: usize,
    content_length: Option<usize>,
    /// Whether there is no backslash and all octets are ASCII.
    is_plain: bool,
}

impl Head {
    #[inline(always)]
    fn at_start(frame: &[u8], settings: &Settings) -> Option<Self> {
        let (command, first) = Command::at_start(frame)?;
        let mut lines = Lines { at: 0, count: 0, is_plain: true, content_length: None };
        // The first block on its own: of short frames there is no other, and much of the work falls away.
        let mut step = lines.block(frame, settings, Seam::AT_COMMAND)?;
        let len = loop {
            match step {
                Step::Ended(len) => break len,
                Step::GoOn(seam) => step = lines.block(frame, settings, seam)?,
            }
        };
        let Lines { count, is_plain, content_length, .. } = lines;
        let fits = count <= settings.limits.max_header_count;
        fits.then_some(Self { command, first: first as u8, count, len, content_length, is_plain })
    }
}

/// The header lines that were looked at.
struct Lines {
    at: usize,
    count: usize,
    is_plain: bool,
    content_length: Option<usize>,
}

/// What has to be known of a block when looking at the next one, as bits of that.
#[derive(Clone, Copy)]
struct Seam {
    /// Whether a line begins with it.
    start: u64,
    /// Which octets stand behind the beginning of a line as many octets as the name of the length has.
    behind_name: u64,
    /// Whether a line goes on in it that has no colon yet.
    nameless: u64,
}

impl Seam {
    /// The command line is known and no header line. To look at it once more is quicker than to wait for where it ends.
    const AT_COMMAND: Self = Self { start: 0, behind_name: 0, nameless: 0 };
}

enum Step {
    Ended(usize),
    GoOn(Seam),
}

impl Lines {
    /// Looks at all lines of a block together and without a loop over them.
    #[inline(always)]
    fn block(&mut self, frame: &[u8], settings: &Settings, before: Seam) -> Option<Step> {
        // A head that ends in there is within the limits, and so is each of its lines.
        let window = &frame[..frame.len().min(settings.plain_until)];
        let block = Block::first_of(window.get(self.at..)?);
        let ends = block.equal_to(b'\n');
        let colons = block.equal_to(b':');
        let starts = ends << 1 | before.start;
        // A line feed at the beginning of a line ends the blank line; what comes behind it is no head.
        let blank = starts & ends;
        let within = blank ^ blank.wrapping_sub(1);
        // The first colon or line feed of each line: adding the beginnings of lines to all other octets carries
        // through each line up to there. A line that has its colon already is left out.
        let others = !(ends | colons);
        let (carried, is_nameless) = others.overflowing_add(starts | before.nameless);
        let stops = carried & !others;
        // The blank line begins with its line feed, no other line begins with its first colon.
        if stops & !(colons ^ starts) & within != 0 {
            return None;
        }
        if block.special() & within != 0 {
            if block.has_nul() && block.equal_to(0) & within != 0 {
                return None;
            }
            self.is_plain = false;
        }
        let names = stops & colons & within;
        self.count += names.count_ones() as usize;
        let named = names & (ends << LENGTH_NAME.len() | before.behind_name);
        if named != 0 && self.content_length.is_none() {
            self.content_length = find_length(named, self.at, frame, settings.limits.max_body)?;
        }
        if blank != 0 {
            return Some(Step::Ended(self.at + blank.trailing_zeros() as usize + 1));
        }
        self.at += WIDTH;
        Some(Step::GoOn(Seam {
            start: ends >> (WIDTH - 1),
            behind_name: ends >> (WIDTH - LENGTH_NAME.len()),
            nameless: u64::from(is_nameless),
        }))
    }
}

/// Looks for `content-length` among the lines that have their first colon at one of `named` in the block at `at`; `None`
/// if it is not what it should be, or not all there.
#[cold] // Once a frame at most: what comes in every block has the registers.
#[inline(never)]
fn find_length(mut named: u64, at: usize, frame: &[u8], max_body: usize) -> Option<Option<usize>> {
    while named != 0 {
        let behind_name = at + named.trailing_zeros() as usize + 1;
        if frame[..behind_name].ends_with(LENGTH_NAME) {
            let value = &frame[behind_name..];
            let length = few_digits(value).or_else(|| more_digits(value))?;
            return (length <= max_body).then_some(Some(length));
        }
        named &= named - 1;
    }
    Some(None)
}

/// The number of up to seven digits that ends with a line feed, if at least eight octets are there: all digits at once.
#[inline(always)]
fn few_digits(value: &[u8]) -> Option<usize> {
    let word = u64::from_le_bytes(*value.first_chunk()?);
    // The lowest bit that is set marks the first line feed; those above it may be wrong.
    let differs = word ^ each(b'\n');
    let ends = differs.wrapping_sub(each(1)) & !differs & each(0x80);
    let bits = ends.trailing_zeros() & !7;
    if !(8..=56).contains(&bits) {
        return None;
    }
    // Zeros in front, up to eight digits.
    let digits = (word ^ each(b'0')) << (u64::BITS - bits);
    // Adding 0x76 carries what is above 9 into the highest bit.
    if (digits.wrapping_add(each(0x76)) | digits) & each(0x80) != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) as u32 as usize)
}

/// The number at the beginning of a line.
#[cold]
#[inline(never)]
fn more_digits(value: &[u8]) -> Option<usize> {
    let len = value.iter().take(MAX_DIGITS).take_while(|octet| octet.is_ascii_digit()).count();
    let ends = matches!(value[len..], [b'\n', ..] | [b'\r', b'\n', ..]);
    let number = value[..len].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    (ends && len > 0).then_some(number)
}

/// This octet eight times.
const fn each(octet: u8) -> u64 {
    u64::from_le_bytes([octet; 8])
}

/// Digits of a length that needs no thought.
const MAX_DIGITS: usize = 9;

/// What stands in front of the length of the body.
const LENGTH_NAME: &[u8] = name::CONTENT_LENGTH_COLON.as_bytes();
