//! What `Display` and `Debug` show of a frame: one line, no secrets, nothing endless.

use bytes::Bytes;
use proptest::prelude::any;
use proptest::sample::select;
use proptest::test_runner::Config;
use proptest::{prop_assert, proptest};
use stompede_codec::{Command, Frame, FrameRef, Version};

fn with(name: &str, value: &str) -> Frame {
    Frame::new(Command::Send).with_header(name, value)
}

/// Every way in which a frame can be shown.
fn shown(frame: &Frame) -> [String; 5] {
    let headers = frame.headers();
    [
        frame.to_string(),
        format!("{frame:?}"),
        format!("{frame:#?}"),
        format!("{headers:?}"),
        format!("{:?}", headers.iter()),
    ]
}

#[test]
fn a_header_that_names_a_secret_is_masked() {
    for name in [
        "passcode",
        "Passcode",
        "user-password",
        "pass-word",
        "db.passwd",
        "passphrase",
        "pwd",
        "authorization",
        "Proxy-Authorization",
        "x-auth",
        "auth",
        "x_auth_token",
        "access_token",
        "accessToken",
        "X-API-Key",
        "api key",
        "apikey",
        "AWS_SECRET_ACCESS_KEY",
        "private.key",
        "set-cookie",
        "credentials",
        "id-jwt",
        "bearer",
    ] {
        for text in shown(&with(name, "hunter2")) {
            assert!(!text.contains("hunter2") && text.contains("\"***\""), "{text}");
        }
    }
}

#[test]
fn a_credential_is_masked_under_any_name() {
    for value in ["Bearer hunter2", "bearer  hunter2", "Basic hunter2==", " Basic hunter2"] {
        for text in shown(&with("login", value)) {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    for (name, value) in [
        ("login", "guest"),
        ("author", "guest"),
        ("bypass", "guest"),
        ("destination", "/queue/basic"),
        ("title", "Basic"),
        ("note", "bearers and basics"),
        ("keys", "guest"),
        ("ap-ik", "guest"),
    ] {
        for text in shown(&with(name, value)) {
            assert!(text.contains(value), "{text}");
        }
    }
}

#[test]
fn a_long_value_is_shown_by_its_length_and_beginning() {
    let frame = with("reason", &format!("{}é{}", "x".repeat(199), "y".repeat(5000)));
    let beginning = "x".repeat(199);
    assert_eq!(frame.to_string(), format!("SEND reason=5201 B \"{beginning}\"…"));
    assert!(shown(&frame).iter().all(|text| text.contains("5201 B ") && text.len() < 400));
    let fits = with("reason", &"x".repeat(200));
    assert_eq!(fits.to_string(), format!("SEND reason=\"{}\"", "x".repeat(200)));
    let long_name = with(&"n".repeat(1000), "v");
    assert_eq!(long_name.to_string(), format!("SEND 1000 B \"{}\"…=\"v\"", "n".repeat(200)));
    assert!(shown(&long_name).iter().all(|text| text.len() < 400));
}

#[test]
fn many_headers_are_counted_and_not_listed() {
    let many = |count| {
        (0..count).fold(Frame::new(Command::Send), |frame, n| frame.with_header(format!("h{n}"), "v"))
    };
    assert!(many(32).to_string().ends_with(" h31=\"v\""));
    assert!(many(1000).with_body("x").to_string().ends_with(" h31=\"v\" … 968 more headers body=1 B \"x\""));
}

#[test]
fn control_characters_stay_on_the_line() {
    let frame = with("a\nb", "1\r\n\u{1b}[2J\u{202e}").with_body("two\nlines\0\u{7f}\u{202e}");
    assert_eq!(
        frame.to_string(),
        r#"SEND "a\nb"="1\r\n\u{1b}[2J\u{202e}" body=14 B "two\nlines\0\u{7f}\u{202e}""#
    );
    let octets = Frame::new(Command::Send).with_body(&b"\xff\n\x1b"[..]);
    assert_eq!(octets.to_string(), r#"SEND body=3 B "\xff\n\x1b""#);
}

#[test]
fn a_name_cannot_pretend_to_be_a_header() {
    assert_eq!(with("x=\"1\" login", "v").to_string(), r#"SEND "x=\"1\" login"="v""#);
    assert_eq!(with("", "v").to_string(), r#"SEND ""="v""#);
}

/// Names come from peers, and frames are shown where nobody asked for it: in a history, in a log.
#[test]
fn a_name_of_separators_takes_no_longer_than_another() {
    // With each octet looked at from each other one this takes minutes.
    for name in
        ["-".repeat(65_536), format!("p{}", "_".repeat(65_535)), format!("{}pass.word", "- ".repeat(32_000))]
    {
        for text in shown(&with(&name, "hunter2")) {
            assert_eq!(text.contains("hunter2"), !name.ends_with("word"), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 500, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_frame_is_one_short_line_and_a_view_of_it_shows_the_same(
        names in proptest::collection::vec(any::<String>(), 0..5),
        command in select(&[Command::Send, Command::Connect, Command::Error][..]),
        times in 1_usize..400,
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let frame = names.iter().fold(Frame::new(command), |f, name| f.with_header(name, name.repeat(times)));
        let frame = frame.with_body(body);
        let line = frame.to_string();
        prop_assert!(!line.contains(|c: char| c.is_control()), "{line}");
        // Six octets are the longest escape of one.
        prop_assert!(line.len() < 100 + names.len() * 2 * 6 * 220 + 6 * 64);
        let mut wire = bytes::BytesMut::new();
        if stompede_codec::Encoder::new(Version::V1_2).encode(&frame, &mut wire).is_ok() {
            let wire: Bytes = wire.freeze();
            let view = FrameRef::parse(&wire, Some(Version::V1_2)).expect("the encoder wrote it");
            prop_assert!(view.to_string() == view.to_frame(&wire).to_string());
            let debug = format!("{view:?}");
            prop_assert!(!debug.contains('\n'));
        }
    }
}
