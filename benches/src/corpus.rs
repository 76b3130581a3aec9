//! Generated streams, the same in every run.

use bytes::Bytes;
use stompede_codec::{Command, Frame};

/// Octets of a chunk, as one large read from a socket brings them.
pub(crate) const CHUNK: usize = 64 * 1024;

/// What a stream is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Corpus {
    /// MESSAGE as RabbitMQ sends it: eight headers and 120 octets of JSON.
    Small,
    /// The same headers and 4 KiB of JSON.
    Medium,
    /// The same headers and 1 MiB of octets of every value.
    Large,
    /// Text of 300 octets to 8 KiB without content-length.
    NoLen,
    /// Thirty headers, half of them with escapes, and a short body.
    Headers,
    /// Heart-beats, RECEIPT and MESSAGE with hardly a body.
    Tiny,
}

impl Corpus {
    /// All of them, in the order in which they are shown.
    pub(crate) const ALL: [Self; 6] =
        [Self::Small, Self::Medium, Self::Large, Self::NoLen, Self::Headers, Self::Tiny];

    /// The name on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::NoLen => "nolen",
            Self::Headers => "headers",
            Self::Tiny => "tiny",
        }
    }

    /// A stream of at least so many octets, which ends with a frame.
    pub(crate) fn wire(self, octets: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets + 64 * 1024);
        let mut random = Random::new();
        let mut n = 0;
        while out.len() < octets {
            if self == Self::Tiny && random.below(4) == 0 {
                // Mostly one; two where a peer puts a line end behind a frame.
                out.resize(out.len() + 1 + random.below(2), b'\n');
            }
            self.message(n, &mut random).write(&mut out);
            n += 1;
        }
        out
    }

    /// The first messages of the stream.
    pub(crate) fn messages(self, octets: usize) -> Vec<Message> {
        let mut random = Random::new();
        let mut messages = Vec::new();
        let mut sum = 0;
        while sum < octets {
            let message = self.message(messages.len(), &mut random);
            sum += message.body.len()
                + message.headers.iter().map(|(n, v)| n.len() + v.len() + 2).sum::<usize>();
            messages.push(message);
        }
        messages
    }

    fn message(self, n: usize, random: &mut Random) -> Message {
        match self {
            Self::Small => delivery(n, "application/json", json(n, 120)),
            Self::Medium => delivery(n, "application/json", json(n, 4096)),
            Self::Large => delivery(n, "application/octet-stream", random.octets(1024 * 1024)),
            Self::NoLen => {
                let len = 300 << random.below(5);
                let body = text(n, len + random.below(len) * 2 / 3);
                Message { counted: false, ..delivery(n, "text/plain;charset=utf-8", body) }
            }
            Self::Headers => many_headers(n, random),
            Self::Tiny => tiny(n, random),
        }
    }
}

/// One frame, before it is written in somebody's form.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) command: Command,
    /// Without content-length; plain text, without escapes.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// Whether content-length follows the headers.
    pub(crate) counted: bool,
}

impl Message {
    fn new(command: Command, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Self {
        Self { command, headers, body: body.into(), counted: true }
    }

    /// Writes the frame as STOMP 1.2; our encoder has no part in it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.command.as_str().as_bytes());
        out.push(b'\n');
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            out.extend_from_slice(escape(value).as_bytes());
            out.push(b'\n');
        }
        if self.counted {
            out.extend_from_slice(format!("content-length:{}\n", self.body.len()).as_bytes());
        }
        out.push(b'\n');
        out.extend_from_slice(&self.body);
        out.push(0);
    }

    /// The frame for our encoder, which adds content-length itself.
    pub(crate) fn frame(&self) -> Frame {
        let frame = Frame::new(self.command).with_body(self.body.clone());
        self.headers.iter().fold(frame, |frame, (name, value)| frame.with_header(name, value))
    }
}

/// A header value as 1.1 and 1.2 write it.
pub(crate) fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(':', "\\c").replace('\n', "\\n").replace('\r', "\\r")
}

/// The n-th MESSAGE to a subscription, as RabbitMQ sends it: eight headers and JSON of so many octets.
pub(crate) fn delivery_to(subscription: &str, n: usize, body: usize) -> Message {
    let mut message = delivery(n, "application/json", json(n, body));
    message.headers[0].1 = subscription.into();
    message
}

/// MESSAGE as RabbitMQ sends it; content-length is the eighth header.
fn delivery(n: usize, content_type: &str, body: Vec<u8>) -> Message {
    let headers = vec![
        ("subscription", "sub-0".into()),
        ("destination", "/topic/updates".into()),
        ("message-id", format!("T_sub-0@@session-4fgH2kPqR7sTuVwXyZ01ab@@{n}")),
        ("redelivered", "false".into()),
        ("persistent", "1".into()),
        ("content-type", content_type.into()),
        ("x-sequence", n.to_string()),
    ];
    Message::new(Command::Message, headers, body)
}

fn many_headers(n: usize, random: &mut Random) -> Message {
    let mut headers = vec![
        ("subscription", "sub-0".into()),
        ("destination", "/queue/orders.incoming".into()),
        ("message-id", format!("ID:broker-1:4711:{n}")),
    ];
    let value = |name: &'static str, random: &mut Random| {
        let value = match random.below(8) {
            0 => format!("https://shop.example:8443/orders/{n}?from=12:30"),
            1 => "first line\nsecond line\nthird line".into(),
            2 => format!("C:\\data\\orders\\{n}.json"),
            3 => "2026-01-31T12:30:45Z".into(),
            4 => random.below(100_000).to_string(),
            5 => "Bürogebäude am Südtor".into(),
            6 => "text/plain".into(),
            _ => "a value of ordinary length without anything in it".into(),
        };
        (name, value)
    };
    headers.extend(HEADER_NAMES.map(|name| value(name, random)));
    Message::new(Command::Message, headers, json(n, 60))
}

fn tiny(n: usize, random: &mut Random) -> Message {
    match random.below(8) {
        0..5 => Message {
            counted: false,
            ..Message::new(Command::Receipt, vec![("receipt-id", format!("r-{n}"))], Vec::new())
        },
        5..7 => {
            let headers = vec![
                ("subscription", "0".into()),
                ("message-id", n.to_string()),
                ("destination", "/queue/a".into()),
            ];
            Message::new(Command::Message, headers, b"ok".to_vec())
        }
        _ => Message::new(
            Command::Error,
            vec![("message", "no such queue".into())],
            b"no such queue: b".to_vec(),
        ),
    }
}

/// A JSON object of exactly so many octets, 27 at least.
pub(crate) fn json(n: usize, len: usize) -> Vec<u8> {
    let mut body = format!("{{\"id\":{n:010},\"text\":\"").into_bytes();
    body.extend(PROSE.bytes().cycle().take(len - body.len() - 2));
    body.extend_from_slice(b"\"}");
    body
}

/// Lines of UTF-8 of about so many octets.
fn text(n: usize, len: usize) -> Vec<u8> {
    let mut body = format!("{n} Grüße\n").into_bytes();
    body.extend(PROSE.bytes().cycle().take(len - body.len()));
    body
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0x5706_1112)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn octets(&mut self, len: usize) -> Vec<u8> {
        let mut octets: Vec<u8> = (0..len / 8).flat_map(|_| self.next().to_le_bytes()).collect();
        octets.resize(len, 0);
        octets
    }
}

const PROSE: &str = "The quick brown fox jumps over the lazy dog, and nobody is surprised any more.\n";

/// Names of 26 headers; three more come before them and content-length behind.
const HEADER_NAMES: [&str; 26] = [
    "content-type",
    "correlation-id",
    "reply-to",
    "expires",
    "priority",
    "persistent",
    "redelivered",
    "timestamp",
    "type",
    "app-id",
    "cluster-id",
    "JMSXGroupID",
    "JMSXGroupSeq",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-received-from",
    "x-origin",
    "x-file",
    "x-note",
    "x-city",
    "traceparent",
    "tracestate",
    "tenant",
    "tenant",
    "schema",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_what_they_say() {
        for corpus in Corpus::ALL {
            let wire = corpus.wire(10_000);
            assert_eq!(wire, corpus.wire(10_000), "the same in every run");
            assert_eq!(wire.last(), Some(&0), "ends with a frame");
        }
        let first = |corpus: Corpus| corpus.messages(1).remove(0);
        assert_eq!((first(Corpus::Small).headers.len() + 1, first(Corpus::Small).body.len()), (8, 120));
        assert_eq!(first(Corpus::Medium).body.len(), 4096);
        assert!(first(Corpus::Large).body.len() == 1024 * 1024 && first(Corpus::Large).body.contains(&0));
        assert_eq!(first(Corpus::Headers).headers.len() + 1, 30);
        let texts = Corpus::NoLen.messages(1 << 20);
        assert!(texts.iter().all(|text| !text.counted && (300..=8192).contains(&text.body.len())));
        assert!(texts.iter().all(|text| str::from_utf8(&text.body).is_ok() && !text.body.contains(&0)));
    }
}
