//! Every frame that the tables allow is written, and frames written one behind the other read back as they were.
#![no_main]

#[path = "../../crates/stompede-codec/tests/common/mod.rs"]
mod common;
mod input;

use common::{End, Outcome, Reading, Seen, decode_in_pieces, unlimited, writing};
use input::Plan;
use libfuzzer_sys::fuzz_target;
use stompede_codec::{Command, ContentLength, Frame, Version};

fuzz_target!(|input: &[u8]| {
    let Some((plan, spelt)) = Plan::split(input) else { return };
    let mut version = plan.version();
    let reading = Reading { limits: unlimited(), version: Some(version), ..plan.reading };
    let (mut wire, mut seen) = (Vec::new(), Vec::new());
    for frame in input::frames(spelt) {
        let frame = writing::made_writable(&frame, version);
        let Some(octets) = writing::check(&frame, version, ContentLength::Auto) else {
            panic!("refused in {version}: {frame:?}")
        };
        wire.extend(octets);
        seen.push(Seen::from(&writing::as_read(&frame, ContentLength::Auto)));
        version = version_after(&frame, version);
    }
    let read = decode_in_pieces(&wire, &plan.cuts(wire.len()), plan.way, reading);
    assert_eq!(read, Outcome { seen, end: End::BetweenFrames });
});

/// The version in force behind a frame: CONNECTED may change it.
fn version_after(frame: &Frame, version: Version) -> Version {
    match frame.header("version") {
        _ if frame.command() != Command::Connected => version,
        None => Version::V1_0,
        Some(text) => text.parse().unwrap_or(version),
    }
}
