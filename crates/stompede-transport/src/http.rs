use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use httparse::Header;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head of a request or an answer. Cookies of a single sign-on make some 8 KiB; nothing honest makes 16.
pub(crate) const MAX_HEAD: usize = 16 * 1024;

/// How many header fields a head may have.
pub(crate) const MAX_FIELDS: usize = 100;

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// What came first is not how a head begins.
    NotHttp,
    /// The peer closed; whether it had said anything before.
    Closed {
        partly: bool,
    },
    TooLong,
    Io(io::Error),
}

/// The head up to and with its empty line, and what came behind it.
///
/// `begins` says whether the bytes so far may be the beginning of a head: a peer that speaks something else usually
/// waits for an answer then, and would never end a line.
pub(crate) async fn read_head<IO: AsyncRead + Unpin>(
    io: &mut IO,
    begins: impl Fn(&[u8]) -> bool,
) -> Result<(Bytes, BytesMut), HeadError> {
    let mut buffer = BytesMut::with_capacity(1024);
    let mut searched = 0;
    loop {
        if let Some(end) = head_end(&buffer, searched) {
            let head = buffer.split_to(end).freeze();
            return Ok((head, buffer));
        }
        // An end of three bytes may have been cut anywhere.
        searched = buffer.len().saturating_sub(2);
        let room = MAX_HEAD - buffer.len();
        if room == 0 {
            return Err(HeadError::TooLong);
        }
        if buffer.capacity() == buffer.len() {
            buffer.reserve(1024);
        }
        let read = io.read_buf(&mut (&mut buffer).limit(room)).await.map_err(HeadError::Io)?;
        if read == 0 {
            return Err(HeadError::Closed { partly: !buffer.is_empty() });
        }
        if !begins(&buffer) {
            return Err(HeadError::NotHttp);
        }
    }
}

/// Where the first empty line ends, searching from `from`.
fn head_end(buffer: &[u8], from: usize) -> Option<usize> {
    let unseen = &buffer[from.min(buffer.len())..];
    let line_ends = unseen.iter().enumerate().filter(|&(_, &byte)| byte == b'\n').map(|(at, _)| at);
    for at in line_ends {
        match &unseen[at + 1..] {
            [b'\n', ..] => return Some(from + at + 2),
            [b'\r', b'\n', ..] => return Some(from + at + 3),
            _ => {}
        }
    }
    None
}

/// The values of all header fields of that name.
pub(crate) fn values<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// The entries of a comma-separated list that may be spread over several fields.
pub(crate) fn list<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a str> {
    let entries = values(fields, name).flat_map(|value| value.split(|&byte| byte == b','));
    entries.filter_map(|entry| std::str::from_utf8(entry.trim_ascii()).ok()).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_wherever_the_search_was_interrupted() {
        for head in ["HTTP/1.1 101 x\r\nA: b\r\n\r\n", "HTTP/1.1 101 x\nA: b\n\n", "GET / HTTP/1.1\r\n\r\n"] {
            let wire = format!("{head}\n\r\n\n");
            for seen in 0..wire.len() {
                let before = head_end(&wire.as_bytes()[..seen], 0);
                assert_eq!(before, (seen >= head.len()).then_some(head.len()));
                if before.is_none() {
                    assert_eq!(head_end(wire.as_bytes(), seen.saturating_sub(2)), Some(head.len()), "{seen}");
                }
            }
        }
    }
}
