//! Whatever a peer sends, a WebSocket transport ends in a typed way and never panics.
#![cfg(all(feature = "ws", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;
#[path = "support/ws.rs"]
mod ws_support;

use std::future::Future;

use proptest::prelude::*;
use stompede_transport::server::{AcceptConfig, accept_ws_over};
use stompede_transport::{Transport, WsConfig};
use support::*;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use ws_support::*;

const LIMIT: usize = 300;

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future);
}

/// Frames, mostly sane in themselves, in any order; now and then any bytes.
fn wire(masked: bool) -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![0..3_u8, 8..11_u8, any::<u8>()];
    let payload = prop::collection::vec(any::<u8>(), 0..LIMIT + 20);
    let frame = (any::<bool>(), opcode, payload).prop_map(move |(fin, opcode, payload)| {
        let mut wire = frame(fin, opcode & 0x7f, &payload);
        if masked {
            wire[1] |= 0x80;
            let at = wire.len() - payload.len();
            wire.splice(at..at, [0; 4]);
        }
        wire
    });
    let pieces = prop_oneof![9 => frame, 1 => prop::collection::vec(any::<u8>(), 0..20)];
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

/// Feeds the transport in pieces while it sends, and then asks everything of it once more.
async fn survives(mut transport: impl Transport, mut peer: DuplexStream, wire: &[u8], piece: usize) {
    for piece in wire.chunks(piece) {
        peer.write_all(piece).await.unwrap();
        let _ = send(&mut transport, whole("SEND\n\n\0")).await;
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = transport.poll_recv(&mut cx);
    }
    peer.shutdown().await.unwrap();
    let _ = recv_to_end(&mut transport).await;
    let _ = close(&mut transport).await;
    assert!(ready(&mut transport).await.is_err());
    assert!(transport.start_send(whole("SEND\n\n\0")).is_err());
    let _ = flush(&mut transport).await;
    let _ = close(&mut transport).await;
    let _ = recv_to_end(&mut transport).await;
}

proptest! {
    #[test]
    fn a_client_survives_any_server(wire in wire(false), piece in 1..200_usize) {
        block_on(async {
            let config = WsConfig::new().max_message(LIMIT);
            let (client, peer) = client_with(config, 1 << 20, b"").await;
            survives(client, peer, &wire, piece).await;
        });
    }

    #[test]
    fn a_server_survives_any_client(wire in wire(true), piece in 1..200_usize) {
        block_on(async {
            let (near, mut far) = duplex(1 << 20);
            far.write_all(
                b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            )
            .await
            .unwrap();
            let server = accept_ws_over(near, &AcceptConfig::new().max_message(LIMIT)).await.unwrap();
            survives(server, far, &wire, piece).await;
        });
    }

    #[test]
    fn no_answer_and_no_request_makes_the_upgrade_panic(
        head in "(HTTP/1.1 [0-9]{3} |GET / HTTP/1.1)?\r?\n?([A-Za-z-]{1,20}: ?\\PC{0,20}\r\n){0,5}(\r\n)?",
        tail in prop::collection::vec(any::<u8>(), 0..50)
    ) {
        block_on(async {
            let wire = [head.as_bytes(), &tail].concat();
            let _ = answered(&wire).await;
            let (near, mut far) = duplex(1 << 16);
            far.write_all(&wire).await.unwrap();
            far.shutdown().await.unwrap();
            let _ = accept_ws_over(near, &AcceptConfig::new()).await;
        });
    }
}
