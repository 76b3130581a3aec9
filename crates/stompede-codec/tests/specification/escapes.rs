//! Section "Value Encoding": what a backslash means, in names and in values, version by version.

use stompede_codec::{Command, EncodeErrorKind, Frame, Version};

use super::common::{Seen, decode, error, only_frame};
use super::{VERSIONS, is_literal, readings, writings, written};

/// What an octet behind a backslash stands for; nothing if that is not defined.
fn escape(octet: u8, version: Option<Version>) -> Option<char> {
    match octet {
        b'n' => Some('\n'),
        b'c' => Some(':'),
        b'\\' => Some('\\'),
        b'r' if version != Some(Version::V1_1) => Some('\r'),
        _ => None,
    }
}

#[test]
fn every_octet_behind_a_backslash_is_read_by_the_table() {
    for (command, version) in readings() {
        for octet in (1..=127).filter(|&octet| octet != b'\n') {
            let raw = format!("a\\{}b", char::from(octet));
            let plain = match escape(octet, version) {
                _ if is_literal(command, version) => Some(raw.clone()),
                Some(resolved) => Some(format!("a{resolved}b")),
                // It answers CONNECT and may come from a server of any version.
                None if command == Command::Error && version.is_none() => Some(raw.clone()),
                None => None,
            };
            let in_value = format!("{command}\nkey:{raw}\n\n\0");
            let in_name = format!("{command}\n{raw}:value\n\n\0");
            match plain {
                Some(plain) => {
                    assert_eq!(
                        only_frame(in_value.as_bytes(), version).header("key").as_deref(),
                        Some(&*plain)
                    );
                    if octet != b':' {
                        let frame = only_frame(in_name.as_bytes(), version);
                        assert_eq!(frame.header(&plain).as_deref(), Some("value"));
                    }
                }
                None => {
                    let at = command.as_str().len() as u64 + 2;
                    let undefined = |at| ("UndefinedEscape".to_owned(), at);
                    assert_eq!(error(in_value.as_bytes(), version), undefined(at + 4), "{in_value:?}");
                    assert_eq!(error(in_name.as_bytes(), version), undefined(at), "{in_name:?}");
                }
            }
        }
    }
}

#[test]
fn every_octet_is_written_by_the_table() {
    for (command, version) in writings() {
        let literal = is_literal(command, Some(version));
        for octet in 0..=127 {
            let text = format!("a{}b", char::from(octet));
            let escaped = |escape: &str| Ok(format!("a{escape}b"));
            let in_value = match octet {
                0 => Err(EncodeErrorKind::NulInHeader),
                b'\n' if literal => Err(EncodeErrorKind::LineBreakInHeader),
                b'\n' => escaped("\\n"),
                b'\r' if !literal && version == Version::V1_2 => escaped("\\r"),
                b'\r' => Err(EncodeErrorKind::LineBreakInHeader),
                b':' if !literal => escaped("\\c"),
                b'\\' if !literal => escaped("\\\\"),
                _ => Ok(text.clone()),
            };
            let in_name = match octet {
                b':' if literal => Err(EncodeErrorKind::ColonInHeaderName),
                _ => in_value.clone(),
            };
            let value = in_value.map(|raw| format!("{command}\nkey:{raw}\n\n\0").into_bytes());
            assert_eq!(written(&Frame::new(command).with_header("key", &text), version), value, "{octet}");
            let name = in_name.map(|raw| format!("{command}\n{raw}:value\n\n\0").into_bytes());
            assert_eq!(written(&Frame::new(command).with_header(&text, "value"), version), name, "{octet}");
        }
    }
}

#[test]
fn escapes_are_resolved_in_one_pass_from_left_to_right() {
    for (raw, plain) in [
        ("\\\\n", "\\n"),
        ("\\\\\\n", "\\\n"),
        ("\\\\\\\\n", "\\\\n"),
        ("\\\\c\\c", "\\c:"),
        ("\\n\\n", "\n\n"),
        ("\\\\", "\\"),
    ] {
        for version in [None, Some(Version::V1_1), Some(Version::V1_2)] {
            let frame = only_frame(format!("SEND\na:{raw}\n\n\0").as_bytes(), version);
            assert_eq!(frame.header("a").as_deref(), Some(plain), "{raw:?}");
        }
        let frame = Frame::new(Command::Send).with_header("a", plain);
        let wire = format!("SEND\na:{raw}\n\n\0").into_bytes();
        assert_eq!(written(&frame, Version::V1_1), Ok(wire), "{plain:?}");
    }
}

#[test]
fn a_line_is_split_first_and_unescaped_afterwards() {
    for version in [None, Some(Version::V1_1), Some(Version::V1_2)] {
        let frame = only_frame(b"SEND\na\\cb:c\\cd:e\n\n\0", version);
        assert_eq!(frame.headers(), &[("a:b", "c:d:e")].into_iter().collect());
        assert_eq!(error(b"SEND\na\\:b\n\n\0", version), ("UndefinedEscape".to_owned(), 6));
    }
}

#[test]
fn a_backslash_at_the_end_escapes_nothing() {
    for version in [None, Some(Version::V1_1), Some(Version::V1_2)] {
        for wire in ["SEND\nab:\\\n\n\0", "SEND\nab:\\\r\n\n\0", "SEND\nab:\\\\\\\n\n\0"] {
            let at = wire.rfind('\\').unwrap() as u64;
            assert_eq!(error(wire.as_bytes(), version), ("UndefinedEscape".to_owned(), at), "{wire:?}");
        }
    }
}

#[test]
fn connect_and_connected_are_exempt_and_stomp_is_not() {
    for version in VERSIONS {
        for command in [Command::Connect, Command::Connected] {
            let wire = format!("{command}\na\\cb:c\\nd:e\\t\\\n\n\0");
            assert_eq!(
                only_frame(wire.as_bytes(), version).headers(),
                &[("a\\cb", "c\\nd:e\\t\\")].into_iter().collect()
            );
        }
    }
    let stomp = |value: &str| Frame::new(Command::Stomp).with_header("passcode", value);
    assert_eq!(only_frame(b"STOMP\npasscode:a\\cb\n\n\0", None), stomp("a:b"));
    assert_eq!(error(b"STOMP\npasscode:\\t\n\n\0", None), ("UndefinedEscape".to_owned(), 15));
    assert_eq!(written(&stomp("a:b"), Version::V1_2), Ok(b"STOMP\npasscode:a\\cb\n\n\0".to_vec()));
}

/// Which rules hold changes with CONNECTED, within one stream.
#[test]
fn escapes_follow_the_version_that_connected_names() {
    for (version, value) in [("1.0", Some("\\r\\n")), ("1.1", None), ("1.2", Some("\r\n"))] {
        let wire = format!("CONNECTED\nversion:{version}\nsession:\\r\n\n\0MESSAGE\na:\\r\\n\n\n\0");
        let outcome = decode(wire.as_bytes(), None);
        let read = match outcome.seen.last() {
            Some(Seen::Frame { command, headers, .. }) if command == "MESSAGE" => Some(headers[0].1.as_str()),
            _ => None,
        };
        assert_eq!(read, value, "{version}");
    }
}

#[test]
fn an_error_in_answer_to_connect_is_never_lost_over_its_escapes() {
    let wire = b"ERROR\nmessage:bad path C:\\temp\\nsee log\\\n\nno\0";
    let frame = only_frame(wire, None);
    assert_eq!(frame.header("message").as_deref(), Some("bad path C:\\temp\nsee log\\"));
    for version in [Version::V1_1, Version::V1_2] {
        assert_eq!(error(wire, Some(version)), ("UndefinedEscape".to_owned(), 25));
    }
}
