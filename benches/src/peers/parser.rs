//! stomp-parser: a parser of one whole frame.

use std::hint::black_box;

use stomp_parser::server::ServerFrame;

use super::STUMBLED;
use crate::ceilings::borrowing::Borrowing;
use crate::tally::Tally;

/// Counts the frames of a stream, each as a `stomp_parser::server::ServerFrame`.
///
/// It takes a vector with one frame and has nothing that finds a frame in a stream; the borrowing splitter does that
/// for it, and its time is in here.
pub(crate) fn stomp_parser(wire: &[u8], splitter: &mut Borrowing) -> Tally {
    let mut tally = Tally::default();
    splitter.read(wire, |view| {
        let frame = ServerFrame::try_from(view.octets.to_vec()).expect(STUMBLED);
        match black_box(frame) {
            ServerFrame::Message(frame) => {
                let optional = usize::from(frame.content_type().is_some())
                    + usize::from(frame.content_length().is_some());
                tally.frame(b"MESSAGE", 3 + optional + frame.custom.len(), frame.body().unwrap_or_default());
            }
            ServerFrame::Receipt(_) => tally.frame(b"RECEIPT", 1, &[]),
            ServerFrame::Error(frame) => {
                let headers = usize::from(frame.message().is_some()) + frame.custom.len();
                tally.frame(b"ERROR", headers, frame.body().unwrap_or_default());
            }
            ServerFrame::Connected(_) => {}
        }
    });
    tally
}
