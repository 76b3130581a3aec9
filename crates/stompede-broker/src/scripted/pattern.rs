//! What a script expects of a frame.

use std::fmt;

use stompede_codec::Frame;

/// A frame as a test writes it: the command, some headers, perhaps a body.
#[derive(Debug)]
pub(super) struct Pattern<'a> {
    command: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: Option<&'a str>,
}

impl<'a> Pattern<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (head, body) = match text.split_once("\n\n") {
            Some((head, body)) => (head, Some(body).filter(|body| !body.is_empty())),
            None => (text, None),
        };
        let mut lines = head.lines();
        let command = lines.next().unwrap_or_default();
        // A line without a colon is a name whose value may be anything.
        let headers = lines.map(|line| line.split_once(':').unwrap_or((line, ANY))).collect();
        Self { command, headers, body }
    }

    pub(super) fn fits(&self, frame: &Frame) -> bool {
        let has = |(name, value): &(&str, &str)| {
            frame.header(name).is_some_and(|found| *value == ANY || found == *value)
        };
        frame.command().as_str() == self.command
            && self.headers.iter().all(has)
            && self.body.is_none_or(|body| frame.body() == body.as_bytes())
    }
}

impl fmt::Display for Pattern<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command)?;
        for (name, value) in &self.headers {
            match *value {
                ANY => write!(f, " {name}=*")?,
                value => write!(f, " {name}={value:?}")?,
            }
        }
        self.body.map_or(Ok(()), |body| write!(f, " body={body:?}"))
    }
}

/// Any value.
const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use stompede_codec::Command;

    use super::*;

    #[test]
    fn a_pattern_fits_what_has_at_least_that() {
        let frame =
            Frame::new(Command::Send).with_header("a", "1").with_header("b", "x:y").with_body("line\n\nline");
        for pattern in
            ["SEND", "SEND\na:1", "SEND\nb:x:y\na:*", "SEND\na", "SEND\n\nline\n\nline", "SEND\na:1\n\n"]
        {
            assert!(Pattern::parse(pattern).fits(&frame), "{pattern:?}");
        }
        for pattern in ["", "send", "MESSAGE", "SEND\na:2", "SEND\nc:*", "SEND\n\nline", "SEND\nb:x"] {
            assert!(!Pattern::parse(pattern).fits(&frame), "{pattern:?}");
        }
    }
}
