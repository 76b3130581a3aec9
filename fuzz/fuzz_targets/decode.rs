//! Whatever arrives: no panic, no more memory than the limits allow, and an error that stays.
#![no_main]

#[path = "../../crates/stompede-codec/tests/common/mod.rs"]
mod common;
mod input;

use std::alloc::System;

use bytes::Bytes;
use common::meter::{Meter, allowed};
use input::Plan;
use libfuzzer_sys::fuzz_target;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use stompede_codec::{DecodeError, Decoder, Frame, Item};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fuzz_target!(|input: &[u8]| {
    let Some((plan, wire)) = Plan::split(input) else { return };
    let chunks: Vec<_> = plan.chunks(wire).collect();
    let mut meter = Meter::new();
    let mut decoder = plan.reading.decoder();
    let mut arrived = 0;
    for &chunk in &chunks {
        arrived += chunk.len();
        meter.step(|| decoder.push(Bytes::copy_from_slice(chunk)));
        loop {
            match meter.step(|| decoder.next()) {
                Ok(Some(Item::Frame(frame))) => look_at(frame),
                Ok(Some(Item::HeartBeat)) => {}
                Ok(None) => break,
                Err(error) => return has_failed(decoder, &error, &meter),
            }
        }
        let most = allowed(plan.reading.limits, arrived) + chunk.len();
        assert!(meter.most() <= most, "{} octets of memory, {most} are allowed", meter.most());
    }
    assert!(decoder.is_mid_frame() || decoder.buffered() == 0);
    drop(decoder);
    assert_eq!(meter.held(), 0, "octets of memory are lost");
});

/// Asks everything that can be asked of a frame.
fn look_at(frame: Frame) {
    let shown = format!("{frame} {frame:?}");
    assert!(!shown.contains('\n'), "a frame is shown on one line");
    for (name, value) in frame.headers() {
        assert!(frame.headers().get_all(&name).any(|other| other == value));
    }
    let lossy = frame.body_text_lossy();
    assert!(frame.body_text().map_or(lossy.contains('\u{fffd}'), |text| text == lossy));
    assert_eq!(frame.clone().detach(), frame);
}

fn has_failed(mut decoder: Decoder, error: &DecodeError, meter: &Meter) {
    assert!(meter.held() <= LEFT, "{} octets held by a failed decoder", meter.held());
    for _ in 0..2 {
        decoder.push(Bytes::from_static(b"RECEIPT\nreceipt-id:1\n\n\0"));
        assert_eq!(decoder.next().as_ref(), Err(error));
        assert_eq!(decoder.buffered(), 0);
    }
}

/// Octets that a failed decoder may hold: room for the headers of a frame that will never come.
const LEFT: usize = 1024;
