//! The in-memory pair keeps the transport's contract.
#![cfg(feature = "memory")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use stompede_transport::memory::{self, MemoryTransport};
use stompede_transport::{Outbound, Transport, TransportErrorKind};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn frame(len: usize) -> Outbound {
    Outbound::whole(Bytes::from(vec![b'x'; len]))
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// What can be received now, joined; and how it went on.
fn drain(transport: &mut MemoryTransport) -> (Vec<u8>, Poll<Option<TransportErrorKind>>) {
    let mut received = Vec::new();
    loop {
        match transport.poll_recv(&mut noop()) {
            Poll::Ready(Some(Ok(chunk))) => received.extend_from_slice(&chunk),
            Poll::Ready(Some(Err(error))) => return (received, Poll::Ready(Some(error.kind().clone()))),
            Poll::Ready(None) => return (received, Poll::Ready(None)),
            Poll::Pending => return (received, Poll::Pending),
        }
    }
}

#[test]
fn frames_arrive_in_order_and_uncopied() {
    let (mut left, mut right) = memory::pair(1000);
    let body = Bytes::from(vec![b'y'; 50]);
    left.start_send(Outbound::split(Bytes::from_static(b"head"), body.clone())).unwrap();
    left.start_send(Outbound::heart_beat()).unwrap();
    assert!(matches!(right.poll_recv(&mut noop()), Poll::Ready(Some(Ok(chunk))) if chunk == "head"));
    let Poll::Ready(Some(Ok(chunk))) = right.poll_recv(&mut noop()) else { panic!("no body") };
    assert_eq!(chunk.as_ptr(), body.as_ptr());
    assert_eq!(drain(&mut right), (b"\0\n".to_vec(), Poll::Pending));
}

#[test]
fn a_full_direction_waits_for_its_reader_and_the_other_flows_on() {
    let (mut left, mut right) = memory::pair(10);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    for _ in 0..2 {
        assert!(left.poll_ready(&mut cx).is_ready());
        left.start_send(frame(6)).unwrap();
    }
    assert!(left.poll_ready(&mut cx).is_pending());
    right.start_send(frame(3)).unwrap();
    assert_eq!(drain(&mut left).0.len(), 3);

    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    assert!(right.poll_recv(&mut noop()).is_ready());
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert!(left.poll_ready(&mut cx).is_ready());
}

#[test]
fn a_waiting_reader_is_woken_by_a_frame_and_by_the_end() {
    let (mut left, mut right) = memory::pair(10);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(right.poll_recv(&mut cx).is_pending());
    left.start_send(frame(1)).unwrap();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert!(right.poll_recv(&mut cx).is_ready());
    assert!(right.poll_recv(&mut cx).is_pending());
    drop(left);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
}

#[test]
fn closing_lets_the_peer_read_to_an_orderly_end_and_answer() {
    let (mut left, mut right) = memory::pair(10);
    left.start_send(frame(3)).unwrap();
    assert!(matches!(left.poll_close(&mut noop()), Poll::Ready(Ok(()))));
    right.start_send(frame(2)).unwrap();
    assert_eq!(drain(&mut left), (b"xx".to_vec(), Poll::Pending));
    drop(left);
    assert_eq!(drain(&mut right), (b"xxx".to_vec(), Poll::Ready(None)));
    assert_eq!(drain(&mut right), (vec![], Poll::Ready(None)));
}

#[test]
fn a_dropped_end_is_a_loss_after_what_it_sent() {
    let (mut left, mut right) = memory::pair(10);
    left.start_send(frame(3)).unwrap();
    drop(left);
    let lost = Poll::Ready(Some(TransportErrorKind::Lost));
    assert_eq!(drain(&mut right), (b"xxx".to_vec(), lost.clone()));
    assert_eq!(drain(&mut right), (vec![], lost));
    assert!(matches!(right.poll_ready(&mut noop()), Poll::Ready(Err(_))));
    assert!(right.start_send(frame(1)).is_err());
    assert!(matches!(right.poll_flush(&mut noop()), Poll::Ready(Err(_))));
    assert!(matches!(right.poll_close(&mut noop()), Poll::Ready(Ok(()))));
}

#[test]
fn nothing_can_be_sent_after_closing() {
    let (mut left, _right) = memory::pair(10);
    assert!(left.poll_close(&mut noop()).is_ready());
    assert!(matches!(left.poll_ready(&mut noop()), Poll::Ready(Err(_))));
    assert!(left.start_send(frame(1)).is_err());
}

#[test]
fn an_end_is_a_transport_that_can_be_boxed_and_sent() {
    let (left, _right) = memory::pair(0);
    let mut boxed: stompede_transport::BoxTransport = Box::new(left);
    assert!(boxed.poll_ready(&mut noop()).is_ready());
}

#[test]
fn chunks_have_the_sizes_asked_for_whatever_was_sent() {
    let sent: Vec<u8> = (0..2000).map(|at| at as u8).collect();
    for sizes in [vec![1], vec![0], vec![3, 1, 50], vec![7, 4096], vec![usize::MAX], vec![]] {
        for items in [vec![2000], vec![1; 2000], vec![10, 990, 1000], vec![999, 1, 1, 999]] {
            let (mut left, mut right, _) = memory::Config::new().chunks(sizes.clone()).pair();
            let mut rest = Bytes::from(sent.clone());
            for len in &items {
                left.start_send(Outbound::whole(rest.split_to(*len))).unwrap();
            }
            let (mut received, mut lens) = (Vec::new(), Vec::new());
            while let Poll::Ready(Some(Ok(chunk))) = right.poll_recv(&mut noop()) {
                received.extend_from_slice(&chunk);
                lens.push(chunk.len());
            }
            assert!(received == sent, "{sizes:?} {items:?}");
            if sizes.is_empty() {
                assert_eq!(lens, items);
            }
            let wanted = sizes.iter().map(|size| (*size).max(1)).cycle();
            assert!(
                lens.iter().rev().skip(1).rev().zip(wanted).all(|(len, size)| *len == size)
                    || sizes.is_empty()
            );
            // Room was made for exactly what was read.
            assert!(left.poll_ready(&mut noop()).is_ready());
            assert_eq!(drain(&mut right), (vec![], Poll::Pending));
        }
    }
}

#[test]
fn everything_arrives_a_latency_later_the_end_too_and_wakes_who_waits() {
    let second = Duration::from_secs(1);
    let (mut left, mut right, wire) = memory::Config::new().latency(3 * second).capacity(10).pair();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    left.start_send(frame(4)).unwrap();
    wire.advance(second);
    left.start_send(frame(6)).unwrap();
    assert!(left.poll_ready(&mut noop()).is_pending(), "what is on its way takes room");
    wire.advance(second);
    assert!(matches!(left.poll_close(&mut noop()), Poll::Ready(Ok(()))));
    for (received, wakes_so_far) in [(&b"xxxx"[..], 1), (b"xxxxxx", 2)] {
        assert!(right.poll_recv(&mut Context::from_waker(&waker)).is_pending());
        wire.advance(second);
        assert_eq!(wakes.0.load(Ordering::SeqCst), wakes_so_far);
        assert_eq!(drain(&mut right), (received.to_vec(), Poll::Pending));
    }
    assert!(right.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    wire.advance(second);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 3);
    assert_eq!(drain(&mut right), (vec![], Poll::Ready(None)));
    wire.advance(Duration::MAX);
}

#[test]
fn a_cut_keeps_what_has_arrived_loses_what_is_on_its_way_and_ends_both_sides() {
    let second = Duration::from_secs(1);
    let (mut left, mut right, wire) = memory::Config::new().latency(second).capacity(10).pair();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    left.start_send(frame(4)).unwrap();
    wire.advance(second);
    left.start_send(frame(6)).unwrap();
    assert!(left.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    assert!(left.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    wire.cut();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
    wire.advance(10 * second);
    let lost = Poll::Ready(Some(TransportErrorKind::Lost));
    assert_eq!(drain(&mut right), (b"xxxx".to_vec(), lost.clone()));
    assert_eq!(drain(&mut left), (vec![], lost));
    assert!(matches!(left.poll_ready(&mut noop()), Poll::Ready(Err(_))));
    assert!(left.start_send(frame(1)).is_err());
    assert!(matches!(left.poll_flush(&mut noop()), Poll::Ready(Err(_))));
    assert!(matches!(left.poll_close(&mut noop()), Poll::Ready(Err(_))));
    drop(left);
    wire.cut();
    wire.advance(10 * second);
    assert_eq!(drain(&mut right), (vec![], Poll::Ready(Some(TransportErrorKind::Lost))));
}

#[test]
fn an_end_that_has_arrived_is_no_cut_and_one_on_its_way_is() {
    let second = Duration::from_secs(1);
    for (arrives, end) in [(true, None), (false, Some(TransportErrorKind::Lost))] {
        let (mut left, mut right, wire) = memory::Config::new().latency(second).pair();
        assert!(left.poll_close(&mut noop()).is_ready());
        if arrives {
            wire.advance(second);
        }
        wire.cut();
        wire.advance(second);
        assert_eq!(drain(&mut right), (vec![], Poll::Ready(end)));
    }
}
