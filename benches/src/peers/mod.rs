//! Other implementations of STOMP in Rust, each used as its documentation says.

mod agnostic;
mod codecs;
mod parser;

use crate::ceilings::borrowing::Borrowing;
use crate::corpus::Corpus;
use crate::harness::Contender;
use crate::tally::Tally;

/// What the peers are called, as packages are.
pub(crate) const NAMES: [&str; 4] = ["iridium-stomp", "async-stomp", "stomp-agnostic", "stomp-parser"];

/// What a reader of the table has to know.
pub(crate) const NOTES: [&str; 2] = [
    "stomp-agnostic is left out of tiny: it fails on a chunk that begins with two line ends.",
    "stomp-parser finds no frames in a stream: the borrowing splitter does it for it, within its time.",
];

/// The peers that read this corpus.
pub(crate) fn contenders(corpus: Corpus, wire: &[u8]) -> Vec<Contender<'_, Option<Tally>>> {
    let [iridium, r#async, agnostic, parser] = NAMES;
    let mut splitter = Borrowing::default();
    let mut contenders = vec![
        Contender::new(iridium, move || Some(codecs::iridium_stomp(wire))),
        Contender::new(r#async, move || Some(codecs::async_stomp(wire))),
    ];
    if corpus != Corpus::Tiny {
        contenders
            .push(Contender::new(agnostic, move || Some(agnostic::stomp_agnostic(wire).expect(STUMBLED))));
    }
    contenders.push(Contender::new(parser, move || Some(parser::stomp_parser(wire, &mut splitter))));
    contenders
}

/// What is said of a peer that stumbles; the streams are valid STOMP 1.2.
const STUMBLED: &str = "the peer reads this corpus";
