//! A second decoder: slow, obvious, and written from the specification alone.
//!
//! It has the whole stream before it, looks at one octet after the other, and copies whatever it likes.

use super::{End, Outcome, Seen};

/// What a decoder is told beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// `1.0`, `1.1`, `1.2`, or nothing as long as none was negotiated.
    pub(crate) version: Option<&'a str>,
    /// Undefined escapes stay, `\r` is known in 1.1, NUL may stand between frames.
    pub(crate) lenient: bool,
    pub(crate) max_header_count: usize,
    pub(crate) max_header_line: usize,
    pub(crate) max_head: usize,
    pub(crate) max_body: usize,
}

pub(crate) fn decode(wire: &[u8], rules: Rules<'_>) -> Outcome {
    let mut version = rules.version.map(str::to_owned);
    let mut seen = Vec::new();
    let mut at = 0;
    let end = loop {
        match wire.get(at) {
            None => break End::BetweenFrames,
            Some(b'\n') => {
                line_end(&mut seen);
                at += 1;
            }
            Some(b'\r') => match wire.get(at + 1) {
                None => break End::BetweenFrames,
                Some(b'\n') => {
                    line_end(&mut seen);
                    at += 2;
                }
                Some(_) => break fail("StrayCarriageReturn", at),
            },
            Some(0) if rules.lenient => at += 1,
            Some(_) => match frame(wire, at, rules, version.as_deref()) {
                Err(end) => break end,
                Ok((command, headers, body, next)) => {
                    if command == "CONNECTED" {
                        match headers.iter().find(|(name, _)| name == "version") {
                            None => version = Some("1.0".to_owned()),
                            Some((_, v)) if ["1.0", "1.1", "1.2"].contains(&v.as_str()) => {
                                version = Some(v.clone());
                            }
                            Some(_) => {}
                        }
                    }
                    seen.push(Seen::Frame { command, headers, body });
                    at = next;
                }
            },
        }
    };
    Outcome { seen, end }
}

type Whole = (String, Vec<(String, String)>, Vec<u8>, usize);

fn frame(wire: &[u8], start: usize, rules: Rules<'_>, version: Option<&str>) -> Result<Whole, End> {
    let (lines, body_start) = head(wire, start, rules)?;
    let length = lines.iter().find_map(|(_, line)| line.strip_prefix(b"content-length:"));
    let body_end = match length {
        Some(digits) => {
            let digits = std::str::from_utf8(digits).expect("checked in head()");
            let end = body_start + digits.parse::<usize>().expect("checked in head()");
            match wire.get(end) {
                None => return Err(End::MidFrame),
                Some(0) => end,
                Some(_) => return Err(fail("BodyNotTerminated", end)),
            }
        }
        None => {
            let mut end = body_start;
            loop {
                match wire.get(end) {
                    Some(0) => break end,
                    _ if end - body_start > rules.max_body => unreachable!("found one octet earlier"),
                    None => return Err(End::MidFrame),
                    Some(_) => end += 1,
                }
                if end - body_start > rules.max_body {
                    let kind = format!("BodyTooLarge {{ limit: {} }}", rules.max_body);
                    return Err(fail(&kind, body_start));
                }
            }
        }
    };
    if let Err(error) = std::str::from_utf8(&wire[start..body_start]) {
        return Err(fail("NotUtf8", start + error.valid_up_to()));
    }
    let command = String::from_utf8(lines[0].1.clone()).expect("checked above");
    let escapes = escapes(&command, version, rules.lenient);
    let mut headers = Vec::new();
    for (line_start, line) in &lines[1..] {
        let colon = line.iter().position(|&octet| octet == b':').expect("checked in head()");
        let name = unescape(&line[..colon], *line_start, escapes)?;
        headers.push((name, unescape(&line[colon + 1..], line_start + colon + 1, escapes)?));
    }
    Ok((command, headers, wire[body_start..body_end].to_vec(), body_end + 1))
}

/// Where a line begins, and the line without its end.
type Lines = Vec<(usize, Vec<u8>)>;

/// The lines before the blank one, and where the body begins.
fn head(wire: &[u8], start: usize, rules: Rules<'_>) -> Result<(Lines, usize), End> {
    let mut lines: Lines = Vec::new();
    let mut line_start = start;
    let mut length_seen = false;
    let mut at = start;
    loop {
        let Some(&octet) = wire.get(at) else { return Err(End::MidFrame) };
        let is_text = octet != b'\n' && octet != 0;
        let in_line = at - line_start;
        if is_text && lines.is_empty() && in_line == "UNSUBSCRIBE".len() + 1 {
            return Err(fail("UnknownCommand", start));
        }
        if is_text && !lines.is_empty() && in_line == rules.max_header_line {
            let kind = format!("HeaderLineTooLong {{ limit: {} }}", rules.max_header_line);
            return Err(fail(&kind, line_start));
        }
        if at - start == rules.max_head {
            return Err(fail(&format!("HeadTooLarge {{ limit: {} }}", rules.max_head), start));
        }
        if octet == 0 {
            return Err(fail("NulInHead", at));
        }
        at += 1;
        if octet != b'\n' {
            continue;
        }
        let mut line = wire[line_start..at - 1].to_vec();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if lines.is_empty() && !COMMANDS.iter().any(|command| command.as_bytes() == line) {
            return Err(fail("UnknownCommand", start));
        }
        if !lines.is_empty() {
            if line.is_empty() {
                return Ok((lines, at));
            }
            if lines.len() > rules.max_header_count {
                let kind = format!("TooManyHeaders {{ limit: {} }}", rules.max_header_count);
                return Err(fail(&kind, line_start));
            }
            match line.iter().position(|&octet| octet == b':') {
                None => return Err(fail("HeaderWithoutColon", line_start)),
                Some(0) => return Err(fail("EmptyHeaderName", line_start)),
                Some(_) => {}
            }
            if let Some(digits) = line.strip_prefix(b"content-length:")
                && !length_seen
            {
                length_seen = true;
                check_length(digits, line_start, rules)?;
            }
        }
        lines.push((line_start, line));
        line_start = at;
    }
}

fn check_length(digits: &[u8], line_start: usize, rules: Rules<'_>) -> Result<(), End> {
    if digits.is_empty() || digits.iter().any(|octet| !octet.is_ascii_digit()) {
        return Err(fail("ContentLength", line_start));
    }
    let number: Option<u64> = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
    match number {
        Some(number) if number <= rules.max_body as u64 => Ok(()),
        _ => Err(fail(&format!("BodyTooLarge {{ limit: {} }}", rules.max_body), line_start)),
    }
}

/// What a backslash means in a frame.
#[derive(Clone, Copy)]
struct Escapes {
    /// Nothing but itself.
    literal: bool,
    /// Whether `\r` is a carriage return.
    carriage_return: bool,
    /// Whether it stays where it begins no escape; otherwise that is an error.
    undefined_stay: bool,
}

fn escapes(command: &str, version: Option<&str>, lenient: bool) -> Escapes {
    Escapes {
        literal: command == "CONNECT" || command == "CONNECTED" || version == Some("1.0"),
        carriage_return: lenient || version != Some("1.1"),
        // An ERROR in answer to CONNECT comes from a server of any version.
        undefined_stay: lenient || (command == "ERROR" && version.is_none()),
    }
}

fn unescape(raw: &[u8], start: usize, escapes: Escapes) -> Result<String, End> {
    let mut plain = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        if raw[at] != b'\\' || escapes.literal {
            plain.push(raw[at]);
            at += 1;
            continue;
        }
        let octet = match raw.get(at + 1) {
            Some(b'n') => b'\n',
            Some(b'c') => b':',
            Some(b'\\') => b'\\',
            Some(b'r') if escapes.carriage_return => b'\r',
            _ if escapes.undefined_stay => {
                plain.push(b'\\');
                at += 1;
                continue;
            }
            _ => return Err(fail("UndefinedEscape", start + at)),
        };
        plain.push(octet);
        at += 2;
    }
    Ok(String::from_utf8(plain).expect("the head was checked, and escapes are ASCII"))
}

fn line_end(seen: &mut Vec<Seen>) {
    if seen.last() != Some(&Seen::LineEnds) {
        seen.push(Seen::LineEnds);
    }
}

fn fail(kind: &str, offset: usize) -> End {
    End::Error { kind: kind.to_owned(), offset: offset as u64 }
}

const COMMANDS: [&str; 15] = [
    "CONNECT",
    "STOMP",
    "SEND",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "ACK",
    "NACK",
    "BEGIN",
    "COMMIT",
    "ABORT",
    "DISCONNECT",
    "CONNECTED",
    "MESSAGE",
    "RECEIPT",
    "ERROR",
];
