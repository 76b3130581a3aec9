//! The server's side of WebSocket: refusing, accepting, and talking to our own client over real sockets.
#![cfg(all(feature = "ws", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;
#[path = "support/ws.rs"]
mod ws_support;

use bytes::Bytes;
use stompede_transport::server::{AcceptConfig, accept_tcp, accept_ws, accept_ws_over};
use stompede_transport::{
    BoxTransport, CloseReason, Connector, DefaultConnector, Endpoint, Outbound, Transport, TransportError,
    TransportErrorKind as Kind, WsConfig, WsMessageKind, WsTransport,
};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use ws_support::{TEXT, close_frame, frame};

const UPGRADE: &str = "Host: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What `request` comes to, and what the client reads.
async fn asked(
    request: &[u8],
    config: AcceptConfig,
) -> (Result<WsTransport<DuplexStream>, TransportError>, String) {
    let (near, mut far) = duplex(64 * 1024);
    let mut answer = Vec::new();
    let (outcome, ()) = tokio::join!(accept_ws_over(near, &config), async {
        // The server may hang up in the middle of a request that is too long.
        let _ = far.write_all(request).await;
        far.shutdown().await.unwrap();
    });
    let accepted = outcome.is_ok();
    if accepted {
        while !answer.ends_with(b"\r\n\r\n") {
            far.read_buf(&mut answer).await.unwrap();
        }
    } else {
        far.read_to_end(&mut answer).await.unwrap();
    }
    (outcome, String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn what_is_no_upgrade_gets_an_http_status_that_fits() {
    let upgrade = UPGRADE;
    let without = |name: &str| -> String {
        UPGRADE.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect()
    };
    let get = |fields: &str| format!("GET /ws HTTP/1.1\r\n{fields}\r\n");
    let many = "X: y\r\n".repeat(200);
    let long = "y".repeat(20_000);
    for (request, status) in [
        ("CONNECT\naccept-version:1.2\n\n\0".to_owned(), 400),
        ("\u{16}\u{3}\u{1}".to_owned(), 400),
        ("GET /ws\r\n\r\n".to_owned(), 400),
        (format!("GET /ws HTTP/1.0\r\n{upgrade}\r\n"), 400),
        (format!("POST /ws HTTP/1.1\r\n{upgrade}\r\n"), 405),
        (format!("GET /elsewhere HTTP/1.1\r\n{upgrade}\r\n"), 404),
        (format!("GET /ws/ HTTP/1.1\r\n{upgrade}\r\n"), 404),
        (get(""), 426),
        (get(&without("Upgrade")), 426),
        (get(&without("Connection")), 426),
        (get(&without("Sec-WebSocket-Version")), 426),
        (get(&upgrade.replace("13", "8")), 426),
        (get(&without("Sec-WebSocket-Key")), 400),
        (get(&upgrade.replace("dGhl", "dGhlIHNo")), 400),
        (get(&upgrade.replace("dGhl", "****")), 400),
        (get(&format!("{upgrade}{many}")), 431),
        (get(&format!("{upgrade}X: {long}\r\n")), 431),
    ] {
        let (outcome, answer) = asked(request.as_bytes(), AcceptConfig::new().path("/ws")).await;
        assert_eq!(kind(&outcome.unwrap_err()), Kind::UpgradeRefused { status }, "{request:.60}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.60}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
        assert_eq!(head.contains("\r\nUpgrade: websocket"), status == 426, "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_its_request_is_a_handshake_error() {
    for request in [&b""[..], b"GET /ws HTTP/1.1\r\nHost"] {
        let (outcome, answer) = asked(request, AcceptConfig::new()).await;
        assert_eq!(kind(&outcome.unwrap_err()), Kind::Handshake);
        assert_eq!(answer, "");
    }
}

#[tokio::test]
async fn the_highest_subprotocol_is_chosen_and_none_if_none_is_known() {
    for (offered, chosen) in [
        ("", None),
        ("Sec-WebSocket-Protocol: v10.stomp, v12.stomp,v11.stomp\r\n", Some("v12.stomp")),
        ("Sec-WebSocket-Protocol: v10.stomp\r\nSec-WebSocket-Protocol: V11.stomp\r\n", Some("v11.stomp")),
        ("Sec-WebSocket-Protocol: foo, stomp\r\n", None),
    ] {
        let request = format!("GET /ws?query HTTP/1.1\r\n{UPGRADE}{offered}\r\n");
        let (outcome, answer) = asked(request.as_bytes(), AcceptConfig::new().path("/ws")).await;
        assert_eq!(outcome.unwrap().subprotocol(), chosen);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        let named = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(named, chosen);
    }
}

#[tokio::test]
async fn a_server_may_have_subprotocols_of_its_own() {
    let offered = "Sec-WebSocket-Protocol: v10.stomp, v12.stomp, stomp\r\n";
    let request = format!("GET /ws HTTP/1.1\r\n{UPGRADE}{offered}\r\n");
    for (names, chosen) in [
        (&["v10.stomp", "stomp"][..], Some("v10.stomp")),
        (&["stomp"], Some("stomp")),
        (&["", "x\r\ny"], None),
        (&[], None),
    ] {
        let (outcome, answer) =
            asked(request.as_bytes(), AcceptConfig::new().subprotocols(names.iter().copied())).await;
        assert_eq!(outcome.unwrap().subprotocol(), chosen);
        assert_eq!(answer.contains("Sec-WebSocket-Protocol"), chosen.is_some(), "{answer}");
    }
}

#[tokio::test]
async fn compression_is_not_agreed_to_and_compressed_messages_are_refused() {
    let offered = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let request = format!("GET /ws HTTP/1.1\r\n{UPGRADE}{offered}\r\n");
    let (outcome, answer) = asked(request.as_bytes(), AcceptConfig::new()).await;
    assert!(outcome.is_ok() && !answer.to_ascii_lowercase().contains("extensions"), "{answer}");
    // RSV1 says that a message is compressed.
    let request = [request.as_bytes(), &masked(0x40 | TEXT, b"x")].concat();
    let mut server = asked(&request, AcceptConfig::new()).await.0.unwrap();
    assert_eq!(recv_to_end(&mut server).await.1, Err(Kind::Protocol));
}

/// A server's frames after the upgrade, as they are on the wire.
async fn wire_of(config: AcceptConfig, item: Outbound) -> Vec<u8> {
    let (near, mut far) = duplex(64 * 1024);
    far.write_all(format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n").as_bytes()).await.unwrap();
    let mut server = accept_ws_over(near, &config).await.unwrap();
    send(&mut server, item).await.unwrap();
    close(&mut server).await.unwrap();
    drop(server);
    let mut wire = Vec::new();
    far.read_to_end(&mut wire).await.unwrap();
    let head = wire.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    wire.split_off(head)
}

#[tokio::test]
async fn a_server_can_send_bytes_as_text_and_choose_its_last_words() {
    let config = AcceptConfig::new().any_as_text(true).goodbye(CloseReason::new(1000, "STOMP died")).unwrap();
    let wire = wire_of(config, Outbound::whole(Bytes::from_static(b"\xff\0"))).await;
    let goodbye = [&[0x88, 12][..], &1000_u16.to_be_bytes(), b"STOMP died"].concat();
    assert_eq!(wire, [&[0x81, 2, 0xff, 0][..], &goodbye].concat());
    let plain = wire_of(AcceptConfig::new(), Outbound::whole(Bytes::from_static(b"\xff\0"))).await;
    assert_eq!(plain, [&[0x82, 2, 0xff, 0, 0x88, 2][..], &1000_u16.to_be_bytes()].concat());
    for (code, reason) in [(1005, ""), (1006, ""), (0, ""), (1000, &*"x".repeat(124))] {
        let refused = AcceptConfig::new().goodbye(CloseReason::new(code, reason));
        assert_eq!(kind(&refused.unwrap_err()), Kind::InvalidSetting, "{code}");
    }
}

/// A masked frame, the mask being zero.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    [&[0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

#[tokio::test]
async fn frames_behind_the_request_are_not_lost() {
    let head = format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n");
    let request = [head.as_bytes(), &masked(1, b"CONNECT\n\n\0"), &masked(2, b"\n")].concat();
    let mut server = asked(&request, AcceptConfig::new()).await.0.unwrap();
    assert_eq!(recv_bytes(&mut server, 11).await, "CONNECT\n\n\0\n");
}

#[tokio::test]
async fn a_server_can_ignore_binary_and_keep_messages_apart() {
    let head = format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n");
    let messages =
        [masked(2, b"binary"), masked(1, b"one"), masked(1, b""), masked(2, b"binary"), masked(1, b"two")];
    let request = [head.into_bytes(), messages.concat()].concat();
    let config = AcceptConfig::new().text_only(true).separate_messages(true);
    let mut server = asked(&request, config).await.0.unwrap();
    assert_eq!(recv(&mut server).await.unwrap().unwrap(), "one");
    assert_eq!(recv(&mut server).await.unwrap().unwrap(), "two");
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_told_so() {
    for (wire, code) in [(masked(1, b"\xff"), 1007_u16), (vec![0x81, 1, b'x'], 1002), (masked(3, b""), 1002)]
    {
        let (near, mut far) = duplex(64 * 1024);
        let request = format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n");
        far.write_all(&[request.as_bytes(), &wire].concat()).await.unwrap();
        let mut server = accept_ws_over(near, &AcceptConfig::new()).await.unwrap();
        assert_eq!(recv_to_end(&mut server).await, (Bytes::new(), Err(Kind::Protocol)));
        drop(server);
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(answer[at], 0x88);
        assert_eq!(answer[at + 2..at + 4], code.to_be_bytes());
    }
}

/// A client and a server of ours over a real socket.
async fn pair(config: WsConfig, accept: AcceptConfig) -> (BoxTransport, BoxTransport) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let connector = DefaultConnector::new().ws(config);
    // A broker accepts in a task of its own.
    let server = tokio::spawn(async move { accept_ws(listener.accept().await.unwrap().0, &accept).await });
    let client = connector.connect(Endpoint::parse(&url).unwrap()).await;
    (client.unwrap(), server.await.unwrap().unwrap())
}

#[tokio::test]
async fn ten_thousand_messages_go_with_one_flush_each_way() {
    let (client, server) = pair(WsConfig::new(), AcceptConfig::new()).await;
    for (mut sender, mut receiver) in [(client, server)] {
        for _ in 0..2 {
            let text = "SEND\ndestination:/queue/a\n\nhello\0\n";
            let sending = async {
                for _ in 0..10_000 {
                    feed(&mut sender, whole(text)).await.unwrap();
                }
                flush(&mut sender).await.unwrap();
            };
            let ((), received) = tokio::join!(sending, recv_bytes(&mut receiver, 10_000 * text.len()));
            assert!(received == text.repeat(10_000).as_bytes());
            std::mem::swap(&mut sender, &mut receiver);
        }
    }
}

#[tokio::test]
async fn big_frames_and_any_bytes_pass_both_ways() {
    for kind in [WsMessageKind::Auto, WsMessageKind::Binary] {
        let accept = AcceptConfig::new().message_kind(kind).path("/ws");
        let (mut client, mut server) = pair(WsConfig::new().message_kind(kind), accept).await;
        let body: Bytes = (0..5_000_000).map(|at: u32| (at * 7 / 3) as u8).collect();
        let item = Outbound::split(Bytes::from_static(b"SEND\n\n"), body);
        let expected = item.clone().into_bytes();
        let (sent, received) =
            tokio::join!(send(&mut client, item.clone()), recv_bytes(&mut server, expected.len()));
        sent.unwrap();
        assert!(received == expected);
        let (sent, received) = tokio::join!(send(&mut server, item), recv_bytes(&mut client, expected.len()));
        sent.unwrap();
        assert!(received == expected);
    }
}

#[tokio::test]
async fn a_server_tells_a_client_that_sends_too_much_and_reads_on_until_it_hangs_up() {
    let (near, mut far) = duplex(1000);
    let request = format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n");
    let config = AcceptConfig::new().max_message(10_000);
    let (server, _) = tokio::join!(accept_ws_over(near, &config), far.write_all(request.as_bytes()));
    let mut server = server.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(far.read_u8().await.unwrap());
    }
    // Under a mask of zeroes it stays as it is.
    let head = [&[0x80 | TEXT, 0x80 | 126][..], &50_000_u16.to_be_bytes(), &[0; 4]].concat();
    let large = [head, vec![b'x'; 50_000]].concat();
    let serving = async {
        for _ in 0..2 {
            assert_eq!(kind(&recv(&mut server).await.unwrap().unwrap_err()), Kind::TooLarge);
        }
        send(&mut server, whole("ERROR\n\n\0")).await.unwrap();
        assert_eq!(kind(&recv(&mut server).await.unwrap().unwrap_err()), Kind::TooLarge);
        server.set_goodbye(CloseReason::new(1006, "cannot be said"));
        close(&mut server).await.unwrap();
        assert_eq!(kind(&feed(&mut server, whole("x")).await.unwrap_err()), Kind::Lost);
    };
    let dictating = async {
        // All of it goes out before anything is read.
        far.write_all(&large).await.unwrap();
        let mut wire = Vec::new();
        far.read_to_end(&mut wire).await.unwrap();
        let close = close_frame(1009, "the peer sent too large a WebSocket message");
        assert_eq!(wire, [frame(true, TEXT, b"ERROR\n\n\0"), close].concat());
        drop(far);
    };
    tokio::join!(serving, dictating);
}

#[tokio::test]
async fn a_goodbye_may_be_chosen_and_is_cut_to_what_fits() {
    for (chosen, expected) in [
        (CloseReason::new(1008, "no"), (1008, "no".to_owned())),
        (CloseReason::new(4000, "é".repeat(200)), (4000, "é".repeat(61))),
        (CloseReason::new(1005, "no"), (1000, String::new())),
    ] {
        let (mut client, mut server) = pair(WsConfig::new(), AcceptConfig::new()).await;
        client.set_goodbye(chosen);
        close(&mut client).await.unwrap();
        let _ = recv(&mut server).await;
        let said = server.close_reason().unwrap();
        assert_eq!((said.code, said.reason.to_string()), expected);
    }
}

#[tokio::test]
async fn a_server_answers_a_goodbye_while_it_reads() {
    let (near, mut far) = duplex(64 * 1024);
    let request = format!("GET / HTTP/1.1\r\n{UPGRADE}\r\n");
    far.write_all(&[request.as_bytes(), &masked(8, &1000_u16.to_be_bytes())].concat()).await.unwrap();
    let mut server = accept_ws_over(near, &AcceptConfig::new()).await.unwrap();
    assert_eq!(recv_to_end(&mut server).await, (Bytes::new(), Ok(())));
    let mut wire = [0; 1000];
    let len = far.read(&mut wire).await.unwrap();
    assert!(wire[..len].ends_with(&[0x88, 2, 3, 0xe8]), "{:?}", &wire[..len]);
}

#[tokio::test]
async fn either_side_can_say_goodbye() {
    for client_first in [true, false] {
        let (client, server) = pair(WsConfig::new(), AcceptConfig::new()).await;
        let (mut first, mut second) = if client_first { (client, server) } else { (server, client) };
        feed(&mut first, whole("last words")).await.unwrap();
        close(&mut first).await.unwrap();
        assert_eq!(recv_to_end(&mut second).await, (Bytes::from_static(b"last words"), Ok(())));
        assert_eq!(second.close_reason().unwrap().code, 1000);
        close(&mut second).await.unwrap();
        assert_eq!(recv_to_end(&mut first).await, (Bytes::new(), Ok(())));
        close(&mut first).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_vanishes_is_a_loss() {
    let (mut client, server) = pair(WsConfig::new(), AcceptConfig::new()).await;
    drop(server);
    assert_eq!(recv_to_end(&mut client).await.1, Err(Kind::Lost));
}

#[tokio::test]
async fn a_refused_client_learns_status_and_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/wrong", listener.local_addr().unwrap());
    let (client, server) =
        tokio::join!(DefaultConnector::new().connect(Endpoint::parse(&url).unwrap()), async {
            accept_ws(listener.accept().await.unwrap().0, &AcceptConfig::new().path("/ws")).await
        });
    assert_eq!(kind(&server.err().unwrap()), Kind::UpgradeRefused { status: 404 });
    let error = client.err().unwrap();
    assert_eq!(error.kind(), &Kind::UpgradeRefused { status: 404 });
    assert!(error.response().unwrap().body.starts_with(b"There is no STOMP endpoint here."));
}

#[tokio::test]
async fn a_websocket_client_at_a_plain_stomp_port_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (client, ()) = tokio::join!(DefaultConnector::new().connect(Endpoint::parse(&url).unwrap()), async {
        let mut server = accept_tcp(listener.accept().await.unwrap().0).unwrap();
        recv(&mut server).await.unwrap().unwrap();
        send(&mut server, whole("ERROR\nmessage:what?\n\n\0")).await.unwrap();
    });
    let error = client.err().unwrap();
    assert_eq!(error.kind(), &Kind::Handshake);
    assert!(error.to_string().contains("is this the broker's WebSocket port?"), "{error}");
}
