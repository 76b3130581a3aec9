//! Text by the charset of `content-type`: what is chosen, what is refused, and that nothing changes on the way.
#![cfg(feature = "encoding")]

use std::borrow::Cow;

use proptest::prelude::any;
use proptest::sample::select;
use proptest::test_runner::Config;
use proptest::{prop_assert, prop_assert_eq, proptest};
use stompede_codec::{CharsetError, Command, Frame};

fn message(content_type: &str, body: &[u8]) -> Frame {
    Frame::new(Command::Message).with_header("content-type", content_type).with_body(body.to_vec())
}

#[track_caller]
fn text(content_type: &str, body: &[u8]) -> String {
    message(content_type, body).decode_text().expect("the body is text").into_owned()
}

#[test]
fn without_a_charset_text_is_utf_8() {
    let bare = Frame::new(Command::Message).with_body("é€");
    assert_eq!(bare.decode_text().as_deref(), Ok("é€"));
    for content_type in
        ["text/plain", "application/json", "", ";", "text/plain;", "nonsense; charset", "a/b;x=y"]
    {
        assert_eq!(text(content_type, "é€".as_bytes()), "é€", "{content_type:?}");
    }
}

#[test]
fn the_parameter_is_found_as_mime_writes_it() {
    for content_type in [
        "text/plain;charset=windows-1251",
        "text/plain; charset=windows-1251",
        "text/plain ; CharSet=WINDOWS-1251 ",
        "text/plain;charset=\"windows-1251\"",
        "text/plain;charset=\"windows\\-1251\" ; format=flowed",
        "text/plain;charset=\"windows-1251",
        "text/plain;format=flowed;charset=windows-1251;delsp=yes",
        "text/plain;note=\"a;charset=utf-8\\\";charset=utf-8\";charset=windows-1251",
        "text/plain;;flag;charset = windows-1251",
        "text/plain;xcharset=utf-8;charset=windows-1251;charset=utf-8",
        ";charset=windows-1251",
    ] {
        assert_eq!(text(content_type, b"\xe4\xe0"), "да", "{content_type:?}");
    }
    let twice = message("text/plain;charset=windows-1251", b"\xe4").with_header("content-type", "text/plain");
    assert_eq!(twice.decode_text().as_deref(), Ok("д"), "the first header counts");
}

#[test]
fn an_unknown_charset_is_an_error_also_when_losses_are_fine() {
    for label in ["klingon", "", "utf-7", "iso-2022-kr", "'utf-8'", "utf_8"] {
        let content_type = format!("text/plain;charset={label}");
        let frame = message(&content_type, b"abc");
        let unknown = CharsetError::Unknown { label: label.into() };
        assert_eq!(frame.decode_text(), Err(unknown.clone()));
        assert_eq!(frame.decode_text_lossy(), Err(unknown.clone()));
        assert_eq!(frame.with_text(&content_type, "abc"), Err(unknown));
    }
    let long = message(&format!("text/plain;charset={}", "é".repeat(500)), b"").decode_text().unwrap_err();
    assert_eq!(long, CharsetError::Unknown { label: "é".repeat(40).into() });
}

#[test]
fn what_is_malformed_is_an_error_and_visible_when_losses_are_fine() {
    for (label, body, charset, at, lossy) in [
        ("utf-8", &b"a\xffb"[..], "UTF-8", 1, "a\u{fffd}b"),
        ("utf-8", b"\xef\xbb\xbfa\xe2\x82", "UTF-8", 4, "a\u{fffd}"),
        ("us-ascii", b"ab\xe9c", "US-ASCII", 2, "ab\u{fffd}c"),
        ("shift_jis", b"\x83\x65\x83", "Shift_JIS", 2, "テ\u{fffd}"),
        ("euc-kr", b"abc\xff\xffd", "EUC-KR", 3, "abc\u{fffd}\u{fffd}d"),
        ("utf-16be", b"\0a\xd8\0\0b", "UTF-16BE", 2, "a\u{fffd}b"),
        ("utf-16", b"\xff\xfea\0b", "UTF-16", 4, "a\u{fffd}"),
        ("windows-1253", b"a\xaa", "windows-1253", 1, "a\u{fffd}"),
    ] {
        let frame = message(&format!("text/plain;charset={label}"), body);
        let charset_error = CharsetError::Malformed { charset, at };
        assert_eq!(frame.decode_text(), Err(charset_error), "{label}");
        assert_eq!(frame.decode_text_lossy().as_deref(), Ok(lossy), "{label}");
    }
    // Further back than the window in which the place is looked for.
    let late = [&b"\x83\x65".repeat(5000)[..], b"\x83"].concat();
    let late = message("a/b;charset=shift_jis", &late);
    assert_eq!(late.decode_text(), Err(CharsetError::Malformed { charset: "Shift_JIS", at: 10_000 }));
}

#[test]
fn registered_names_mean_what_their_registrations_say() {
    for label in ["iso-8859-1", "ISO_8859-1", "latin1", "l1", "IBM819"] {
        let content_type = format!("text/plain;charset={label}");
        assert_eq!(text(&content_type, b"\x80\xe9\xff"), "\u{80}éÿ", "{label}");
        let euro = Frame::new(Command::Send).with_text(&content_type, "é€");
        assert_eq!(euro, Err(CharsetError::Unmappable { charset: "ISO-8859-1", at: 2 }));
    }
    for label in ["windows-1252", "cp1252"] {
        assert_eq!(text(&format!("text/plain;charset={label}"), b"\x80\xe9"), "€é", "{label}");
    }
    let accent = Frame::new(Command::Send).with_text("text/plain;charset=us-ascii", "aé");
    assert_eq!(accent, Err(CharsetError::Unmappable { charset: "US-ASCII", at: 1 }));
}

#[test]
fn a_byte_order_mark_is_no_text_and_changes_no_charset() {
    assert_eq!(text("text/plain", b"\xef\xbb\xbfa"), "a");
    assert_eq!(text("text/plain;charset=utf-16le", b"\xff\xfea\0"), "a");
    assert_eq!(text("text/plain;charset=utf-16", b"\xff\xfea\0"), "a");
    assert_eq!(text("text/plain;charset=utf-16", b"\xfe\xff\0a"), "a");
    assert_eq!(text("text/plain;charset=utf-16", b"\0a"), "a");
    assert_eq!(text("text/plain;charset=iso-8859-1", b"\xef\xbb\xbfa"), "ï»¿a");
    assert_eq!(text("text/plain;charset=windows-1251", b"\xff\xfe"), "яю");
    let swapped = message("text/plain;charset=utf-16be", b"\xff\xfe\0a");
    assert_eq!(swapped.decode_text().as_deref(), Ok("\u{fffe}a"));
    assert_eq!(message("", b"\xef\xbb\xbfa\xff").decode_text_lossy().as_deref(), Ok("a\u{fffd}"));
}

#[test]
fn text_that_is_there_already_is_borrowed() {
    for label in ["utf-8", "us-ascii", "iso-8859-1", "shift_jis", "windows-1252"] {
        let frame = message(&format!("text/plain;charset={label}"), b"plain");
        assert!(matches!(frame.decode_text(), Ok(Cow::Borrowed("plain"))), "{label}");
    }
    assert!(matches!(message("", "é".as_bytes()).decode_text(), Ok(Cow::Borrowed("é"))));
}

#[test]
fn text_is_written_with_its_content_type() {
    let frame = Frame::new(Command::Send)
        .with_header("content-type", "text/plain")
        .with_text("text/html;charset=utf-16", "é")
        .unwrap();
    assert_eq!(frame.headers().get_all("content-type").collect::<Vec<_>>(), ["text/html;charset=utf-16"]);
    assert_eq!(&frame.body()[..], b"\xfe\xff\0\xe9");
    for (label, text, octets) in [
        ("utf-8", "é", &b"\xc3\xa9"[..]),
        ("us-ascii", "ab", b"ab"),
        ("iso-8859-1", "\u{80}é", b"\x80\xe9"),
        ("utf-16le", "é", b"\xe9\0"),
        ("utf-16be", "🐎", b"\xd8\x3d\xdc\x0e"),
        ("iso-2022-jp", "テ", b"\x1b$B%F\x1b(B"),
    ] {
        let frame =
            Frame::new(Command::Send).with_text(&format!("text/plain;charset={label}"), text).unwrap();
        assert_eq!(&frame.body()[..], octets, "{label}");
    }
}

#[test]
fn a_character_that_would_change_is_refused_and_the_frame_stays() {
    let before = Frame::new(Command::Send).with_header("content-type", "a/b").with_body("old");
    for (label, text, charset, at) in [
        ("windows-1251", "да é", "windows-1251", 5),
        ("shift_jis", "10 ¥", "Shift_JIS", 3),
        ("big5", "a🐎", "Big5", 1),
        ("iso-2022-jp", "ab\u{1b}", "ISO-2022-JP", 2),
    ] {
        let mut frame = before.clone();
        let refused = frame.set_text(&format!("text/plain;charset={label}"), text);
        assert_eq!(refused, Err(CharsetError::Unmappable { charset, at }), "{label}");
        assert_eq!(frame, before);
    }
}

#[test]
fn an_error_shows_no_text() {
    let error = Frame::new(Command::Send).with_text("text/plain;charset=us-ascii", "hunter2 é").unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.starts_with("US-ASCII does not have the character at octet 8 of the text"), "{shown}");
    assert!(!shown.contains("hunter2"));
}

proptest! {
    #![proptest_config(Config { cases: 4000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_is_written_reads_back_as_the_same_text(label in select(LABELS), text in text_of_some_charset()) {
        let content_type = format!("text/plain;charset={label}");
        match Frame::new(Command::Send).with_text(&content_type, &text) {
            Ok(frame) => {
                let unmarked = text.strip_prefix('\u{feff}').filter(|_| label.starts_with("utf") && label != "utf-16");
                let expected = Ok(Cow::Borrowed(unmarked.unwrap_or(&text)));
                prop_assert_eq!(frame.decode_text(), expected);
                prop_assert_eq!(frame.decode_text_lossy(), frame.decode_text());
            }
            Err(CharsetError::Unmappable { at, .. }) => {
                prop_assert!(!label.starts_with("utf"));
                prop_assert!(!text[at..].starts_with(|c: char| c.is_ascii_lowercase()));
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn any_octets_in_any_charset_are_text_or_an_error(
        content_type in content_types(),
        body in proptest::collection::vec(any::<u8>(), 0..24),
    ) {
        let frame = message(&content_type, &body);
        match (frame.decode_text(), frame.decode_text_lossy()) {
            (Ok(exact), Ok(lossy)) => prop_assert_eq!(exact, lossy),
            (Err(CharsetError::Malformed { at, .. }), Ok(lossy)) => {
                let shown = lossy.contains('\u{fffd}');
                prop_assert!(shown && at < body.len());
            }
            (Err(exact @ CharsetError::Unknown { .. }), Err(lossy)) => prop_assert_eq!(exact, lossy),
            (exact, lossy) => prop_assert!(false, "{exact:?} but {lossy:?}"),
        }
    }
}

const LABELS: &[&str] = &[
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "us-ascii",
    "iso-8859-1",
    "windows-1252",
    "iso-8859-15",
    "koi8-r",
    "gb18030",
    "gbk",
    "big5",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "euc-kr",
    "macintosh",
    "x-user-defined",
];

fn text_of_some_charset() -> impl proptest::strategy::Strategy<Value = String> {
    proptest::prop_oneof![
        "[a-z\u{feff}]{0,6}",
        "[a-zà-ÿ€¥]{0,6}",
        "[a-zа-я]{0,6}",
        "[a-zア-ヶ一-龥ㄱ-ㅎ가-힣]{0,6}",
        ".{0,6}"
    ]
}

fn content_types() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::strategy::Strategy;
    let labelled =
        (select(LABELS), "[ \"]?").prop_map(|(label, odd)| format!("text/plain;charset={odd}{label}{odd}"));
    proptest::prop_oneof![3 => labelled, 1 => "[a-z;=\" \\\\/é]{0,20}"]
}
