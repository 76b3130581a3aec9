//! What the targets read out of an input; README.md describes it for whoever writes a seed.
#![allow(dead_code, reason = "each target uses its share")]

use stompede_codec::{Command, ContentLength, Frame, Limits, Strictness, Version};

use crate::common::{Drain, Reading, Turns, Way, commands};

/// What the first octets of an input choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) reading: Reading,
    pub(crate) way: Way,
    pub(crate) length: ContentLength,
    /// Octets of each chunk, or 0 for no cuts but the two below.
    chunk: usize,
    cuts: [usize; 2],
}

impl Plan {
    /// Splits an input into its plan and the rest; nothing if it is too short for a plan.
    pub(crate) fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        let (plan, rest) = input.split_first_chunk::<PLAN>()?;
        let [
            version,
            strictness,
            push,
            take,
            drain,
            length,
            limits,
            count,
            line,
            head,
            body,
            chunk,
            cuts @ ..,
        ] = plan.map(usize::from);
        let pick = |turns: usize| [Turns::Owned, Turns::Borrowed, Turns::Alternating][turns % 3];
        let small = Limits::default()
            .with_max_header_count(count % 8)
            .with_max_header_line(line % 64)
            .with_max_head(head)
            .with_max_body(body % 64);
        let version = version % 4;
        let plan = Self {
            reading: Reading {
                limits: if limits % 2 == 0 { Limits::default() } else { small },
                version: version.checked_sub(1).map(|n| Version::ALL[n]),
                strictness: [Strictness::Strict, Strictness::Lenient][strictness % 2],
            },
            way: Way {
                push: pick(push),
                take: pick(take),
                drain: [Drain::AfterEachChunk, Drain::AtTheEnd][drain % 2],
            },
            length: [ContentLength::Auto, ContentLength::Omit][length % 2],
            chunk: chunk % 16,
            cuts: [cuts[0] | cuts[1] << 8, cuts[2] | cuts[3] << 8],
        };
        Some((plan, rest))
    }

    /// Where a stream of so many octets is cut.
    pub(crate) fn cuts(&self, len: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = self.cuts.iter().map(|cut| cut % (len + 1)).collect();
        if self.chunk > 0 {
            cuts.extend((0..len).step_by(self.chunk));
        }
        cuts.sort_unstable();
        cuts
    }

    /// The pieces of a stream; some may be empty.
    pub(crate) fn chunks<'a>(&self, wire: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut from = 0;
        let ends = self.cuts(wire.len()).into_iter().chain([wire.len()]);
        ends.map(move |end| &wire[std::mem::replace(&mut from, end)..end])
    }

    /// The version to write in.
    pub(crate) fn version(&self) -> Version {
        self.reading.version.unwrap_or_default()
    }
}

/// The frames that an input spells out.
pub(crate) fn frames(spelt: &[u8]) -> impl Iterator<Item = Frame> {
    spelt.splitn(FRAMES, |&octet| octet == FRAME).map(frame)
}

fn frame(spelt: &[u8]) -> Frame {
    let mut parts = spelt.split(|&octet| octet == PART);
    let mut frame = Frame::new(command(parts.next().unwrap_or_default()));
    while let Some(part) = parts.next() {
        match parts.next() {
            Some(value) => {
                frame.headers_mut().push(String::from_utf8_lossy(part), String::from_utf8_lossy(value));
            }
            None => frame.set_body(part.to_vec()),
        }
    }
    frame
}

fn command(part: &[u8]) -> Command {
    let any = usize::from(part.first().copied().unwrap_or_default());
    Command::parse(part).or_else(|| commands().cycle().nth(any)).unwrap_or(Command::Send)
}

/// Frames of one input at most: enough to follow each other, few enough to be quick.
const FRAMES: usize = 8;

/// Octets of a plan.
const PLAN: usize = 16;

/// Stands between the parts of a frame; no UTF-8 has it.
const PART: u8 = 0xff;

/// Stands between frames; no UTF-8 has it.
const FRAME: u8 = 0xfe;
