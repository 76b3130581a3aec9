//! How much memory a peer can make the decoder hold, counted by the allocator and not by the decoder's own account.
//!
//! A program without test harness: the count is that of the whole process.

mod common;

use std::alloc::System;

use bytes::Bytes;
use common::meter::Meter;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use stompede_codec::{DecodeError, DecodeErrorKind, Decoder, Item, ItemRef, Limits, Strictness};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    for hostile in hostile() {
        for size in [1, 7, 4096, 65536] {
            for way in WAYS {
                hostile.try_it(size, way);
            }
        }
    }
    what_was_sent_well_leaves_nothing_behind();
    a_large_frame_leaves_nothing_behind();
    chunks_that_waited_leave_nothing_behind();
}

/// Small enough to be reached octet by octet, large enough to tell bounds apart.
fn limits() -> Limits {
    Limits::default()
        .with_max_header_count(200)
        .with_max_header_line(4 * KIB)
        .with_max_head(16 * KIB)
        .with_max_body(96 * KIB)
}

/// A stream that begins well and goes on for ever.
struct Hostile {
    what: &'static str,
    begins: String,
    goes_on: &'static [u8],
    strictness: Strictness,
    /// How it ends; `None` if it never does and is not wrong either.
    error: Option<DecodeErrorKind>,
    /// Octets of memory that it may take, beyond the chunk and what a decoder always has.
    most: usize,
}

fn hostile() -> Vec<Hostile> {
    use DecodeErrorKind as Kind;
    let limits = limits();
    let (line, head, body) = (limits.max_header_line, limits.max_head, limits.max_body);
    let new = |what, begins: &str, goes_on, error, most| Hostile {
        what,
        begins: begins.to_owned(),
        goes_on,
        strictness: Strictness::Strict,
        error,
        most,
    };
    let lenient = |hostile| Hostile { strictness: Strictness::Lenient, ..hostile };
    let counted = format!("SEND\ncontent-length:{body}\n\n");
    // A buffer whose final size is not known doubles as it grows, up to what the limits allow; one for a known size does not.
    vec![
        new("no command", "", b"x", Some(Kind::UnknownCommand), 0),
        new("endless line", "SEND\n", b"key", Some(Kind::HeaderLineTooLong { limit: line }), 2 * line),
        new("endless value", "SEND\na:", b"x\\n", Some(Kind::HeaderLineTooLong { limit: line }), 2 * line),
        new("endless headers", "SEND\n", b"a:b\n", Some(Kind::TooManyHeaders { limit: 200 }), 0),
        new("endless head", "SEND\n", LONG_HEADER, Some(Kind::HeadTooLarge { limit: head }), 2 * head),
        new("NUL in a header", "SEND\na:b", b"\0", Some(Kind::NulInHead), 0),
        new("endless line ends", "", b"\n", None, 0),
        new("endless CR LF", "", b"\r\n", None, 0),
        lenient(new("endless NUL", "", b"\0", None, 0)),
        new("2^63 octets", "SEND\ncontent-length:9223372036854775808\n", b"\n", Some(TOO_LARGE), 0),
        new(
            "one octet too many",
            &format!("SEND\ncontent-length:{}\n\n", body + 1),
            b"x",
            Some(TOO_LARGE),
            0,
        ),
        new("announced and not sent", &counted, b"", None, AHEAD),
        new("endless body", "SEND\n\n", b"x", Some(TOO_LARGE), body),
        new("no NUL behind the body", &counted, b"x", Some(Kind::BodyNotTerminated), body + AHEAD),
        new("endless small frames", "", b"RECEIPT\nreceipt-id:1\n\n\0", None, KIB),
        new("endless frames", "", FRAME, None, KIB),
    ]
}

impl Hostile {
    fn try_it(&self, size: usize, way: Way) {
        let limits = limits();
        // What is to be refused is refused by then; what is not has had its chance to pile up.
        let enough = if self.error.is_some() { 2 * limits.max_body } else { 16 * KIB + 2 * size };
        let mut stream = self.begins.clone().into_bytes();
        stream.extend(self.goes_on.iter().cycle().take(enough));

        let mut meter = Meter::new();
        let mut decoder = Decoder::new(limits).with_strictness(self.strictness);
        let always = meter.held();
        let failed = feed(&mut decoder, &stream, size, way, &mut meter).err().map(|error| error.kind());
        assert_eq!(failed, self.error, "{}, chunks of {size}, {way:?}", self.what);
        let (most, allowed) = (meter.most() - always, self.most + size + SMALL);
        assert!(most <= allowed, "{}, chunks of {size}, {way:?}: {most} of {allowed}", self.what);
        if failed.is_some() {
            assert!(meter.held() <= always, "{}: {} octets after the end", self.what, meter.held());
        }
    }
}

/// How chunks are handed over and frames are taken.
#[derive(Clone, Copy, Debug)]
enum Way {
    Owned,
    Borrowed,
}

const WAYS: [Way; 2] = [Way::Owned, Way::Borrowed];

impl Way {
    /// Octets of memory that a decoder keeps for what comes next.
    fn kept(self) -> usize {
        match self {
            Self::Owned => SMALL,
            // The buffer that frames were lent from.
            Self::Borrowed => 64 * KIB + SMALL,
        }
    }
}

/// Feeds a stream in chunks of `size` and drops every frame at once.
fn feed(
    decoder: &mut Decoder,
    stream: &[u8],
    size: usize,
    way: Way,
    meter: &mut Meter,
) -> Result<usize, DecodeError> {
    let mut frames = 0;
    for chunk in stream.chunks(size) {
        meter.step(|| match way {
            Way::Owned => decoder.push(Bytes::copy_from_slice(chunk)),
            Way::Borrowed => decoder.push_slice(chunk),
        });
        while let Some(is_frame) = meter.step(|| take(decoder, way))? {
            frames += usize::from(is_frame);
        }
    }
    Ok(frames)
}

/// Takes one item; whether it is a frame.
fn take(decoder: &mut Decoder, way: Way) -> Result<Option<bool>, DecodeError> {
    Ok(match way {
        Way::Owned => decoder.next()?.map(|item| matches!(item, Item::Frame(_))),
        Way::Borrowed => decoder.next_ref()?.map(|item| matches!(item, ItemRef::Frame(_))),
    })
}

fn what_was_sent_well_leaves_nothing_behind() {
    let frame = [&b"MESSAGE\n"[..], &b"key:value\n".repeat(100), b"\n", &[b'x'; 3000], b"\0\n"].concat();
    let stream = frame.repeat(20);
    for size in [1, 7, 4096, 65536] {
        for way in WAYS {
            let mut meter = Meter::new();
            let mut decoder = Decoder::new(limits());
            let always = meter.held();
            assert_eq!(feed(&mut decoder, &stream, size, way, &mut meter), Ok(20));
            assert!(
                meter.held() <= always + way.kept(),
                "{} octets, chunks of {size}, {way:?}",
                meter.held()
            );
        }
    }
}

fn a_large_frame_leaves_nothing_behind() {
    const BODY: usize = 16 * 1024 * KIB;
    let counted = [format!("MESSAGE\ncontent-length:{BODY}\n\n").as_bytes(), &vec![0; BODY], b"\0"].concat();
    let until_nul = [b"MESSAGE\n\n", &vec![b'x'; BODY][..], b"\0"].concat();
    for (stream, most) in [(counted, BODY + AHEAD), (until_nul, BODY)] {
        for way in WAYS {
            let mut meter = Meter::new();
            let mut decoder = Decoder::new(Limits::default());
            let always = meter.held();
            assert_eq!(feed(&mut decoder, &stream, 64 * KIB, way, &mut meter), Ok(1));
            assert!(meter.most() <= most + 64 * KIB + SMALL, "{} octets, {way:?}", meter.most());
            assert!(meter.held() <= always + way.kept(), "{} octets, {way:?}", meter.held());
        }
    }
}

fn chunks_that_waited_leave_nothing_behind() {
    let chunk = Bytes::from_static(b"RECEIPT\nreceipt-id:1\n\n\0");
    let mut meter = Meter::new();
    let mut decoder = Decoder::new(Limits::default());
    let always = meter.held();
    for _ in 0..10_000 {
        decoder.push(chunk.clone());
    }
    while let Ok(Some(_)) = meter.step(|| take(&mut decoder, Way::Owned)) {}
    assert!(meter.held() <= always + SMALL, "{} octets", meter.held());
}

const KIB: usize = 1024;

/// Room for reference counts and a short queue of chunks.
const SMALL: usize = 4 * KIB;

/// Octets that may be reserved ahead of those that have come.
const AHEAD: usize = 64 * KIB;

const TOO_LARGE: DecodeErrorKind = DecodeErrorKind::BodyTooLarge { limit: 96 * KIB };

const LONG_HEADER: &[u8] =
    b"key:The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog.\n";

const FRAME: &[u8] = b"MESSAGE\na:1\nb:2\nc:3\nd:4\n\nabcdefghijklmnopqrstuvwxyz\0\n";
