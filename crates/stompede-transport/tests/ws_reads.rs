//! How often the socket is read while everything received is being held.
#![cfg(feature = "ws")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;
#[path = "support/ws.rs"]
mod ws_support;

use stompede_transport::WsConfig;
use support::*;
use tokio::io::AsyncWriteExt;
use ws_support::*;

/// Bytes a read and chunks a mebibyte, when messages of `len` bytes are received and held.
async fn measured(len: usize) -> (usize, usize) {
    let (mut client, mut far) = watched(WsConfig::new()).await;
    let before = client.get_ref().reads.len();

    let count = (4 << 20) / (len + 4) - 16;
    let message = frame(true, TEXT, &vec![b'x'; len]);
    far.write_all(&message.repeat(count)).await.unwrap();
    let (mut held, mut received) = (Vec::new(), 0);
    while received < count * len {
        let chunk = recv(&mut client).await.unwrap().unwrap();
        received += chunk.len();
        held.push(chunk);
    }
    let reads = client.get_ref().reads.len() - before;
    (count * message.len() / reads, held.len() / 4)
}

#[tokio::test]
async fn small_messages_that_are_held_do_not_make_the_reads_small() {
    for len in [1, 30, 128, 1000, 4096, 8192] {
        let (bytes, chunks) = measured(len).await;
        assert!(bytes >= 8 * 1024, "{bytes} bytes a read with messages of {len} bytes");
        assert!(chunks <= 64, "{chunks} chunks a mebibyte with messages of {len} bytes");
    }
}

#[tokio::test]
async fn large_payloads_lie_where_the_socket_was_read_to() {
    // What fits into one read is not moved at all; see below.
    for len in [17_000, 100_000, 3_000_000] {
        let (mut client, mut far) = watched(WsConfig::new()).await;
        let known = client.get_ref().reads.len();
        let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
        far.write_all(&frame(true, TEXT, &payload)).await.unwrap();
        let chunk = recv(&mut client).await.unwrap().unwrap();
        assert!(chunk == payload, "{len}");
        // tungstenite moves what came with the header, one read at most, to where there is room for all of it; the
        // rest is read into its place, and nothing is moved after that.
        let place = chunk.as_ptr_range();
        let [first, rest @ ..] = &client.get_ref().reads[known..] else { panic!("{len} in no read") };
        assert!(first.end as usize - first.start as usize <= 16 * 1024);
        assert_eq!(rest.last().unwrap().end, place.end);
        assert!(rest.iter().all(|read| place.contains(&read.start)), "{len}");
        let read: usize = rest.iter().map(|read| read.end as usize - read.start as usize).sum();
        assert!(read + 16 * 1024 >= len, "{len}");
    }
}

#[tokio::test]
async fn a_large_payload_that_comes_in_one_read_stays_where_it_was_read() {
    for (len, size) in [(8193, 16), (9000, 16), (16_380, 16), (8193, 64), (32_000, 64), (65_532, 64)] {
        let (mut client, mut far) = watched(WsConfig::new().read_buffer(size * 1024)).await;
        let known = client.get_ref().reads.len();
        let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
        far.write_all(&frame(true, TEXT, &payload)).await.unwrap();
        let chunk = recv(&mut client).await.unwrap().unwrap();
        assert!(chunk == payload, "{len}");
        let [read] = &client.get_ref().reads[known..] else { panic!("{len} in one read") };
        assert_eq!(read.end, chunk.as_ptr_range().end, "{len}");
        assert!(read.contains(&chunk.as_ptr()), "{len}");
    }
}

#[tokio::test]
async fn the_read_buffer_is_what_is_read_at_a_time() {
    for (size, expected) in [(1024, 1024), (16 * 1024, 16 * 1024), (64 * 1024, 64 * 1024)] {
        let (mut client, mut far) = watched(WsConfig::new().read_buffer(size)).await;
        let known = client.get_ref().reads.len();
        far.write_all(&frame(true, TEXT, &[b'x'; 100]).repeat(5000)).await.unwrap();
        recv_bytes(&mut client, 500_000).await;
        let lens =
            client.get_ref().reads[known..].iter().map(|place| place.end as usize - place.start as usize);
        let longest = lens.max().unwrap();
        assert!((expected / 2..=expected).contains(&longest), "{size}: {longest}");
    }
}
