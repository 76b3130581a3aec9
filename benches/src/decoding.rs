//! Reading frames out of a stream: ceilings, ours and peers in one table.

use crate::ceilings::{self, borrowing, owned};
use crate::corpus::{CHUNK, Corpus};
use crate::harness::{self, Contender, Times};
use crate::report::{self, Table};
use crate::tally::Tally;
use crate::{ours, peers};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "decode";

/// Prints how quick everybody is.
pub(crate) fn measure(corpora: &[Corpus], rounds: usize) {
    println!("\nDecoding, {} MiB each in chunks of {} KiB; × is speed\n", OCTETS >> 20, CHUNK >> 10);
    let columns = [
        ("corpus", 7),
        ("contender", 24),
        ("GB/s", 6),
        ("× memcpy", 0),
        ("× owned", 0),
        ("× borrowing", 0),
        ("× best peer", 0),
        ("ns/frame", 0),
    ];
    let table = Table::begin(&columns, 2);
    for &corpus in corpora {
        let wire = corpus.wire(OCTETS);
        let mut contenders = contenders(corpus, &wire);
        let tally = compare(corpus, &mut contenders);
        let times = harness::interleave(&mut contenders, rounds);
        let peer = best(&contenders, &times);
        for (at, contender) in contenders.iter().enumerate() {
            let seconds = times.median(at);
            let ratios = [COPY, OWNED, BORROWING, peer].map(|than| report::ratio(times.ratio(than, at)));
            let mut row =
                vec![corpus.name().into(), contender.name.into(), report::gigabytes(wire.len(), seconds)];
            row.extend(ratios);
            row.push(report::nanoseconds(seconds, tally.frames));
            table.row(&row);
        }
    }
    println!();
    for note in peers::NOTES {
        println!("{note}");
    }
}

/// Runs everybody once on little input.
///
/// # Panics
/// If they disagree.
pub(crate) fn check(corpus: Corpus) {
    // It may be a debug build: a few chunks, and at least two frames.
    let octets = if corpus == Corpus::Large { 1100 << 10 } else { 200 << 10 };
    let wire = corpus.wire(octets);
    compare(corpus, &mut contenders(corpus, &wire));
}

/// A plain copy finds nothing; everybody else returns what they found.
type Found = Option<Tally>;

/// The ceilings first, in the order of the columns; then ours, then the peers.
fn contenders(corpus: Corpus, wire: &[u8]) -> Vec<Contender<'_, Found>> {
    let mut buffer = Vec::new();
    let mut owning = owned::Owning::default();
    let mut borrowing = borrowing::Borrowing::default();
    let mut contenders = vec![
        Contender::new("memcpy", move || {
            ceilings::copy(wire, &mut buffer);
            None
        }),
        Contender::new("owned splitter", move || Some(owned::tally(wire, &mut owning))),
        Contender::new("borrowing splitter", move || Some(borrowing::tally(wire, &mut borrowing))),
        Contender::new("stompede owned", move || Some(ours::owned(wire))),
        Contender::new("stompede owned, all read", move || Some(ours::owned_read(wire))),
        Contender::new("stompede borrowed", move || Some(ours::borrowed(wire))),
    ];
    contenders.extend(peers::contenders(corpus, wire));
    contenders
}

/// Where the ceilings stand among the contenders.
const COPY: usize = 0;
const OWNED: usize = 1;
const BORROWING: usize = 2;

/// The quickest peer.
fn best(contenders: &[Contender<'_, Found>], times: &Times) -> usize {
    let peers = (0..contenders.len()).filter(|&at| peers::NAMES.contains(&contenders[at].name));
    peers.min_by(|&a, &b| times.median(a).total_cmp(&times.median(b))).expect("some peer reads every corpus")
}

/// What all contenders found, each having run once.
///
/// # Panics
/// If they disagree: a contender that sees less than the others has no business in the table.
fn compare(corpus: Corpus, contenders: &mut [Contender<'_, Found>]) -> Tally {
    let mut agreed = None;
    for (name, tally) in harness::once(contenders) {
        let Some(tally) = tally else { continue };
        let (first, expected) = *agreed.get_or_insert((name, tally));
        assert_eq!(tally, expected, "{}: {name} and {first} disagree", corpus.name());
    }
    let (_, tally) = agreed.expect("there are contenders that count");
    assert!(tally.frames > 1, "{}: there were frames", corpus.name());
    tally
}

/// Octets of each stream.
const OCTETS: usize = 64 << 20;
