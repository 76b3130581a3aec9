//! Section "Repeated Header Entries": the first one counts, the others are history.

use bytes::Bytes;
use stompede_codec::{EncodeErrorKind, Frame, Version};

use super::common::{Reading, only_frame};
use super::{readings, writings, written};

#[test]
fn the_first_entry_is_the_value_and_all_are_kept_in_order() {
    for (command, version) in readings() {
        for name in ["destination", "receipt-id", "subscription", "message-id", "ack", "session", "hop"] {
            let frame =
                only_frame(format!("{command}\n{name}:1\nx:0\n{name}:2\n{name}:\n\n\0").as_bytes(), version);
            assert_eq!(frame.header(name).as_deref(), Some("1"));
            assert_eq!(frame.headers().get_all(name).collect::<Vec<_>>(), ["1", "2", ""]);
            assert_eq!(
                frame.headers(),
                &[(name, "1"), ("x", "0"), (name, "2"), (name, "")].into_iter().collect()
            );
        }
    }
}

#[test]
fn names_are_compared_as_the_text_they_stand_for() {
    for version in [None, Some(Version::V1_1), Some(Version::V1_2)] {
        let frame = only_frame(b"SEND\na\\cb:1\na\\\\cb:2\na\\cb:3\n\n\0", version);
        assert_eq!(frame.headers().get_all("a:b").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(frame.header("a\\cb").as_deref(), Some("2"));
    }
}

#[test]
fn the_first_content_length_counts_when_reading() {
    for (command, version) in readings() {
        for second in ["9", "x", "99999999999999999999999", ""] {
            let wire = format!("{command}\ncontent-length:1\ncontent-length:{second}\n\n\0\0");
            assert_eq!(only_frame(wire.as_bytes(), version).body(), "\0", "{second:?}");
        }
    }
}

#[test]
fn the_first_content_length_counts_when_writing() {
    for (command, version) in writings() {
        let given = |first: &str, second: &str| {
            let frame = Frame::new(command).with_header("content-length", first);
            written(&frame.with_header("content-length", second), version)
        };
        let wire = format!("{command}\ncontent-length:0\ncontent-length:9\n\n\0").into_bytes();
        assert_eq!(given("0", "9"), Ok(wire));
        assert_eq!(given("9", "0"), Err(EncodeErrorKind::ContentLengthMismatch));
    }
}

#[test]
fn the_first_version_of_connected_counts() {
    let mut decoder = Reading::of(None).decoder();
    decoder.push(Bytes::from_static(b"CONNECTED\nversion:1.1\nversion:1.2\n\n\0"));
    assert!(decoder.next().is_ok());
    assert_eq!(decoder.version(), Some(Version::V1_1));
}

#[test]
fn repeated_entries_are_written_in_order() {
    for (command, version) in writings() {
        let frame = Frame::new(command).with_header("hop", "2").with_header("x", "").with_header("hop", "1");
        assert_eq!(written(&frame, version), Ok(format!("{command}\nhop:2\nx:\nhop:1\n\n\0").into_bytes()));
    }
}
