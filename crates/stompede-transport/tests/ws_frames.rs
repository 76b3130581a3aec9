//! RFC 6455 case by case, in the order of the suite that WebSocket libraries are usually held to, and each wire in several
//! cuts: a client takes small messages by a way of its own, and what it does must not depend on how the bytes come.
#![cfg(feature = "ws")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;
#[path = "support/ws.rs"]
mod ws_support;

use bytes::Bytes;
use stompede_transport::{TransportErrorKind as Kind, WsConfig};
use support::*;
use tokio::io::AsyncWriteExt;
use ws_support::*;

/// A frame with these reserved bits.
fn reserved(bits: u8, fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame(fin, opcode, payload);
    frame[0] |= bits << 4;
    frame
}

/// What a client receives, how that ends, and the frames with which it answers.
type Seen = (Bytes, Result<(), Kind>, Vec<(u8, Vec<u8>)>);

async fn seen(wire: &[u8], cut: usize) -> Seen {
    // The first piece comes in the same read as the 101.
    let (first, rest) = wire.split_at(cut.min(wire.len()));
    let (mut client, mut peer) = client_with(WsConfig::new(), 4 << 20, first).await;
    let writing = async {
        for piece in rest.chunks(cut) {
            peer.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answers = Vec::new();
        while let Some((opcode, payload)) = read_frame(&mut peer).await {
            answers.push((opcode, payload));
            if opcode == CLOSE {
                break;
            }
        }
        answers
    };
    let ((received, end), answers) = tokio::join!(recv_to_end(&mut client), writing);
    (received, end, answers)
}

async fn each_cut(wire: &[u8], mut check: impl FnMut(Seen, &str)) {
    let cuts: &[usize] = if wire.len() < 3000 { &[usize::MAX, 1, 2, 7] } else { &[usize::MAX, 1000] };
    for &cut in cuts {
        let case = format!("{}, cut into {cut}", wire[..wire.len().min(60)].escape_ascii());
        check(seen(wire, cut).await, &case);
    }
}

/// The peer closes after this; what is received, and the pongs.
async fn is_fine(wire: &[Vec<u8>], expected: &[u8], pongs: &[&[u8]]) {
    let wire = [wire.concat(), close_frame(1000, "")].concat();
    each_cut(&wire, |(received, end, answers), case| {
        assert_eq!(received, expected, "{case}");
        assert_eq!(end, Ok(()), "{case}");
        let (close, answered) = answers.split_last().unwrap();
        assert_eq!(close.0, CLOSE, "{case}");
        let answered: Vec<_> = answered.iter().map(|(opcode, payload)| (*opcode, &payload[..])).collect();
        let pongs: Vec<_> = pongs.iter().map(|payload| (PONG, *payload)).collect();
        assert_eq!(answered, pongs, "{case}");
    })
    .await;
}

/// Behind a message that is received all the same.
async fn breaks(wire: &[Vec<u8>], code: u16) {
    let wire = [frame(true, TEXT, b"before"), wire.concat(), frame(true, TEXT, b"behind")].concat();
    each_cut(&wire, |(received, end, answers), case| {
        assert_eq!((&received[..], end), (&b"before"[..], Err(Kind::Protocol)), "{case}");
        let (opcode, payload) = answers.last().unwrap();
        assert_eq!((*opcode, &payload[..2]), (CLOSE, &code.to_be_bytes()[..]), "{case}");
        assert!(answers.len() == 1, "{case}: {answers:?}");
    })
    .await;
}

#[tokio::test]
async fn messages_of_any_length_arrive() {
    for len in [0, 1, 125, 126, 127, 128, 4095, 65_535, 65_536] {
        for opcode in [TEXT, BINARY] {
            let payload = vec![b'*'; len];
            is_fine(
                &[frame(true, opcode, &payload), frame(true, opcode, b"!")],
                &[&payload[..], b"!"].concat(),
                &[],
            )
            .await;
        }
    }
}

#[tokio::test]
async fn pings_are_answered_with_their_payload_and_pongs_with_nothing() {
    let ping = |payload: &[u8]| frame(true, PING, payload);
    let binary = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff";
    is_fine(&[ping(b"")], b"", &[b""]).await;
    is_fine(&[ping(b"hello"), frame(true, TEXT, b"a")], b"a", &[b"hello"]).await;
    is_fine(&[ping(binary)], b"", &[binary]).await;
    is_fine(&[ping(&[0xfe; 125])], b"", &[&[0xfe; 125]]).await;
    is_fine(&[frame(true, PONG, b""), frame(true, PONG, b"unsolicited"), ping(b"x")], b"", &[b"x"]).await;
}

#[tokio::test]
async fn reserved_bits_and_opcodes_break_the_protocol() {
    for bits in 1..8 {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            breaks(&[reserved(bits, true, opcode, b"")], 1002).await;
            breaks(&[reserved(bits, true, opcode, b"\x03\xe8hello")], 1002).await;
        }
        breaks(&[reserved(bits, false, TEXT, b"a"), frame(true, 0, b"b")], 1002).await;
        breaks(&[frame(false, TEXT, b""), reserved(bits, true, 0, b"b")], 1002).await;
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for fin in [true, false] {
            breaks(&[frame(fin, opcode, b"")], 1002).await;
            breaks(&[frame(fin, opcode, b"reserved")], 1002).await;
        }
    }
}

#[tokio::test]
async fn control_frames_are_short_and_whole() {
    for opcode in [PING, PONG, CLOSE] {
        breaks(&[frame(false, opcode, b"")], 1002).await;
        breaks(&[frame(false, opcode, b"\x03\xe8"), frame(true, 0, b"")], 1002).await;
        breaks(&[frame(true, opcode, &[3; 126])], 1002).await;
        breaks(&[frame(true, opcode, &[3; 70_000])], 1002).await;
    }
    for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
        // What a server sends is not masked.
        breaks(&[vec![0x80 | opcode, 0x80, 1, 2, 3, 4]], 1002).await;
        breaks(&[vec![0x80 | opcode, 0x82, 0, 0, 0, 0, 3, 232]], 1002).await;
    }
}

#[tokio::test]
async fn fragments_are_joined_whatever_control_frames_stand_between_them() {
    let (part, last) = (|payload: &[u8]| frame(false, 0, payload), |payload: &[u8]| frame(true, 0, payload));
    let ping = |payload: &[u8]| frame(true, PING, payload);
    for opcode in [TEXT, BINARY] {
        let first = |payload: &[u8]| frame(false, opcode, payload);
        is_fine(&[first(b"one"), last(b"two")], b"onetwo", &[]).await;
        is_fine(&[first(b""), part(b""), last(b"")], b"", &[]).await;
        is_fine(&[first(b""), part(b"middle"), last(b"")], b"middle", &[]).await;
        is_fine(&[first(b"one"), ping(b"1"), last(b"two")], b"onetwo", &[b"1"]).await;
        is_fine(
            &[first(b"one"), ping(b"1"), part(b"two"), frame(true, PONG, b"x"), last(b"three")],
            b"onetwothree",
            &[b"1"],
        )
        .await;
        is_fine(
            &[first(b"one"), last(b"two"), frame(true, TEXT, b"three"), first(b"f"), last(b"our")],
            b"onetwothreefour",
            &[],
        )
        .await;
        breaks(&[last(b"nothing to go on with")], 1002).await;
        breaks(&[part(b"nothing to go on with"), last(b"x")], 1002).await;
        breaks(&[first(b""), last(b""), last(b"over")], 1002).await;
        breaks(&[first(b""), frame(true, opcode, b"another")], 1002).await;
        breaks(&[first(b""), first(b"another"), last(b"")], 1002).await;
    }
}

#[tokio::test]
async fn close_frames_are_answered_and_judged() {
    // Nothing behind a close frame is of interest.
    for close in [frame(true, CLOSE, b""), close_frame(1000, ""), close_frame(1000, &"*".repeat(123))] {
        let wire =
            [frame(true, TEXT, b"before"), close, frame(true, PING, b"late"), frame(true, TEXT, b"late")];
        each_cut(&wire.concat(), |(received, end, answers), case| {
            assert_eq!((&received[..], end), (&b"before"[..], Ok(())), "{case}");
            assert_eq!(answers.len(), 1, "{case}: {answers:?}");
        })
        .await;
    }
    for code in [1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999] {
        each_cut(&close_frame(code, "why"), |(received, end, answers), case| {
            assert_eq!((&received[..], end), (&b""[..], Err(Kind::Closed { code })), "{case}");
            assert_eq!(answers.len(), 1, "{case}: {answers:?}");
            assert_eq!((answers[0].0, &answers[0].1[..2]), (CLOSE, &code.to_be_bytes()[..]), "{case}");
        })
        .await;
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        breaks(&[close_frame(code, "")], 1002).await;
        breaks(&[close_frame(code, "why")], 1002).await;
    }
    breaks(&[frame(true, CLOSE, b"\x03")], 1002).await;
    breaks(&[frame(true, CLOSE, b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80")], 1007)
        .await;
}
