//! Sections "Body" and "Header content-length": where a body ends, and who may have one.

use bytes::BytesMut;
use stompede_codec::{Command, ContentLength, EncodeErrorKind, Encoder, Frame, Version};

use super::common::{End, decode, error, only_frame};
use super::{readings, writings, written};

#[test]
fn content_length_is_honoured_on_every_frame() {
    for (command, version) in readings() {
        let wire = [command.as_str().as_bytes(), b"\ncontent-length:6\n\n\0a\n\0\r\0\0"].concat();
        assert_eq!(only_frame(&wire, version).body(), &b"\0a\n\0\r\0"[..]);
    }
}

#[test]
fn content_length_counts_octets_and_not_characters() {
    assert_eq!(only_frame("SEND\ncontent-length:4\n\né\0\n\0".as_bytes(), None).body(), &b"\xc3\xa9\0\n"[..]);
    for (command, version) in writings().filter(|&(command, _)| has_body(command)) {
        let wire = format!("{command}\ncontent-length:6\n\né🐎\0").into_bytes();
        assert_eq!(written(&Frame::new(command).with_body("é🐎"), version), Ok(wire));
    }
}

#[test]
fn one_nul_follows_a_counted_body() {
    for (command, version) in readings() {
        let head = format!("{command}\ncontent-length:2\n\n");
        let at = head.len() as u64 + 2;
        for behind in ["c\0", "\n\0", "\r\n\0", "SEND\n\n\0"] {
            let wire = format!("{head}ab{behind}");
            assert_eq!(error(wire.as_bytes(), version), ("BodyNotTerminated".to_owned(), at), "{wire:?}");
        }
        let wire = format!("{head}ab");
        assert_eq!(decode(wire.as_bytes(), version).end, End::MidFrame, "the NUL is on its way");
        let wire = format!("{head}a\0");
        assert_eq!(decode(wire.as_bytes(), version).end, End::MidFrame, "this NUL is body");
    }
}

#[test]
fn without_content_length_the_first_nul_ends_a_body() {
    for (command, version) in readings() {
        let wire = [command.as_str().as_bytes(), b"\n\na\r\n\xff\nb\n\0"].concat();
        assert_eq!(only_frame(&wire, version).body(), &b"a\r\n\xff\nb\n"[..]);
        assert_eq!(error(&[&wire[..], b"c\0"].concat(), version).0, "NulInHead", "what follows is no body");
    }
}

#[test]
fn content_length_is_a_plain_decimal_number() {
    for (command, version) in readings() {
        let at = command.as_str().len() as u64 + 5;
        for value in ["", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1e0", "one", "1:", "\\1", "١", "1\r"] {
            let wire = format!("{command}\na:b\ncontent-length:{value}\r\n\nx\0");
            assert_eq!(error(wire.as_bytes(), version), ("ContentLength".to_owned(), at), "{value:?}");
        }
        for value in ["1", "01", "0000000000000000000000000000001", "1\r"] {
            let wire = format!("{command}\ncontent-length:{value}\n\n\0\0");
            assert_eq!(only_frame(wire.as_bytes(), version).body(), "\0", "{value:?}");
        }
        let wire = format!("{command}\ncontent-length:0\n\n\0");
        assert_eq!(only_frame(wire.as_bytes(), version).body(), "");
    }
}

#[test]
fn a_given_content_length_is_written_if_it_is_true() {
    for (command, version) in writings().filter(|&(command, version)| may_have_body(command, version)) {
        let given = |value: &str| {
            let frame = Frame::new(command).with_header("content-length", value).with_body("a\0b");
            written(&frame, version)
        };
        for value in ["3", "003"] {
            let wire = format!("{command}\ncontent-length:{value}\n\na\0b\0").into_bytes();
            assert_eq!(given(value), Ok(wire));
        }
        for wrong in ["2", "4", "", "+3", "3 ", " 3", "3.0", "x", "99999999999999999999999"] {
            assert_eq!(given(wrong), Err(EncodeErrorKind::ContentLengthMismatch), "{wrong:?}");
        }
    }
    for (command, version) in writings() {
        let frame = |value| Frame::new(command).with_header("content-length", value);
        assert!(written(&frame("0"), version).is_ok());
        assert_eq!(written(&frame("1"), version), Err(EncodeErrorKind::ContentLengthMismatch));
    }
}

#[test]
fn a_body_is_written_with_its_content_length() {
    for (command, version) in writings().filter(|&(command, _)| has_body(command)) {
        let wire = format!("{command}\na:b\ncontent-length:3\n\n\0\n\0\0").into_bytes();
        let frame = Frame::new(command).with_header("a", "b");
        assert_eq!(written(&frame.clone().with_body("\0\n\0"), version), Ok(wire));
        let wire = format!("{command}\na:b\n\n\0").into_bytes();
        assert_eq!(written(&frame, version), Ok(wire), "no body needs none");
    }
}

#[test]
fn a_body_with_nul_is_refused_where_nobody_could_read_it() {
    for (command, version) in writings() {
        let frame =
            |body: &'static str| Frame::new(command).with_header("content-length", "9").with_body(body);
        let encoder = Encoder::new(version).content_length(ContentLength::Omit);
        let write = |body| {
            let mut out = BytesMut::new();
            encoder.encode(&frame(body), &mut out).map(|()| out.to_vec()).map_err(|error| error.kind())
        };
        if may_have_body(command, version) {
            assert_eq!(write("a\0b"), Err(EncodeErrorKind::NulInBody));
            assert_eq!(write("ab"), Ok(format!("{command}\n\nab\0").into_bytes()));
        } else {
            assert_eq!(write("ab"), Err(EncodeErrorKind::BodyNotAllowed));
        }
        if version == Version::V1_0 && !has_body(command) {
            let frame = Frame::new(command).with_body("a\0b");
            assert_eq!(written(&frame, version), Err(EncodeErrorKind::NulInBody), "nothing counts it");
        }
    }
}

#[test]
fn only_send_message_and_error_have_a_body_since_1_1() {
    for (command, version) in writings() {
        let result = written(&Frame::new(command).with_body("x"), version);
        match may_have_body(command, version) {
            true => assert!(result.is_ok(), "{command} in {version}"),
            false => assert_eq!(result, Err(EncodeErrorKind::BodyNotAllowed), "{command} in {version}"),
        }
    }
    for (command, version) in readings() {
        let frame = only_frame(format!("{command}\n\nx\0").as_bytes(), version);
        assert_eq!(frame.body(), "x", "it is let pass when read");
    }
}

#[test]
fn content_type_is_the_callers_business() {
    for (command, version) in writings().filter(|&(command, _)| has_body(command)) {
        let frame = Frame::new(command)
            .with_header("content-type", "text/plain;charset=latin1")
            .with_body(&b"\xe9"[..]);
        let wire = written(&frame, version).unwrap();
        let read = only_frame(&wire, Some(version));
        assert_eq!(read.header("content-type").as_deref(), Some("text/plain;charset=latin1"));
        assert_eq!(read.body(), &b"\xe9"[..]);
        assert!(!written(&Frame::new(command).with_body("x"), version).unwrap().starts_with(b"content-type"));
    }
}

fn has_body(command: Command) -> bool {
    matches!(command, Command::Send | Command::Message | Command::Error)
}

fn may_have_body(command: Command, version: Version) -> bool {
    version == Version::V1_0 || has_body(command)
}
