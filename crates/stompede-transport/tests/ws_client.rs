//! A WebSocket client against a peer that is scripted frame by frame.
#![cfg(feature = "ws")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;
#[path = "support/ws.rs"]
mod ws_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use bytes::Bytes;
use stompede_transport::{Outbound, Transport, TransportErrorKind as Kind, WsConfig, WsMessageKind, ws};
use support::*;
use tokio::io::AsyncWriteExt;
use ws_support::*;

/// No UTF-8 anywhere, and bytes that look like the beginning of a text frame.
const BINARY_BODY: &[u8] = b"MESSAGE\n\n\xff\xfe\x81\x05\xc3\0";

#[tokio::test]
async fn text_that_is_not_utf_8_arrives_whole_even_right_behind_the_101() {
    let behind = [frame(true, TEXT, BINARY_BODY), frame(true, TEXT, BINARY_BODY)].concat();
    for cut in 0..=behind.len() {
        let (mut client, mut peer) = client_with(WsConfig::new(), 0, &behind[..cut]).await;
        peer.write_all(&behind[cut..]).await.unwrap();
        peer.write_all(&frame(true, BINARY, b"last")).await.unwrap();
        let received = recv_bytes(&mut client, 2 * BINARY_BODY.len() + 4).await;
        assert_eq!(received, [BINARY_BODY, BINARY_BODY, b"last"].concat());
    }
}

#[tokio::test]
async fn fragments_are_joined_and_a_ping_between_them_is_answered() {
    let (mut client, mut peer) = client().await;
    let wire = [
        frame(false, TEXT, b"MESS\xff"),
        frame(true, PING, b"are you there"),
        frame(false, 0, b""),
        frame(true, 0, &vec![0xff; 70_000]),
        frame(true, PONG, b"nobody asked"),
        frame(true, TEXT, b"\n"),
    ]
    .concat();
    let writer = async {
        for piece in wire.chunks(33) {
            peer.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(read_frame(&mut peer).await, Some((PONG, b"are you there".to_vec())));
        peer
    };
    let (received, _peer) = tokio::join!(recv_bytes(&mut client, 70_006), writer);
    assert_eq!(received, [b"MESS\xff", &vec![0xff; 70_000][..], b"\n"].concat());
}

#[tokio::test]
async fn each_frame_is_one_message_text_if_it_can_be() {
    let items = [
        (whole("SEND\n\nöl\0"), TEXT, "SEND\n\nöl\0".as_bytes().to_vec()),
        (Outbound::heart_beat(), TEXT, b"\n".to_vec()),
        (
            Outbound::split(Bytes::from_static(b"SEND\n\n"), Bytes::from_static(b"\xff")),
            BINARY,
            b"SEND\n\n\xff\0".to_vec(),
        ),
        (Outbound::split(Bytes::from_static(b"SEND\n\n"), Bytes::from(vec![b'x'; 70_000])), TEXT, {
            [&b"SEND\n\n"[..], &vec![b'x'; 70_000], b"\0"].concat()
        }),
    ];
    for kind in [WsMessageKind::Auto, WsMessageKind::Binary] {
        let (mut client, mut peer) = client_with(WsConfig::new().message_kind(kind), 1 << 20, b"").await;
        for (item, _, _) in &items {
            feed(&mut client, item.clone()).await.unwrap();
        }
        flush(&mut client).await.unwrap();
        for (_, opcode, payload) in &items {
            let opcode = if kind == WsMessageKind::Binary { BINARY } else { *opcode };
            assert_eq!(read_frame(&mut peer).await, Some((opcode, payload.clone())));
        }
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_the_connection_goes_on() {
    let config = WsConfig::new().message_kind(WsMessageKind::Text).max_message(1000);
    let (mut client, mut peer) = client_with(config, 0, b"").await;
    let not_text = Outbound::whole(Bytes::from_static(b"\xff"));
    assert_eq!(kind(&feed(&mut client, not_text).await.unwrap_err()), Kind::NotText);
    let too_large = Outbound::whole(Bytes::from(vec![b'x'; 1001]));
    assert_eq!(kind(&feed(&mut client, too_large).await.unwrap_err()), Kind::TooLarge);
    send(&mut client, whole("SEND\n\n\0")).await.unwrap();
    assert_eq!(read_frame(&mut peer).await, Some((TEXT, b"SEND\n\n\0".to_vec())));
}

#[tokio::test]
async fn an_orderly_close_comes_after_what_was_sent_and_is_answered() {
    for (goodbye, reason) in [
        (close_frame(1000, "STOMP died"), Some((1000, "STOMP died"))),
        (close_frame(1001, ""), Some((1001, ""))),
        (frame(true, CLOSE, b""), None),
    ] {
        let (mut client, mut peer) = client().await;
        peer.write_all(&[frame(true, TEXT, b"ERROR\n\n\0"), goodbye].concat()).await.unwrap();
        assert_eq!(recv_to_end(&mut client).await, (Bytes::from_static(b"ERROR\n\n\0"), Ok(())));
        let said = client.close_reason().map(|said| (said.code, &*said.reason));
        assert_eq!(said, reason);
        assert_eq!(read_frame(&mut peer).await.unwrap().0, CLOSE);
        assert_eq!(kind(&ready(&mut client).await.unwrap_err()), Kind::Lost);
        assert!(client.start_send(whole("x")).is_err());
        close(&mut client).await.unwrap();
    }
}

#[tokio::test]
async fn other_close_codes_are_errors_with_the_peers_words() {
    for code in [1002, 1007, 1009, 1011, 4000] {
        let (mut client, mut peer) = client().await;
        peer.write_all(&close_frame(code, "{bad_escape,\"\\\\t\"}")).await.unwrap();
        let Some(Err(error)) = recv(&mut client).await else { panic!("{code} is no orderly end") };
        assert_eq!(error.kind(), &Kind::Closed { code });
        assert!(error.to_string().contains("bad_escape"), "{error}");
        assert!(error.to_string().contains("which nobody here had asked for"), "{error}");
        let reason = error.close_reason().unwrap();
        assert_eq!((reason.code, &*reason.reason), (code, "{bad_escape,\"\\\\t\"}"));
        assert!(!reason.requested);
        assert_eq!(recv_to_end(&mut client).await.1, Err(Kind::Closed { code }));
        assert_eq!(kind(&ready(&mut client).await.unwrap_err()), Kind::Closed { code });
        assert_eq!(client.close_reason().unwrap().code, code);
    }
}

#[tokio::test]
async fn a_close_code_that_none_may_carry_is_not_taken_for_the_peers_words() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535] {
        let (mut client, mut peer) = client().await;
        peer.write_all(&close_frame(code, "bye")).await.unwrap();
        let Some(Err(error)) = recv(&mut client).await else { panic!("{code} is no orderly end") };
        assert_eq!(error.kind(), &Kind::Protocol, "{code}");
        assert!(error.to_string().contains("a code that a close frame may not carry"), "{error}");
        assert!(error.close_reason().is_none() && client.close_reason().is_none());
        let (opcode, payload) = read_frame(&mut peer).await.unwrap();
        assert_eq!((opcode, &payload[..2]), (CLOSE, &1002_u16.to_be_bytes()[..]));
    }
}

#[tokio::test]
async fn an_end_without_a_close_is_a_loss() {
    for wire in
        [frame(true, TEXT, b"ERROR\n\n\0"), [frame(true, TEXT, b"ERROR\n\n\0"), vec![0x81, 9, b'x']].concat()]
    {
        let (mut client, mut peer) = client().await;
        peer.write_all(&wire).await.unwrap();
        drop(peer);
        assert_eq!(recv_to_end(&mut client).await, (Bytes::from_static(b"ERROR\n\n\0"), Err(Kind::Lost)));
        assert!(ready(&mut client).await.is_err());
        assert!(close(&mut client).await.is_err());
    }
}

#[tokio::test]
async fn what_breaks_the_websocket_protocol_is_told_to_the_peer() {
    let too_large = [&[0x82, 127][..], &2000_u64.to_be_bytes()].concat();
    let huge = [&[0x81, 127][..], &u64::MAX.to_be_bytes()].concat();
    for (wire, expected, code) in [
        (frame(true, 3, b"reserved opcode"), Kind::Protocol, 1002_u16),
        (vec![0xc1, 0], Kind::Protocol, 1002),
        (vec![0x81, 0x80, 0, 0, 0, 0], Kind::Protocol, 1002),
        (frame(true, 0, b"nothing to continue"), Kind::Protocol, 1002),
        (frame(true, PING, &[0; 126]), Kind::Protocol, 1002),
        (frame(false, PING, b""), Kind::Protocol, 1002),
        (frame(false, CLOSE, &1000_u16.to_be_bytes()), Kind::Protocol, 1002),
        (frame(true, CLOSE, b"x"), Kind::Protocol, 1002),
        (frame(true, CLOSE, b"\x03\xe8\xff"), Kind::Protocol, 1007),
        ([frame(false, TEXT, b"one"), frame(true, TEXT, b"other")].concat(), Kind::Protocol, 1002),
        (too_large, Kind::TooLarge, 1009),
        (huge, Kind::TooLarge, 1009),
        ([frame(false, TEXT, &[0; 600]), frame(true, 0, &[0; 600])].concat(), Kind::TooLarge, 1009),
    ] {
        let (mut client, mut peer) = client_with(WsConfig::new().max_message(1000), 0, b"").await;
        peer.write_all(&[frame(true, TEXT, b"before"), wire].concat()).await.unwrap();
        assert_eq!(recv_to_end(&mut client).await, (Bytes::from_static(b"before"), Err(expected)));
        let (opcode, payload) = read_frame(&mut peer).await.unwrap();
        assert_eq!((opcode, &payload[..2]), (CLOSE, &code.to_be_bytes()[..]));
    }
}

#[tokio::test]
async fn closing_flushes_says_goodbye_and_waits_for_the_answer() {
    let (mut client, mut peer) = client().await;
    feed(&mut client, whole("DISCONNECT\n\n\0")).await.unwrap();
    close(&mut client).await.unwrap();
    close(&mut client).await.unwrap();
    assert!(ready(&mut client).await.is_err());
    assert_eq!(read_frame(&mut peer).await, Some((TEXT, b"DISCONNECT\n\n\0".to_vec())));
    assert_eq!(read_frame(&mut peer).await, Some((CLOSE, 1000_u16.to_be_bytes().to_vec())));
    let answer = [frame(true, TEXT, b"RECEIPT\n\n\0"), close_frame(1000, "")].concat();
    peer.write_all(&answer).await.unwrap();
    assert_eq!(recv_to_end(&mut client).await, (Bytes::from_static(b"RECEIPT\n\n\0"), Ok(())));
    assert!(client.close_reason().unwrap().requested);
}

#[tokio::test]
async fn a_close_that_overtakes_our_goodbye_was_not_asked_for() {
    let (mut client, mut peer) = client().await;
    feed_until_pending(&mut client, 10_000);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(client.poll_close(&mut cx).is_pending());
    peer.write_all(&close_frame(1011, "out of memory")).await.unwrap();
    let Some(Err(error)) = recv(&mut client).await else { panic!("what was sent before is lost") };
    assert_eq!(error.kind(), &Kind::Closed { code: 1011 });
    assert!(!error.close_reason().unwrap().requested);
}

#[tokio::test]
async fn a_frame_may_be_limited_below_its_message() {
    let config = WsConfig::new().max_message(1000).max_frame(400);
    let (mut client, mut peer) = client_with(config, 0, b"").await;
    let halves = [frame(false, TEXT, &[b'x'; 400]), frame(true, 0, &[b'y'; 400])].concat();
    peer.write_all(&[halves, frame(true, TEXT, &[b'z'; 401])].concat()).await.unwrap();
    let (received, end) = recv_to_end(&mut client).await;
    assert_eq!((received.len(), end), (800, Err(Kind::TooLarge)));
}

#[tokio::test]
async fn the_default_limit_takes_whatever_the_decoder_takes_by_default() {
    let limits = stompede_codec::Limits::default();
    assert_eq!(ws::DEFAULT_MAX_MESSAGE, ws::max_message_for(limits.max_head, limits.max_body));
    let (mut client, mut peer) = client().await;
    let mut head = b"MESSAGE\na:".to_vec();
    head.resize(limits.max_head - 2, b'x');
    let largest = [&head[..], b"\n\n", &vec![b'y'; limits.max_body], b"\0\r\n\r\n"].concat();
    let sending = async {
        peer.write_all(&[0x81, 127]).await.unwrap();
        peer.write_all(&(largest.len() as u64).to_be_bytes()).await.unwrap();
        peer.write_all(&largest).await.unwrap();
    };
    let (received, ()) = tokio::join!(recv_bytes(&mut client, largest.len()), sending);
    assert!(received == largest);
}

#[tokio::test]
async fn a_peer_that_hangs_up_on_our_goodbye_ends_in_order() {
    let (mut client, peer) = client().await;
    close(&mut client).await.unwrap();
    drop(peer);
    assert_eq!(recv_to_end(&mut client).await, (Bytes::new(), Ok(())));
}

#[tokio::test]
async fn what_has_arrived_can_be_read_after_a_write_failed_even_behind_a_ping() {
    let (mut client, mut peer) = client().await;
    peer.write_all(&[frame(true, PING, b"?"), frame(true, TEXT, b"ERROR\n\n\0")].concat()).await.unwrap();
    drop(peer);
    assert_eq!(kind(&send(&mut client, whole("SEND\n\n\0")).await.unwrap_err()), Kind::Lost);
    assert_eq!(kind(&ready(&mut client).await.unwrap_err()), Kind::Lost);
    assert_eq!(recv_to_end(&mut client).await, (Bytes::from_static(b"ERROR\n\n\0"), Err(Kind::Lost)));
}

#[tokio::test]
async fn a_peer_that_stops_reading_pushes_back_and_can_still_be_read() {
    let (mut client, mut peer) = client().await;
    // The pipe takes 64 KiB, and as much may wait before it.
    let taken = feed_until_pending(&mut client, 10_000);
    assert_eq!(taken, 14);
    // More pings than there is room for answers to: neither the frames nor the reading suffer from it.
    let ping = frame(true, PING, b"are you there");
    for _ in 0..30_000 {
        let (written, ()) = tokio::join!(peer.write_all(&ping), async {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(client.poll_recv(&mut cx).is_pending());
        });
        written.unwrap();
    }
    peer.write_all(&frame(true, TEXT, b"MESSAGE")).await.unwrap();
    assert_eq!(recv_bytes(&mut client, 7).await, "MESSAGE");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(client.poll_ready(&mut cx).is_pending());

    let writing = async {
        ready(&mut client).await.unwrap();
        send(&mut client, whole("the last")).await.unwrap();
    };
    let reading = async {
        let (mut frames, mut pongs) = (0, 0);
        loop {
            match read_frame(&mut peer).await.unwrap() {
                (TEXT, payload) if payload == b"the last" => break (frames, pongs),
                (TEXT, payload) => {
                    assert!(payload == [b'x'; 10_000]);
                    frames += 1;
                }
                (PONG, _) => pongs += 1,
                other => panic!("{other:?}"),
            }
        }
    };
    let ((), (frames, pongs)) = tokio::join!(writing, reading);
    assert_eq!(frames, taken);
    // 19 bytes each with header and mask: they fill the buffer and no more.
    assert!((1..=128 * 1024 / 19).contains(&pongs), "{pongs}");
}

#[tokio::test]
async fn frames_find_room_behind_answers_to_a_flood_of_pings() {
    let (mut client, mut peer) = client().await;
    let pings = frame(true, PING, &[b'?'; 125]).repeat(100);
    for _ in 0..50 {
        let (written, ()) = tokio::join!(peer.write_all(&pings), async {
            let mut cx = Context::from_waker(Waker::noop());
            // So many pings take more than one poll.
            for _ in 0..4 {
                assert!(client.poll_recv(&mut cx).is_pending());
            }
        });
        written.unwrap();
    }
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let writing = async {
        feed(&mut client, whole("first")).await.unwrap();
        feed(&mut client, Outbound::whole(large.clone())).await.unwrap();
        send(&mut client, whole("last")).await.unwrap();
    };
    let reading = async {
        let mut texts = Vec::new();
        while texts.len() < 3 {
            let (opcode, payload) = read_frame(&mut peer).await.unwrap();
            if opcode == TEXT {
                texts.push(payload);
            }
        }
        texts
    };
    let ((), texts) = tokio::join!(writing, reading);
    assert!(texts == [&b"first"[..], &large, b"last"]);
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_blocked_writer_is_woken_although_the_reading_side_answers_pings() {
    let (mut client, mut peer) = client().await;
    feed_until_pending(&mut client, 10_000);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    assert!(client.poll_flush(&mut Context::from_waker(&waker)).is_pending());
    peer.write_all(&frame(true, PING, b"?")).await.unwrap();
    assert!(client.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    read_frame(&mut peer).await.unwrap();
    assert_ne!(wakes.0.load(Ordering::SeqCst), 0);
}
