//! What can be written in which version, from the specification's tables, and what has to hold of what was written.

use bytes::BytesMut;
use stompede_codec::{
    Command, ContentLength, EncodeError, EncodeErrorKind, Encoder, Frame, FrameRef, Item, Strictness, Version,
};

use super::{End, Outcome, Reading, Seen, Way, decode_in_pieces, oracle, unlimited};

/// Writes a frame and checks the result against the tables, both decoders, and what is written of the frame that is
/// read back; the octets, if the version can carry it.
pub(crate) fn check(frame: &Frame, version: Version, length: ContentLength) -> Option<Vec<u8>> {
    let reasons = why_not(frame, version, length);
    let wire = match write(frame, version, length) {
        Ok(wire) => wire,
        Err(error) => {
            assert!(reasons.contains(&error.kind()), "{error}, but the reasons are {reasons:?}");
            return None;
        }
    };
    assert_eq!(reasons, [], "written all the same: {}", wire.escape_ascii());

    let expected = as_read(frame, length);
    let outcome = Outcome { seen: vec![Seen::from(&expected)], end: End::BetweenFrames };
    for strictness in [Strictness::Strict, Strictness::Lenient] {
        let reading = Reading { limits: unlimited(), version: Some(version), strictness };
        assert_eq!(oracle::decode(&wire, reading.rules()), outcome, "{}", wire.escape_ascii());
        assert_eq!(decode_in_pieces(&wire, &[], Way::PLAIN, reading), outcome, "{}", wire.escape_ascii());
    }
    let view = FrameRef::parse(&wire, Some(version)).map(|view| view.detach());
    assert_eq!(view.as_ref(), Ok(&expected));
    check_again(&wire, version, &expected);
    Some(wire)
}

/// A frame that was read is written like one that was built, in every version.
fn check_again(wire: &[u8], version: Version, built: &Frame) {
    let reading = Reading { limits: unlimited(), ..Reading::of(Some(version)) };
    let mut decoder = reading.decoder();
    decoder.push_slice(wire);
    let Ok(Some(Item::Frame(read))) = decoder.next() else { unreachable!("it was read before") };
    for version in Version::ALL {
        for length in [ContentLength::Auto, ContentLength::Omit] {
            assert_eq!(write(&read, version, length), write(built, version, length), "{version}, {length:?}");
        }
    }
}

fn write(frame: &Frame, version: Version, length: ContentLength) -> Result<Vec<u8>, EncodeError> {
    const BEFORE: &[u8] = b"SEND\n\n";
    let encoder = Encoder::new(version).content_length(length);
    let (mut out, mut head) = (BytesMut::from(BEFORE), BytesMut::from(BEFORE));
    let whole = encoder.encode(frame, &mut out);
    assert_eq!(encoder.encode_head(frame, &mut head), whole);
    let wire = out.strip_prefix(BEFORE).expect("what was there stays");
    if let Err(error) = whole {
        assert!(wire.is_empty() && head == BEFORE, "nothing stays of a refused frame");
        return Err(error);
    }
    let head = head.strip_prefix(BEFORE).expect("what was there stays");
    assert_eq!([head, frame.body(), b"\0"].concat(), wire);
    Ok(wire.to_vec())
}

/// All reasons for which a frame cannot be written.
pub(crate) fn why_not(frame: &Frame, version: Version, length: ContentLength) -> Vec<EncodeErrorKind> {
    let command = frame.command();
    let early = version == Version::V1_0;
    let mut why = Vec::new();
    let mut reason = |applies: bool, kind| {
        if applies {
            why.push(kind);
        }
    };
    reason(early && matches!(command, Command::Nack | Command::Stomp), EncodeErrorKind::CommandNotInVersion);
    reason(!early && !has_body(command) && !frame.body().is_empty(), EncodeErrorKind::BodyNotAllowed);
    let given = frame.header("content-length").filter(|_| length == ContentLength::Auto);
    let counted = length == ContentLength::Auto && (given.is_some() || has_body(command));
    reason(!counted && frame.body().contains(&0), EncodeErrorKind::NulInBody);
    let digits = |text: &str| text.trim_start_matches('0').to_owned();
    let expected = digits(&frame.body().len().to_string());
    let fits =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) && digits(text) == expected;
    reason(given.is_some_and(|text| !fits(&text)), EncodeErrorKind::ContentLengthMismatch);
    let literal = early || matches!(command, Command::Connect | Command::Connected);
    for (name, value) in frame.headers() {
        if length == ContentLength::Omit && name == "content-length" {
            continue;
        }
        let both = format!("{name}{value}");
        reason(name.is_empty(), EncodeErrorKind::EmptyHeaderName);
        reason(both.contains('\0'), EncodeErrorKind::NulInHeader);
        reason(literal && name.contains(':'), EncodeErrorKind::ColonInHeaderName);
        reason(literal && both.contains('\n'), EncodeErrorKind::LineBreakInHeader);
        let writes_cr = version == Version::V1_2 && !literal;
        reason(!writes_cr && both.contains('\r'), EncodeErrorKind::LineBreakInHeader);
    }
    why
}

/// The frame as it is read back: with the `content-length` that the encoder adds, or without any.
pub(crate) fn as_read(frame: &Frame, length: ContentLength) -> Frame {
    let mut frame = frame.clone();
    if length == ContentLength::Omit {
        frame.headers_mut().remove("content-length");
        return frame;
    }
    let wants = has_body(frame.command()) && !frame.body().is_empty();
    if wants && !frame.headers().contains("content-length") {
        let octets = frame.body().len().to_string();
        frame.headers_mut().push("content-length", octets);
    }
    frame
}

/// Whether 1.1 and 1.2 allow the frame a body.
fn has_body(command: Command) -> bool {
    matches!(command, Command::Send | Command::Message | Command::Error)
}

/// The frame without what the version cannot carry.
pub(crate) fn made_writable(frame: &Frame, version: Version) -> Frame {
    let early = version == Version::V1_0;
    let command = match frame.command() {
        Command::Nack if early => Command::Ack,
        Command::Stomp if early => Command::Connect,
        command => command,
    };
    let literal = early || matches!(command, Command::Connect | Command::Connected);
    let writable = |c: char| match c {
        '\0' => false,
        '\n' => !literal,
        '\r' => !literal && version == Version::V1_2,
        _ => true,
    };
    let mut made = Frame::new(command);
    for (name, value) in frame.headers() {
        let name: String = name.chars().filter(|&c| writable(c) && !(literal && c == ':')).collect();
        let value: String = value.chars().filter(|&c| writable(c)).collect();
        if !name.is_empty() && name != "content-length" {
            made.headers_mut().push(name, value);
        }
    }
    if early || has_body(command) {
        made.set_body(frame.body().clone());
    }
    if !has_body(command) && made.body().contains(&0) {
        // The encoder adds it only where every version allows a body.
        let octets = made.body().len().to_string();
        made.headers_mut().push("content-length", octets);
    }
    made
}
