//! The bench of the codec: decoding, encoding and how both scale.

use std::process::ExitCode;

use crate::args::Options;
use crate::ceilings::{self, borrowing, owned};
use crate::corpus::{CHUNK, Corpus};
use crate::harness::{self, Contender, Times};
use crate::report::{self, Table};
use crate::tally::Tally;
use crate::{encoding, ours, scaling};

/// Runs what the arguments ask for.
pub fn codec(args: impl Iterator<Item = String>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if options.is_test() {
        check_all(&options);
        return ExitCode::SUCCESS;
    }
    let corpora: Vec<Corpus> =
        Corpus::ALL.into_iter().filter(|corpus| options.wants(corpus.name())).collect();
    let parts = [encoding::NAME, scaling::NAME];
    if corpora.is_empty() && !parts.iter().any(|part| options.wants(part)) {
        let names: Vec<&str> = Corpus::ALL.into_iter().map(Corpus::name).chain(parts).collect();
        eprintln!("nothing is called {:?}; there is {}", options.only, names.join(", "));
        return ExitCode::FAILURE;
    }
    println!("{} interleaved rounds, medians, {}", options.rounds, harness::pin());
    decode_all(&corpora, options.rounds);
    if options.only.is_empty() || options.wants(encoding::NAME) {
        encoding::measure(&Corpus::ALL, options.rounds);
    }
    if options.wants(scaling::NAME) {
        scaling::measure(options.rounds);
    }
    ExitCode::SUCCESS
}

/// Runs every contender once on little input and compares what they found.
fn check_all(options: &Options) {
    for corpus in Corpus::ALL.into_iter().filter(|corpus| options.wants(corpus.name())) {
        let wire = corpus.wire(test_octets(corpus));
        compare(corpus, &mut contenders(&wire));
        println!("{}: all contenders find the same", corpus.name());
    }
    if options.wants(encoding::NAME) {
        encoding::check(&Corpus::ALL);
    }
    if options.wants(scaling::NAME) {
        scaling::check();
    }
}

fn decode_all(corpora: &[Corpus], rounds: usize) {
    if corpora.is_empty() {
        return;
    }
    println!("\nDecoding, {} MiB each in chunks of {} KiB; × is speed\n", OCTETS >> 20, CHUNK >> 10);
    let columns = [
        ("corpus", 7),
        ("contender", 26),
        ("GB/s", 6),
        ("× memcpy", 0),
        ("× owned", 0),
        ("× borrowing", 0),
        ("ns/frame", 0),
    ];
    let table = Table::begin(&columns, 2);
    for &corpus in corpora {
        let wire = corpus.wire(OCTETS);
        let mut contenders = contenders(&wire);
        let tally = compare(corpus, &mut contenders);
        let times = harness::interleave(&mut contenders, rounds);
        for (at, contender) in contenders.iter().enumerate() {
            table.row(&row(corpus, contender.name, at, &times, wire.len(), tally));
        }
    }
}

fn row(corpus: Corpus, name: &str, at: usize, times: &Times, octets: usize, tally: Tally) -> Vec<String> {
    let seconds = times.median(at);
    vec![
        corpus.name().into(),
        name.into(),
        report::gigabytes(octets, seconds),
        report::ratio(times.ratio(COPY, at)),
        report::ratio(times.ratio(OWNED, at)),
        report::ratio(times.ratio(BORROWING, at)),
        report::nanoseconds(seconds, tally.frames),
    ]
}

/// Where the ceilings stand among the contenders.
const COPY: usize = 0;
const OWNED: usize = 1;
const BORROWING: usize = 2;

fn contenders(wire: &[u8]) -> Vec<Contender<'_, Option<Tally>>> {
    let mut buffer = Vec::new();
    let mut owning = owned::Owning::default();
    let mut borrowing = borrowing::Borrowing::default();
    vec![
        Contender::new("memcpy", move || {
            ceilings::copy(wire, &mut buffer);
            None
        }),
        Contender::new("owned splitter", move || Some(owned::tally(wire, &mut owning))),
        Contender::new("borrowing splitter", move || Some(borrowing::tally(wire, &mut borrowing))),
        Contender::new("stompede owned", move || Some(ours::owned(wire))),
        Contender::new("stompede owned, all read", move || Some(ours::owned_read(wire))),
    ]
}

/// What all contenders found, each having run once.
///
/// # Panics
/// If they disagree: a contender that sees less than the others has no business in the table.
fn compare(corpus: Corpus, contenders: &mut [Contender<'_, Option<Tally>>]) -> Tally {
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

/// Octets of each stream in a test, which may be a debug build: several chunks and at least two frames.
fn test_octets(corpus: Corpus) -> usize {
    if corpus == Corpus::Large { 1100 << 10 } else { 200 << 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_contenders_find_the_same() {
        check_all(&Options { rounds: 0, only: Vec::new() });
    }

    #[test]
    fn the_owned_splitter_resolves_escapes() {
        for corpus in [Corpus::Headers, Corpus::Small] {
            let messages = corpus.messages(50_000);
            let mut wire = Vec::new();
            messages.iter().for_each(|message| message.write(&mut wire));
            let mut expected = messages.iter();
            owned::Owning::default().read(&wire, |frame| {
                let message = expected.next().expect("no more frames than messages");
                assert_eq!(frame.command(), message.command.as_bytes());
                assert_eq!(frame.body(), message.body);
                assert_eq!(frame.index.len(), message.headers.len() + 1);
                for (at, (name, value)) in message.headers.iter().enumerate() {
                    assert_eq!(frame.header(at), (name.as_bytes(), value.as_bytes()));
                }
            });
            assert!(expected.next().is_none());
        }
    }

    #[test]
    fn the_borrowing_splitter_finds_every_part() {
        let messages = Corpus::NoLen.messages(200_000);
        let mut wire = Vec::new();
        messages.iter().for_each(|message| message.write(&mut wire));
        let mut expected = messages.iter();
        borrowing::Borrowing::default().read(&wire, |view| {
            let message = expected.next().expect("no more frames than messages");
            assert_eq!(view.command, message.command.as_bytes());
            assert_eq!(view.body, message.body);
            for (span, (name, value)) in view.index.iter().zip(&message.headers) {
                let (start, colon, end) = (span.start as usize, span.colon as usize, span.end as usize);
                assert_eq!(&view.octets[start..colon], name.as_bytes());
                assert_eq!(&view.octets[colon + 1..end], value.as_bytes());
            }
        });
        assert!(expected.next().is_none());
    }
}
