//! What an HTTP/1.1 head is, for the WebSocket upgrade and for a proxy's CONNECT.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use httparse::Header;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::HttpResponse;

/// The longest head of a request or an answer. Cookies of a single sign-on make some 8 KiB; nothing honest makes 16.
pub(crate) const MAX_HEAD: usize = 16 * 1024;

/// How many header fields a head may have.
pub(crate) const MAX_FIELDS: usize = 100;

/// How much of the body of a refusal is kept: enough for the message in a page of HTML.
const MAX_BODY: usize = 4 * 1024;

/// How long the body of a refusal is waited for. The refusal itself is known by then, so this is not worth much time.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

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
/// waits for an answer then, and would never end a line. `buffer` has what was read before.
pub(crate) async fn read_head<IO: AsyncRead + Unpin>(
    io: &mut IO,
    mut buffer: BytesMut,
    begins: impl Fn(&[u8]) -> bool,
) -> Result<(Bytes, BytesMut), HeadError> {
    let mut searched = 0;
    loop {
        if !buffer.is_empty() && !begins(&buffer) {
            return Err(HeadError::NotHttp);
        }
        if let Some(end) = head_end(&buffer, searched) {
            let head = buffer.split_to(end).freeze();
            return Ok((head, buffer));
        }
        // An end of three bytes may have been cut anywhere.
        searched = buffer.len().saturating_sub(2);
        let room = MAX_HEAD.saturating_sub(buffer.len());
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
    }
}

/// The head of the answer that counts, and what came behind it. Interim ones before it (100 Continue, 103 Early Hints) are
/// passed over, and count for the length.
pub(crate) async fn read_answer<IO: AsyncRead + Unpin>(io: &mut IO) -> Result<(Bytes, BytesMut), HeadError> {
    let (mut rest, mut passed) = (BytesMut::new(), 0);
    loop {
        let (head, behind) = read_head(io, rest, begins_like_an_answer).await?;
        if !is_interim(&head) {
            return Ok((head, behind));
        }
        passed += head.len();
        if passed > MAX_HEAD {
            return Err(HeadError::TooLong);
        }
        rest = behind;
    }
}

/// RFC 9110, section 15.2: after any 1xx but 101 the answer is yet to come.
fn is_interim(head: &[u8]) -> bool {
    matches!(head.get(HTTP_1.len()..), Some([_, b' ', b'1', b'0'..=b'9', b'0'..=b'9', ..]))
        && head.get(HTTP_1.len() + 2..HTTP_1.len() + 5) != Some(b"101")
}

/// Writes a request or an answer, and flushes it.
pub(crate) async fn write<IO: AsyncWrite + Unpin>(io: &mut IO, text: &str) -> io::Result<()> {
    io.write_all(text.as_bytes()).await?;
    io.flush().await
}

/// What [`read_head`] asks of an answer's first bytes.
fn begins_like_an_answer(bytes: &[u8]) -> bool {
    let len = bytes.len().min(HTTP_1.len());
    bytes[..len] == HTTP_1[..len]
}

/// What an answer begins with.
const HTTP_1: &[u8] = b"HTTP/1.";

/// A refusal as a caller gets to see it; `body` came together with its head.
pub(crate) async fn response<IO: AsyncRead + Unpin>(
    io: &mut IO,
    status: u16,
    fields: &[Header<'_>],
    mut body: BytesMut,
) -> HttpResponse {
    let length = values(fields, "content-length").next().and_then(|value| std::str::from_utf8(value).ok());
    let wanted = length.and_then(|length| length.parse().ok()).unwrap_or(MAX_BODY).min(MAX_BODY);
    let chunked = list(fields, "transfer-encoding").any(|coding| coding.eq_ignore_ascii_case("chunked"));
    let rest = async {
        while body.len() < wanted && !(chunked && body.ends_with(b"0\r\n\r\n")) {
            body.reserve(wanted - body.len());
            let room = wanted - body.len();
            // The refusal is the news; that its body ended early is none.
            if !matches!(io.read_buf(&mut (&mut body).limit(room)).await, Ok(1..)) {
                break;
            }
        }
    };
    let _ = timeout(BODY_TIMEOUT, rest).await;
    body.truncate(wanted);
    let own = |field: &Header<'_>| (field.name.to_owned(), Bytes::copy_from_slice(field.value));
    HttpResponse { status, headers: fields.iter().map(own).collect(), body: body.freeze() }
}

/// The value of an `Authorization` field; none if Basic cannot say it, for it ends a login at the first colon.
pub(crate) fn basic(login: &str, passcode: &str) -> Option<String> {
    (!login.contains(':')).then(|| format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{passcode}"))))
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
