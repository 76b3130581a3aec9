//! A stream is what the oracle says, whatever the cuts, the calls, the limits, the version and the strictness.
#![no_main]

#[path = "../../crates/stompede-codec/tests/common/mod.rs"]
mod common;
mod input;

use common::{Way, decode_in_pieces, oracle};
use input::Plan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((plan, wire)) = Plan::split(input) else { return };
    let expected = oracle::decode(wire, plan.reading.rules());
    assert_eq!(decode_in_pieces(wire, &plan.cuts(wire.len()), plan.way, plan.reading), expected, "in pieces");
    assert_eq!(decode_in_pieces(wire, &[], Way::PLAIN, plan.reading), expected, "whole");
});
