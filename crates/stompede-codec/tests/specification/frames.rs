//! Section "STOMP Frames": commands, lines, headers, and what stands between frames.

use bytes::Bytes;
use stompede_codec::{Command, Decoder, EncodeErrorKind, Frame, Limits, Version};

use super::common::{End, Outcome, Reading, Seen, commands, decode, error, only_frame};
use super::{VERSIONS, is_new_in_1_1, readings, writings, written};

#[test]
fn every_command_is_read_whatever_the_version() {
    for (command, version) in readings() {
        let frame = only_frame(format!("{command}\nkey:value\n\n\0").as_bytes(), version);
        assert_eq!(frame, Frame::new(command).with_header("key", "value"), "{version:?}");
    }
}

#[test]
fn every_command_is_written_in_the_versions_that_have_it() {
    for command in commands() {
        for version in Version::ALL {
            let result = written(&Frame::new(command).with_header("key", "value"), version);
            if version == Version::V1_0 && is_new_in_1_1(command) {
                assert_eq!(result, Err(EncodeErrorKind::CommandNotInVersion));
            } else {
                assert_eq!(result, Ok(format!("{command}\nkey:value\n\n\0").into_bytes()));
            }
        }
    }
}

#[test]
fn commands_are_case_sensitive_and_no_others_are_known() {
    for command in commands() {
        let name = command.as_str();
        let (first, rest) = name.split_at(1);
        for wrong in [name.to_lowercase(), format!("{first}{}", rest.to_lowercase()), format!("{name} ")] {
            assert_eq!(error(format!("{wrong}\n\n\0").as_bytes(), None), ("UnknownCommand".to_owned(), 0));
        }
    }
    for wrong in [" SEND", "SEN", "SENDX", "UNSUBSCRIBED", "HEARTBEAT", "\u{feff}SEND", "SEND\r"] {
        assert_eq!(error(format!("\n{wrong}\r\n\n\0").as_bytes(), None).0, "UnknownCommand", "{wrong:?}");
    }
}

#[test]
fn header_names_are_case_sensitive() {
    for (command, version) in readings() {
        let wire = format!("{command}\nDestination:/queue/a\nContent-Length:99\nVersion:1.1\n\nx\0");
        let frame = only_frame(wire.as_bytes(), version);
        assert_eq!(frame.header("Destination").as_deref(), Some("/queue/a"));
        assert_eq!(frame.header("destination"), None);
        assert_eq!(frame.body(), "x", "Content-Length is no content-length");
    }
}

#[test]
fn each_line_may_end_in_lf_or_cr_lf() {
    for (command, version) in readings() {
        for ends in 0..16 {
            let end = |line: usize| if ends >> line & 1 == 0 { "\n" } else { "\r\n" };
            let wire = format!("{command}{}a:b{}c:d{}{}\r\nbody\r\n\0", end(0), end(1), end(2), end(3));
            let frame = only_frame(wire.as_bytes(), version);
            assert_eq!(frame.headers(), &[("a", "b"), ("c", "d")].into_iter().collect());
            assert_eq!(frame.body(), "\r\nbody\r\n", "a body is left as it is");
        }
    }
}

#[test]
fn lines_are_written_with_lf_which_every_version_reads() {
    for (command, version) in writings() {
        let wire = written(&Frame::new(command).with_header("a", "b"), version).unwrap();
        assert!(!wire.contains(&b'\r'));
    }
}

#[test]
fn only_one_carriage_return_belongs_to_a_line_end() {
    for (command, version) in readings() {
        let wire = format!("{command}\na:b\r\r\nc\rd:\re\n\n\0");
        let frame = only_frame(wire.as_bytes(), version);
        assert_eq!(frame.headers(), &[("a", "b\r"), ("c\rd", "\re")].into_iter().collect());
    }
}

#[test]
fn a_header_is_split_at_its_first_colon() {
    for (command, version) in readings() {
        let frame = only_frame(format!("{command}\nurl:tcp://host:1\na::\n\n\0").as_bytes(), version);
        assert_eq!(frame.headers(), &[("url", "tcp://host:1"), ("a", ":")].into_iter().collect());
    }
}

#[test]
fn a_header_line_has_a_colon() {
    for (command, version) in readings() {
        let wire = format!("{command}\na:b\r\nno colon\r\n\n\0");
        let at = command.as_str().len() as u64 + 6;
        assert_eq!(error(wire.as_bytes(), version), ("HeaderWithoutColon".to_owned(), at));
    }
}

#[test]
fn a_header_has_a_name() {
    for (command, version) in readings() {
        let at = command.as_str().len() as u64 + 1;
        assert_eq!(
            error(format!("{command}\n:b\n\n\0").as_bytes(), version),
            ("EmptyHeaderName".to_owned(), at)
        );
    }
    for (command, version) in writings() {
        for value in ["", "b"] {
            let frame = Frame::new(command).with_header("a", "b").with_header("", value);
            assert_eq!(written(&frame, version), Err(EncodeErrorKind::EmptyHeaderName));
        }
    }
}

#[test]
fn names_and_values_are_never_trimmed_padded_or_dropped_when_empty() {
    let headers = [(" a ", " b "), ("\tc", "d\t"), ("e", ""), (" ", " ")];
    for (command, version) in readings() {
        let wire = format!("{command}\n a : b \n\tc:d\t\ne:\n : \n\n\0");
        assert_eq!(only_frame(wire.as_bytes(), version).headers(), &headers.into_iter().collect());
    }
    for (command, version) in writings() {
        let frame = headers.into_iter().fold(Frame::new(command), |frame, (n, v)| frame.with_header(n, v));
        let wire = format!("{command}\n a : b \n\tc:d\t\ne:\n : \n\n\0");
        assert_eq!(written(&frame, version), Ok(wire.into_bytes()));
    }
}

#[test]
fn heads_are_utf_8() {
    for (command, version) in readings() {
        let frame = only_frame(format!("{command}\né:🐎\n\n\0").as_bytes(), version);
        assert_eq!(frame.header("é").as_deref(), Some("🐎"));
        // Neither a lone octet, nor half a character at the end of a value, nor an overlong form.
        for wrong in [&b"\xff"[..], b"\xf0\x9f\x90", b"\xc0\xaf", b"\xed\xa0\x80"] {
            let wire = [command.as_str().as_bytes(), b"\na:b\nc:\xc3\xa9", wrong, b"\n\nx\0"].concat();
            let at = command.as_str().len() as u64 + 9;
            assert_eq!(error(&wire, version), ("NotUtf8".to_owned(), at));
        }
    }
    for (command, version) in writings() {
        let frame = Frame::new(command).with_header("é", "🐎");
        assert_eq!(written(&frame, version), Ok(format!("{command}\né:🐎\n\n\0").into_bytes()));
    }
}

#[test]
fn a_command_is_not_utf_8_but_unknown() {
    assert_eq!(error(b"SEND\xc3\xa9\n\n\0", None), ("UnknownCommand".to_owned(), 0));
    assert_eq!(error(b"\xff\xfe\n\n\0", None), ("UnknownCommand".to_owned(), 0));
}

#[test]
fn the_blank_line_is_required() {
    for (command, version) in readings() {
        let len = command.as_str().len() as u64;
        for (wire, at) in [("\0", 0), ("\n\0", 1), ("\na:b\0", 4), ("\na:b\n\0", 5), ("\r\n\r\0", 3)] {
            let wire = format!("{command}{wire}");
            assert_eq!(error(wire.as_bytes(), version), ("NulInHead".to_owned(), len + at), "{wire:?}");
        }
    }
}

#[test]
fn one_line_end_ends_the_headers_and_the_next_octet_is_body() {
    for (command, version) in readings() {
        for (end, body) in
            [("\n", ""), ("\n\n", "\n"), ("\r\n\r\n", "\r\n"), ("\n\r", "\r"), ("\r\n\n", "\n")]
        {
            let wire = format!("{command}\na:b\n{end}\0");
            assert_eq!(only_frame(wire.as_bytes(), version).body(), body, "{wire:?}");
            assert_eq!(only_frame(format!("{command}\n{end}\0").as_bytes(), version).body(), body);
        }
    }
}

#[test]
fn line_ends_behind_a_frame_belong_to_none() {
    for (command, version) in readings() {
        for ends in ["", "\n", "\r\n", "\n\n\r\n\n"] {
            let wire = format!("{ends}{command}\na:b\n\nbody\0{ends}{command}\na:b\n\nbody\0{ends}");
            let seen = Seen::Frame {
                command: command.to_string(),
                headers: vec![("a".to_owned(), "b".to_owned())],
                body: b"body".to_vec(),
            };
            let mut seen = vec![seen.clone(), seen];
            if !ends.is_empty() {
                seen = seen
                    .into_iter()
                    .flat_map(|seen| [Seen::LineEnds, seen])
                    .chain([Seen::LineEnds])
                    .collect();
            }
            let outcome = Outcome { seen, end: End::BetweenFrames };
            assert_eq!(decode(wire.as_bytes(), version), outcome, "{wire:?}");
        }
    }
}

#[test]
fn nothing_but_line_ends_stands_between_frames() {
    for octet in (0..=u8::MAX).filter(|&octet| octet != b'\n') {
        let wire = [b"RECEIPT\n\n\0\n", &[octet][..], b"SEND\n\n\0"].concat();
        let kind = match octet {
            0 => "NulInHead",
            b'\r' => "StrayCarriageReturn",
            _ => "UnknownCommand",
        };
        assert_eq!(error(&wire, None), (kind.to_owned(), 11), "{octet}");
    }
}

#[test]
fn a_carriage_return_between_frames_needs_its_line_feed() {
    for (wire, at) in [("\rX", 0), ("\r\0", 0), ("\r\r\n", 0), ("\n\r\n\rSEND\n\n\0", 3)] {
        assert_eq!(error(wire.as_bytes(), None), ("StrayCarriageReturn".to_owned(), at), "{wire:?}");
    }
    assert_eq!(decode(b"\n\r", None).end, End::BetweenFrames, "it may be on its way");
}

#[test]
fn no_header_has_a_nul() {
    for (command, version) in readings() {
        let len = command.as_str().len() as u64;
        assert_eq!(error(format!("{command}\na:b\0c\n\n\0").as_bytes(), version).1, len + 4);
        assert_eq!(error(format!("{command}\na\0:b\n\n\0").as_bytes(), version).1, len + 2);
    }
    for (command, version) in writings() {
        for (name, value) in [("a", "b\0c"), ("a\0", "b"), ("\0", "")] {
            let frame = Frame::new(command).with_header(name, value);
            assert_eq!(written(&frame, version), Err(EncodeErrorKind::NulInHeader));
        }
    }
}

/// What is wrong with a line is said when the line ends, even if the frame never does.
#[test]
fn a_line_is_judged_at_its_end() {
    for (line, kind) in [
        ("no colon\n", "HeaderWithoutColon"),
        (":no name\n", "EmptyHeaderName"),
        ("\r\r\n", "HeaderWithoutColon"),
        ("content-length:x\n", "ContentLength"),
    ] {
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(Bytes::from(format!("SEND\na:b\n{}", line.strip_suffix('\n').unwrap())));
        assert_eq!(decoder.next(), Ok(None), "{line:?}");
        decoder.push(Bytes::from_static(b"\n"));
        let error = decoder.next().unwrap_err();
        assert_eq!((format!("{:?}", error.kind()).as_str(), error.offset()), (kind, 9), "{line:?}");
    }
}

/// The first line that is wrong is named; then what is wrong with a whole head: its text, then its escapes.
#[test]
fn of_several_faults_the_first_is_named() {
    let limits = Limits::default().with_max_header_count(1);
    let kind = |head: &[u8], limits| {
        let reading = Reading { limits, ..Reading::of(Some(Version::V1_2)) };
        super::common::error_read(&[b"SEND\n", head, b"\n\0"].concat(), reading).0
    };
    let default = Limits::default();
    for (head, limits, expected) in [
        (&b"a:\\t\nb:\xff\nno colon\n"[..], default, "HeaderWithoutColon"),
        (b"no colon\n:no name\n", default, "HeaderWithoutColon"),
        (b":no name\nno colon\n", default, "EmptyHeaderName"),
        (b"content-length:x\nno colon\n", default, "ContentLength"),
        (b"no colon\ncontent-length:x\n", default, "HeaderWithoutColon"),
        (b"a:\\t\nb:\xff\n", default, "NotUtf8"),
        (b"a:b\nno colon\n", limits, "TooManyHeaders { limit: 1 }"),
        (b"a:b\n:\n", limits, "TooManyHeaders { limit: 1 }"),
        (b"a:b\ncontent-length:x\n", limits, "TooManyHeaders { limit: 1 }"),
        (b"no colon\na:b\n", limits, "HeaderWithoutColon"),
    ] {
        assert_eq!(kind(head, limits), expected, "{}", head.escape_ascii());
    }
}

#[test]
fn the_version_comes_from_connected_and_holds_for_what_follows() {
    for (headers, expected) in [
        ("version:1.0\n", Some(Version::V1_0)),
        ("version:1.1\n", Some(Version::V1_1)),
        ("version:1.2\n", Some(Version::V1_2)),
        ("session:1\n", Some(Version::V1_0)),
        ("version:2.0\n", None),
        ("version: 1.1\n", None),
    ] {
        for before in VERSIONS {
            let mut decoder = Reading::of(before).decoder();
            decoder.push(Bytes::from(format!("CONNECTED\n{headers}\n\0")));
            assert!(decoder.next().is_ok());
            assert_eq!(decoder.version(), expected.or(before), "{headers:?} after {before:?}");
        }
    }
    for command in commands().filter(|&command| command != Command::Connected) {
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(Bytes::from(format!("{command}\nversion:1.1\n\n\0")));
        assert!(decoder.next().is_ok());
        assert_eq!(decoder.version(), None, "{command} says nothing of it");
    }
}
