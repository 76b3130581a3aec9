//! What both sides of a script have said.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use stompede_codec::{Decoder, Item, Limits, Version};

use super::Came;

#[derive(Debug)]
pub(super) struct Transcript {
    lines: VecDeque<String>,
    left_out: usize,
    /// Reads what we say, to show it as frames too; `None` once that is not STOMP any more.
    reader: Option<Decoder>,
}

impl Transcript {
    pub(super) fn set_version(&mut self, version: Version) {
        if let Some(reader) = &mut self.reader {
            reader.set_version(version);
        }
    }

    pub(super) fn said(&mut self, wire: &Bytes) {
        let Some(reader) = &mut self.reader else { return self.add(format!("> {}", shown(wire))) };
        reader.push(wire.clone());
        let mut items = Vec::new();
        let whole = loop {
            match reader.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break !reader.is_mid_frame(),
                Err(_) => break false,
            }
        };
        for item in items {
            match item {
                Item::Frame(frame) => self.add(format!("> {frame}")),
                Item::HeartBeat => self.add("> (heart-beat)".to_owned()),
            }
        }
        if !whole {
            // Half a frame, or what is none: from here on, bytes are shown as they are.
            self.reader = None;
            self.add(format!("> {}", shown(wire)));
        }
    }

    pub(super) fn heard(&mut self, came: &Came) {
        self.add(match came {
            Came::Frame(frame) => format!("< {frame}"),
            Came::HeartBeat => "< (heart-beat)".to_owned(),
            Came::End => "< (end)".to_owned(),
            Came::Garbage(error) => format!("< (not STOMP: {error})"),
            Came::Nothing => return,
        });
    }

    fn add(&mut self, line: String) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
            self.left_out += 1;
        }
        self.lines.push_back(line);
    }
}

impl Default for Transcript {
    fn default() -> Self {
        Self { lines: VecDeque::new(), left_out: 0, reader: Some(Decoder::new(Limits::default())) }
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.left_out > 0 {
            writeln!(f, "  ({} earlier)", self.left_out)?;
        }
        if self.lines.is_empty() {
            writeln!(f, "  (nothing)")?;
        }
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Bytes, the beginning of them.
fn shown(wire: &[u8]) -> String {
    let cut = if wire.len() > SHOWN { "…" } else { "" };
    format!("\"{}\"{cut} ({} bytes)", wire[..wire.len().min(SHOWN)].escape_ascii(), wire.len())
}

/// What is remembered: more than anybody reads of a failure.
const LINES: usize = 100;

/// Bytes of what is no frame that are shown.
const SHOWN: usize = 200;
