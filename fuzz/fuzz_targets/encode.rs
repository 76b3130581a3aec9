//! A frame, built of anything or read from anywhere, is refused for a reason that the tables name, or its octets read
//! back as this frame and nothing else: no part of it becomes a header or a frame of its own.
#![no_main]

#[path = "../../crates/stompede-codec/tests/common/mod.rs"]
mod common;
mod input;

use common::writing;
use input::Plan;
use libfuzzer_sys::fuzz_target;
use stompede_codec::Item;

fuzz_target!(|input: &[u8]| {
    let Some((plan, rest)) = Plan::split(input) else { return };
    for frame in input::frames(rest) {
        writing::check(&frame, plan.version(), plan.length);
    }
    let mut decoder = plan.reading.decoder();
    decoder.push_slice(rest);
    while let Ok(Some(item)) = decoder.next() {
        if let Item::Frame(frame) = item {
            writing::check(&frame, plan.version(), plan.length);
        }
    }
});
