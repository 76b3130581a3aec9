//! The codec against a plain copy of the same bytes, in one run: `cargo bench -p stompede-benches --bench codec`.
//!
//! Only the ratio to the copy means something; other codecs are not compared here yet.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stompede_benches::{CHUNK, large, small, wire};
use stompede_codec::{Decoder, Encoder, Frame, Item, Limits, Version};

/// Copies each chunk, as the read from a socket does, and counts it.
fn copy(wire: &Bytes) -> usize {
    wire.chunks(CHUNK).map(|chunk| black_box(Bytes::copy_from_slice(chunk)).len()).sum()
}

/// The same copy, and the frames in it.
fn decode(wire: &Bytes) -> usize {
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(Version::V1_2);
    let mut frames = 0;
    for chunk in wire.chunks(CHUNK) {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(item) = decoder.next().expect("our own stream") {
            frames += usize::from(matches!(black_box(item), Item::Frame(_)));
        }
    }
    frames
}

fn encode(frames: &[Frame], out: &mut BytesMut) -> usize {
    out.clear();
    for frame in frames {
        Encoder::new(Version::V1_2).encode(frame, out).expect("1.2 carries everything");
    }
    black_box(&*out).len()
}

fn codec(c: &mut Criterion) {
    for (name, frames) in [("small", small(4_000)), ("large", large(16))] {
        let wire = wire(&frames);
        assert_eq!(decode(&wire), frames.len());
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter("copy"), &wire, |b, wire| b.iter(|| copy(wire)));
        group.bench_with_input(BenchmarkId::from_parameter("decode"), &wire, |b, wire| {
            b.iter(|| decode(wire))
        });
        let mut out = BytesMut::new();
        group.bench_with_input(BenchmarkId::from_parameter("encode"), &frames, |b, frames| {
            b.iter(|| encode(frames, &mut out));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default();
    targets = codec
}
criterion_main!(benches);
