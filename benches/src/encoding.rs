//! Writing frames, against copying the same parts without a look at them.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use stompede_codec::{ContentLength, Encoder, Frame, Version};

use crate::corpus::{Corpus, Message, escape};
use crate::harness::{self, Contender};
use crate::report::{self, Table};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "encode";

/// What a frame looks like on the wire, in the parts in which it is put together.
struct Parts {
    command: &'static str,
    /// Names and values one after the other, as our own frames keep them; escapes are in there already.
    text: String,
    /// Where each name and each value ends.
    ends: Vec<(usize, usize)>,
    /// The line that says how long the body is, or nothing.
    length: String,
    body: Bytes,
}

impl Parts {
    fn new(message: &Message) -> Self {
        let mut text = String::new();
        let end = |(name, value): &(&str, String)| {
            text.push_str(name);
            let name_end = text.len();
            text.push_str(&escape(value));
            (name_end, text.len())
        };
        let ends = message.headers.iter().map(end).collect();
        let length =
            if message.counted { format!("content-length:{}\n", message.body.len()) } else { String::new() };
        Self { command: message.command.as_str(), text, ends, length, body: message.body.clone() }
    }

    #[inline]
    fn copy_head(&self, out: &mut BytesMut) {
        out.put_slice(self.command.as_bytes());
        out.put_u8(b'\n');
        let text = self.text.as_bytes();
        let mut start = 0;
        for &(name, value) in &self.ends {
            out.put_slice(&text[start..name]);
            out.put_u8(b':');
            out.put_slice(&text[name..value]);
            out.put_u8(b'\n');
            start = value;
        }
        out.put_slice(self.length.as_bytes());
        out.put_u8(b'\n');
    }

    #[inline]
    fn copy(&self, out: &mut BytesMut) {
        self.copy_head(out);
        out.put_slice(&self.body);
        out.put_u8(0);
    }
}

/// Writes each of `items`, `times` over, into a buffer that is emptied as a socket would empty it; octets written.
fn write<T>(
    items: &[T],
    times: usize,
    out: &mut BytesMut,
    mut write: impl FnMut(&T, &mut BytesMut),
) -> usize {
    let mut sum = 0;
    for _ in 0..times {
        for item in items {
            write(item, out);
            if out.len() >= FLUSH {
                sum += black_box(&*out).len();
                out.clear();
            }
        }
    }
    sum += black_box(&*out).len();
    out.clear();
    sum
}

/// The same frames in every form in which they are written.
struct Batch {
    messages: Vec<Message>,
    parts: Vec<Parts>,
    frames: Vec<Frame>,
    encoder: Encoder,
}

impl Batch {
    fn new(corpus: Corpus) -> Self {
        let messages = corpus.messages(BATCH);
        let parts = messages.iter().map(Parts::new).collect();
        let frames = messages.iter().map(Message::frame).collect();
        let mut encoder = Encoder::new(Version::V1_2);
        if corpus == Corpus::NoLen {
            encoder = encoder.content_length(ContentLength::Omit);
        }
        Self { messages, parts, frames, encoder }
    }

    /// Whole frames; the copy first.
    fn whole(&self, times: usize) -> Vec<Contender<'_, usize>> {
        let Self { messages, parts, frames, encoder } = self;
        let [mut a, mut b, mut c] = [(); 3].map(|()| BytesMut::new());
        vec![
            Contender::new("copy", move || write(parts, times, &mut a, Parts::copy)),
            Contender::new("stompede", move || {
                write(frames, times, &mut b, |frame, out| encoder.encode(frame, out).expect(CARRIED))
            }),
            Contender::new("stompede, frame built", move || {
                write(messages, times, &mut c, |message, out| {
                    encoder.encode(&message.frame(), out).expect(CARRIED);
                })
            }),
        ]
    }

    /// Heads alone, for bodies that are written from where they are; the copy first.
    fn heads(&self, times: usize) -> Vec<Contender<'_, usize>> {
        let Self { parts, frames, encoder, .. } = self;
        let [mut a, mut b] = [(); 2].map(|()| BytesMut::new());
        vec![
            Contender::new("copy, head alone", move || write(parts, times, &mut a, Parts::copy_head)),
            Contender::new("stompede, head alone", move || {
                write(frames, times, &mut b, |frame, out| encoder.encode_head(frame, out).expect(CARRIED))
            }),
        ]
    }
}

/// Prints how long encoding takes as a multiple of copying.
pub(crate) fn measure(corpora: &[Corpus], rounds: usize) {
    println!("\nEncoding into a buffer that is used again; × is time\n");
    let columns = [("corpus", 7), ("contender", 24), ("GB/s", 6), ("× copy", 6), ("ns/frame", 0)];
    let table = Table::begin(&columns, 2);
    for &corpus in corpora {
        let batch = Batch::new(corpus);
        measure_one(corpus, &batch, &table, rounds, Batch::whole);
        if corpus == Corpus::Large {
            measure_one(corpus, &batch, &table, rounds, Batch::heads);
        }
    }
}

fn measure_one<'a>(
    corpus: Corpus,
    batch: &'a Batch,
    table: &Table,
    rounds: usize,
    contenders: impl Fn(&'a Batch, usize) -> Vec<Contender<'a, usize>>,
) {
    let octets = harness::once(&mut contenders(batch, 1))[0].1;
    let times_over = OCTETS.div_ceil(octets);
    let mut contenders = contenders(batch, times_over);
    harness::once(&mut contenders);
    let times = harness::interleave(&mut contenders, rounds);
    for (at, contender) in contenders.iter().enumerate() {
        let seconds = times.median(at);
        table.row(&[
            corpus.name().into(),
            contender.name.into(),
            report::gigabytes(octets * times_over, seconds),
            report::ratio(times.ratio(at, 0)),
            report::nanoseconds(seconds, (batch.frames.len() * times_over) as u64),
        ]);
    }
}

/// Compares what is written, octet by octet.
///
/// # Panics
/// If it is not the same.
pub(crate) fn check(corpus: Corpus) {
    let batch = Batch::new(corpus);
    for ((message, parts), frame) in batch.messages.iter().zip(&batch.parts).zip(&batch.frames) {
        let (mut whole, mut copied, mut encoded) = (Vec::new(), BytesMut::new(), BytesMut::new());
        message.write(&mut whole);
        parts.copy(&mut copied);
        batch.encoder.encode(frame, &mut encoded).expect(CARRIED);
        assert!(copied == whole, "{}: the copy is the frame", corpus.name());
        assert!(encoded == whole, "{}: stompede writes the frame", corpus.name());
    }
    for mut contenders in [batch.whole(1), batch.heads(1)] {
        let written = harness::once(&mut contenders);
        let first = written[0].1;
        assert!(written.iter().all(|&(_, octets)| octets == first), "{}: {written:?}", corpus.name());
    }
}

const CARRIED: &str = "1.2 carries every corpus";

/// When the buffer is emptied; what a driver hands to a socket at once.
const FLUSH: usize = 64 * 1024;

/// Octets of the frames that are written again and again: they stay in the cache, so that not memory is measured.
const BATCH: usize = 128 * 1024;

/// Octets written in one round, about.
const OCTETS: usize = 32 << 20;
