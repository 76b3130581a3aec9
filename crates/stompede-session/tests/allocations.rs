//! What a receipt costs: a slot that is used again, and no allocation. A program without test harness: the count is that of
//! the whole process.

mod common;

use std::alloc::System;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use common::{Rig, send};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use stompede_session::protocol::{Input, Outcome, Output};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let mut rig = Rig::connected("1.2");
    // As a session does it to which nobody listens.
    rig.machine.tell_traffic(false);
    // Slots, queues and blocks grow to what is outstanding.
    confirmed(&mut rig);
    let plain: usize = (0..ROUNDS).map(|_| unconfirmed(&mut rig)).sum();
    let confirmed: usize = (0..ROUNDS).map(|_| confirmed(&mut rig)).sum();
    let messages = ROUNDS * OUTSTANDING;
    // Sixty frames or so share a block, with or without a receipt; the header makes them somewhat longer.
    assert!(plain < messages / 20, "{plain} for {messages} messages");
    assert!(confirmed < plain + messages / 20, "{confirmed} beside {plain} for {messages} messages");
}

const ROUNDS: usize = 20;
const OUTSTANDING: usize = 1000;

/// Sends, and gives the number of allocations.
fn unconfirmed(rig: &mut Rig) -> usize {
    let frame = send("/queue/a");
    let region = Region::new(ALLOCATOR);
    for _ in 0..OUTSTANDING {
        rig.machine.send(&frame).expect("sent");
        while rig.machine.poll_transmit(rig.now).is_some() {}
    }
    allocations(&region)
}

/// The same, with receipts that are all outstanding before the first one comes.
fn confirmed(rig: &mut Rig) -> usize {
    let mut frame = send("/queue/a");
    let mut cx = Context::from_waker(Waker::noop());
    let mut ids = Vec::with_capacity(OUTSTANDING);
    let region = Region::new(ALLOCATOR);
    for _ in 0..OUTSTANDING {
        let id = rig.machine.send_with_receipt_within(&mut frame, Duration::from_secs(30)).expect("sent");
        assert!(rig.machine.poll_receipt(id, &mut cx).is_pending());
        while rig.machine.poll_transmit(rig.now).is_some() {}
        ids.push(id);
    }
    let sending = allocations(&region);
    let wire: String = ids.iter().map(|id| format!("RECEIPT\nreceipt-id:{id}\n\n\0\n")).collect();
    let bytes = Bytes::from(wire);
    let region = Region::new(ALLOCATOR);
    rig.machine.handle_input(Input::Received { now: rig.now, bytes });
    while !matches!(rig.machine.poll_output(), Output::Wait(_)) {}
    for id in ids {
        let outcome = rig.machine.poll_receipt(id, &mut cx);
        assert!(matches!(outcome, Poll::Ready(Some(Outcome::Confirmed))), "{outcome:?}");
    }
    sending + allocations(&region)
}

fn allocations(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.allocations + change.reallocations
}
