//! How often the decoder asks for memory. A program without test harness: the count is that of the whole process.

use std::alloc::System;

use bytes::{Bytes, BytesMut};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use stompede_codec::{Command, Decoder, Encoder, Frame, Item, ItemRef, Limits, Version};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    a_frame_in_one_chunk_takes_no_allocation();
    encoding_into_a_used_buffer_takes_no_allocation();
    a_body_that_spans_chunks_is_copied_once();
    a_body_out_of_a_buffer_that_is_used_again_is_copied_once();
    an_announced_length_reserves_little();
    single_octets_cost_no_more_than_their_number();
}

fn a_frame_in_one_chunk_takes_no_allocation() {
    // One header more is content-length.
    assert_eq!(allocations_for_100_frames(7), 0);
    assert_eq!(allocations_for_100_frames(99), 0);
}

fn allocations_for_100_frames(headers: usize) -> usize {
    let frame = (0..headers)
        .fold(Frame::new(Command::Message), |frame, n| frame.with_header(format!("key-{n}"), "value"))
        .with_body(vec![b'x'; 1000]);
    let mut wire = BytesMut::new();
    for _ in 0..100 {
        Encoder::new(Version::V1_2).encode(&frame, &mut wire).expect("1.2 carries it");
    }
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(Version::V1_2);
    let chunk = wire.freeze();
    let _shared = chunk.clone();
    let mut frames = Vec::with_capacity(100);
    let region = Region::new(ALLOCATOR);
    decoder.push(chunk.clone());
    while let Ok(Some(Item::Frame(frame))) = decoder.next() {
        frames.push(frame);
    }
    let owned = region.change();
    assert_eq!(frames.len(), 100);

    let region = Region::new(ALLOCATOR);
    decoder.push(chunk);
    let mut lent = 0;
    while let Ok(Some(ItemRef::Frame(_))) = decoder.next_ref() {
        lent += 1;
    }
    let change = region.change();
    assert_eq!((lent, change.allocations + change.reallocations), (100, 0));
    owned.allocations + owned.reallocations
}

fn encoding_into_a_used_buffer_takes_no_allocation() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push_slice(b"MESSAGE\nescaped:a\\cb\\n\ncontent-length:5\n\nhello\0");
    let Ok(Some(Item::Frame(received))) = decoder.next() else { unreachable!("it is whole") };
    let made = Frame::new(Command::Send).with_header("destination", "/queue/a:b").with_body("hello");
    let mut out = BytesMut::with_capacity(1024);
    let region = Region::new(ALLOCATOR);
    for version in [Version::V1_2, Version::V1_1] {
        for frame in [&made, &received] {
            out.clear();
            Encoder::new(version).encode(frame, &mut out).expect("both carry it");
        }
    }
    assert_eq!(region.change().allocations + region.change().reallocations, 0);
}

fn a_body_that_spans_chunks_is_copied_once() {
    const BODY: usize = 60 * 1024;
    let head = format!("MESSAGE\ncontent-length:{BODY}\n\n");
    let wire = Bytes::from([head.as_bytes(), &[b'x'; BODY], b"\0next"].concat());
    let mut decoder = Decoder::new(Limits::default());
    let region = Region::new(ALLOCATOR);
    for at in (0..wire.len()).step_by(4096) {
        decoder.push(wire.slice(at..wire.len().min(at + 4096)));
        let _ = decoder.next();
    }
    let change = region.change();
    // The joined octets; besides, small things: reference counts, an index, the part of the next frame.
    assert!(change.bytes_allocated < wire.len() + 8192, "{change:?}");
    assert!(change.allocations + change.reallocations < 10, "{change:?}");
}

fn a_body_out_of_a_buffer_that_is_used_again_is_copied_once() {
    const BODY: usize = 1024 * 1024;
    for length in [format!("content-length:{BODY}\n"), String::new()] {
        let head = format!("MESSAGE\n{length}\n");
        let mut decoder = Decoder::new(Limits::default());
        decoder.push_slice(head.as_bytes());
        assert_eq!(decoder.next(), Ok(None));
        let region = Region::new(ALLOCATOR);
        for _ in 0..BODY / 4096 {
            decoder.push_slice(&[b'x'; 4096]);
            assert_eq!(decoder.next(), Ok(None));
        }
        // What was joined grows; the 256 pieces have no memory of their own.
        let change = region.change();
        assert!(change.allocations + change.reallocations < 12, "{head:?}: {change:?}");
        decoder.push_slice(b"\0");
        let Ok(Some(Item::Frame(frame))) = decoder.next() else { unreachable!("it is whole") };
        assert_eq!(frame.body().len(), BODY);
    }
}

fn an_announced_length_reserves_little() {
    let mut decoder = Decoder::new(Limits::default());
    let region = Region::new(ALLOCATOR);
    decoder.push(Bytes::from_static(b"SEND\ncontent-length:16777216\n\nx"));
    assert_eq!(decoder.next(), Ok(None));
    decoder.push(Bytes::from_static(b"y"));
    assert_eq!(decoder.next(), Ok(None));
    assert!(region.change().bytes_allocated <= 66 * 1024, "{:?}", region.change());
}

fn single_octets_cost_no_more_than_their_number() {
    const BODY: usize = 200_000;
    let wire = Bytes::from([&b"MESSAGE\nkey:value\n\n"[..], &[b'x'; BODY], b"\0"].concat());
    let mut decoder = Decoder::new(Limits::default());
    let region = Region::new(ALLOCATOR);
    let mut frames = 0;
    for at in 0..wire.len() {
        decoder.push(wire.slice(at..=at));
        frames += usize::from(matches!(decoder.next(), Ok(Some(_))));
    }
    assert_eq!(frames, 1);
    let change = region.change();
    assert!(change.allocations + change.reallocations < 50, "{change:?}");
}
