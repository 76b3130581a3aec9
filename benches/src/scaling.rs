//! Whether four times the octets take four times as long.

use std::hint::black_box;
use std::iter;

use bytes::Bytes;
use stompede_codec::{Decoder, Item, Limits, Version};

use crate::ceilings::owned::Owning;
use crate::harness::{self, Contender};
use crate::report::{self, Table};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "scaling";

/// One large frame, and how it is cut.
struct Case {
    name: &'static str,
    /// Octets of the smaller body; the larger one has four times as many.
    small: usize,
    counted: bool,
    chunk: usize,
}

const CASES: [Case; 3] = [
    Case { name: "4 → 16 MiB until NUL, by 16 KiB", small: 4 << 20, counted: false, chunk: 16 << 10 },
    Case { name: "256 KiB → 1 MiB counted, by octet", small: 256 << 10, counted: true, chunk: 1 },
    Case { name: "256 KiB → 1 MiB until NUL, by octet", small: 256 << 10, counted: false, chunk: 1 },
];

/// Octets of the body that was found.
type Read = fn(&Stream, usize) -> usize;

const CONTENDERS: [(&str, Read); 3] =
    [("copy", copy), ("owned splitter", splitter), ("stompede owned", ours)];

/// Prints how long four times the octets take, as a multiple of four times the time.
pub(crate) fn measure(rounds: usize) {
    println!(
        "\nOne frame of four times the octets; × linear is its time by four times that of the smaller\n"
    );
    let columns =
        [("frame", 35), ("contender", 14), ("ns/octet", 0), ("× linear", 0), ("× linear of copy", 0)];
    let table = Table::begin(&columns, 2);
    for case in CASES {
        let chunk = case.chunk;
        let (small, large) = (&case.stream(case.small), &case.stream(4 * case.small));
        let mut contenders = Vec::new();
        for (name, read) in CONTENDERS {
            // Four of them: it is the same work, and not over too soon to be timed.
            contenders.push(Contender::new(name, move || (0..4).map(|_| read(small, chunk)).sum()));
            contenders.push(Contender::new(name, move || read(large, chunk)));
        }
        harness::once(&mut contenders);
        let times = harness::interleave(&mut contenders, rounds);
        for (at, (name, _)) in CONTENDERS.into_iter().enumerate() {
            let (small, large) = (2 * at, 2 * at + 1);
            let linear = times.ratio(large, small);
            table.row(&[
                case.name.into(),
                name.into(),
                format!("{:.3}", times.median(large) * 1e9 / (4 * case.small) as f64),
                report::ratio(linear),
                report::ratio(linear / times.ratio(1, 0)),
            ]);
        }
    }
}

/// Runs a small frame of each kind.
///
/// # Panics
/// If it is not found whole.
pub(crate) fn check() {
    for case in CASES {
        let len = 2 * BLOCK;
        let stream = case.stream(len);
        for (name, read) in CONTENDERS {
            assert_eq!(read(&stream, case.chunk), len, "{name}: {}", case.name);
        }
    }
}

/// The octets of one frame; the body is the same block again and again, as a read buffer is, so that only what the
/// contender holds takes room in the cache.
struct Stream {
    head: Vec<u8>,
    block: Vec<u8>,
    blocks: usize,
}

impl Case {
    fn stream(&self, body: usize) -> Stream {
        let mut head = b"MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/queue/a\n".to_vec();
        if self.counted {
            head.extend_from_slice(format!("content-length:{body}\n").as_bytes());
        }
        head.push(b'\n');
        let block = b"All work and no play makes a dull frame.".iter().copied().cycle().take(BLOCK).collect();
        Stream { head, block, blocks: body / BLOCK }
    }
}

impl Stream {
    fn chunks(&self, octets: usize) -> impl Iterator<Item = &[u8]> {
        let body = iter::repeat_n(&self.block[..], self.blocks);
        iter::once(&self.head[..])
            .chain(body)
            .chain(iter::once(&[0][..]))
            .flat_map(move |part| part.chunks(octets))
    }
}

/// What any decoder has to do, whose frames do not come in one chunk.
fn copy(stream: &Stream, chunk: usize) -> usize {
    let mut joined = Vec::with_capacity(stream.head.len() + stream.blocks * BLOCK + 1);
    stream.chunks(chunk).for_each(|chunk| joined.extend_from_slice(chunk));
    black_box(&joined).len() - stream.head.len() - 1
}

fn splitter(stream: &Stream, chunk: usize) -> usize {
    let mut found = 0;
    Owning::default().read(stream.chunks(chunk), |frame| found += frame.body().len());
    found
}

fn ours(stream: &Stream, chunk: usize) -> usize {
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(Version::V1_2);
    let mut found = 0;
    for chunk in stream.chunks(chunk) {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(item) = decoder.next().expect("a stream without mistakes") {
            if let Item::Frame(frame) = item {
                found += frame.body().len();
            }
        }
    }
    found
}

/// Octets of the part of which all bodies are made.
const BLOCK: usize = 16 << 10;
