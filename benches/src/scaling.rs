//! Whether four times the octets take four times as long.

use bytes::Bytes;
use stompede_codec::{Decoder, Item, Limits, Version};

use crate::harness::{self, Contender};
use crate::report::{self, Table};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "scaling";

/// A stream of one frame, and how it is cut.
struct Case {
    name: &'static str,
    /// Octets of the smaller body; the larger one has four times as many.
    small: usize,
    counted: bool,
    chunk: usize,
}

const CASES: [Case; 3] = [
    Case {
        name: "4 → 16 MiB without content-length, by 16 KiB",
        small: 4 << 20,
        counted: false,
        chunk: 16 << 10,
    },
    Case {
        name: "256 KiB → 1 MiB with content-length, by octet", small: 256 << 10, counted: true, chunk: 1
    },
    Case {
        name: "256 KiB → 1 MiB without content-length, by octet",
        small: 256 << 10,
        counted: false,
        chunk: 1,
    },
];

/// Prints how long four times the octets take, as a multiple of four times the time.
pub(crate) fn measure(rounds: usize) {
    println!("\nOne frame of four times the octets; × is its time by four times that of the smaller\n");
    let table = Table::begin(&[("frame", 50), ("ns/octet", 0), ("× linear", 0)], 1);
    for case in CASES {
        let (small, large) = (case.wire(case.small), case.wire(4 * case.small));
        let mut contenders = [
            // Four of them: both do the same work, and neither is over too soon to be timed.
            Contender::new("small", || (0..4).map(|_| case.decode(&small)).sum()),
            Contender::new("large", || case.decode(&large)),
        ];
        harness::once(&mut contenders);
        let times = harness::interleave(&mut contenders, rounds);
        table.row(&[
            case.name.into(),
            format!("{:.3}", times.median(1) * 1e9 / large.len() as f64),
            report::ratio(times.ratio(1, 0)),
        ]);
    }
}

/// Runs a small frame of each kind.
///
/// # Panics
/// If it is not found whole.
pub(crate) fn check() {
    for case in CASES {
        let len = case.small >> 8;
        assert_eq!(case.decode(&case.wire(len)), len, "{}", case.name);
    }
    println!("{NAME}: all frames are found");
}

impl Case {
    fn wire(&self, body: usize) -> Vec<u8> {
        let mut wire = b"MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/queue/a\n".to_vec();
        if self.counted {
            wire.extend_from_slice(format!("content-length:{body}\n").as_bytes());
        }
        wire.push(b'\n');
        wire.extend(b"All work and no play makes a dull frame.".iter().cycle().take(body));
        wire.push(0);
        wire
    }

    /// Octets of the body that was found.
    fn decode(&self, wire: &[u8]) -> usize {
        let mut decoder = Decoder::new(Limits::default());
        decoder.set_version(Version::V1_2);
        let mut found = 0;
        for chunk in wire.chunks(self.chunk) {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(item) = decoder.next().expect("a stream without mistakes") {
                if let Item::Frame(frame) = item {
                    found += frame.body().len();
                }
            }
        }
        found
    }
}
