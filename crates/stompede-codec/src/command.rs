//! The commands of STOMP.

use core::fmt;
use core::str::FromStr;

use crate::Version;

/// What a frame asks for or reports: the first line of a frame.
///
/// Command names are case sensitive. STOMP 1.0 knows neither [`Command::Nack`] nor [`Command::Stomp`].
#[allow(
    clippy::exhaustive_enums,
    reason = "the specifications name these and no more; matches should be total"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Command {
    /// `CONNECT`: a client opens a session.
    Connect,
    /// `STOMP`: the same as `CONNECT`, since 1.1.
    Stomp,
    /// `SEND`: a client sends a message to a destination.
    Send,
    /// `SUBSCRIBE`: a client asks for the messages of a destination.
    Subscribe,
    /// `UNSUBSCRIBE`: a client ends a subscription.
    Unsubscribe,
    /// `ACK`: a client has consumed a message.
    Ack,
    /// `NACK`: a client has not consumed a message, since 1.1.
    Nack,
    /// `BEGIN`: a client starts a transaction.
    Begin,
    /// `COMMIT`: a client carries a transaction out.
    Commit,
    /// `ABORT`: a client rolls a transaction back.
    Abort,
    /// `DISCONNECT`: a client ends its session.
    Disconnect,
    /// `CONNECTED`: a server accepts a session.
    Connected,
    /// `MESSAGE`: a server delivers a message.
    Message,
    /// `RECEIPT`: a server has processed a frame.
    Receipt,
    /// `ERROR`: a server reports a failure and ends the session.
    Error,
}

impl Command {
    /// Reads a command line without its line end; `None` if no specification knows it.
    ///
    /// ```
    /// use stompede_codec::Command;
    ///
    /// assert_eq!(Command::parse(b"SEND"), Some(Command::Send));
    /// assert_eq!(Command::parse(b"send"), None);
    /// ```
    pub fn parse(line: &[u8]) -> Option<Self> {
        Some(match line {
            b"CONNECT" => Self::Connect,
            b"STOMP" => Self::Stomp,
            b"SEND" => Self::Send,
            b"SUBSCRIBE" => Self::Subscribe,
            b"UNSUBSCRIBE" => Self::Unsubscribe,
            b"ACK" => Self::Ack,
            b"NACK" => Self::Nack,
            b"BEGIN" => Self::Begin,
            b"COMMIT" => Self::Commit,
            b"ABORT" => Self::Abort,
            b"DISCONNECT" => Self::Disconnect,
            b"CONNECTED" => Self::Connected,
            b"MESSAGE" => Self::Message,
            b"RECEIPT" => Self::Receipt,
            b"ERROR" => Self::Error,
            _ => return None,
        })
    }

    /// The command whose line, ended by a line feed alone, begins a frame, and the octets it takes; for those of up to
    /// seven letters, which is all that come often.
    #[inline]
    pub(crate) fn at_start(frame: &[u8]) -> Option<(Self, usize)> {
        let first = u64::from_le_bytes(*frame.first_chunk()?);
        let line = &SHORT_LINES[ShortLine::slot(first)];
        (first & line.mask == line.octets).then_some((line.command, usize::from(line.len)))
    }

    /// The command as it stands on the wire.
    #[inline]
    pub const fn as_str(self) -> &'static str {
        let (name, _) = self.line_text().split_at(self.line_text().len() - 1);
        name
    }

    /// The command line as it stands on the wire, with its line feed.
    pub(crate) const fn line(self) -> &'static [u8] {
        self.line_text().as_bytes()
    }

    const fn line_text(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT\n",
            Self::Stomp => "STOMP\n",
            Self::Send => "SEND\n",
            Self::Subscribe => "SUBSCRIBE\n",
            Self::Unsubscribe => "UNSUBSCRIBE\n",
            Self::Ack => "ACK\n",
            Self::Nack => "NACK\n",
            Self::Begin => "BEGIN\n",
            Self::Commit => "COMMIT\n",
            Self::Abort => "ABORT\n",
            Self::Disconnect => "DISCONNECT\n",
            Self::Connected => "CONNECTED\n",
            Self::Message => "MESSAGE\n",
            Self::Receipt => "RECEIPT\n",
            Self::Error => "ERROR\n",
        }
    }

    /// Whether the version has this command.
    pub(crate) const fn exists_in(self, version: Version) -> bool {
        !matches!((self, version), (Self::Nack | Self::Stomp, Version::V1_0))
    }

    /// Whether STOMP 1.1 and 1.2 allow this frame a body.
    pub(crate) const fn may_have_body(self) -> bool {
        matches!(self, Self::Send | Self::Message | Self::Error)
    }
}

/// A command line of up to eight octets, as a number that the first octets of a frame are compared with.
#[derive(Clone, Copy)]
struct ShortLine {
    octets: u64,
    mask: u64,
    len: u8,
    command: Command,
}

impl ShortLine {
    /// Nothing is equal to this.
    const NONE: Self = Self { octets: 1, mask: 0, len: 0, command: Command::Error };

    const fn new(command: Command) -> Self {
        let line = command.line();
        let mut octets = 0;
        let mut at = 0;
        while at < line.len() {
            octets |= (line[at] as u64) << (8 * at);
            at += 1;
        }
        Self { octets, mask: u64::MAX >> (64 - 8 * line.len()), len: line.len() as u8, command }
    }

    /// The place in [`SHORT_LINES`] for a line that begins with these octets: no two have the same.
    const fn slot(first: u64) -> usize {
        (first as u32).wrapping_mul(SPREAD) as usize >> 28
    }
}

/// Found by trying; that it tells all lines apart is checked where they are put into their places.
const SPREAD: u32 = 303;

/// The command lines of up to eight octets, each in its place: to look there is one step, while comparing with one after the
/// other would be many, and at each of them the processor would have to guess.
static SHORT_LINES: [ShortLine; 16] = {
    let commands = [
        Command::Connect,
        Command::Stomp,
        Command::Send,
        Command::Ack,
        Command::Nack,
        Command::Begin,
        Command::Commit,
        Command::Abort,
        Command::Message,
        Command::Receipt,
        Command::Error,
    ];
    let mut lines = [ShortLine::NONE; 16];
    let mut at = 0;
    while at < commands.len() {
        let line = ShortLine::new(commands[at]);
        let slot = ShortLine::slot(line.octets);
        assert!(lines[slot].len == 0, "two lines have the same place");
        lines[slot] = line;
        at += 1;
    }
    lines
};

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Command {
    type Err = ParseCommandError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes()).ok_or(ParseCommandError(()))
    }
}

/// A text is not the name of a STOMP command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a STOMP command; commands are written in capitals, such as SEND")]
pub struct ParseCommandError(());

#[cfg(test)]
mod tests {
    use super::{Command, SHORT_LINES};

    #[test]
    fn a_short_command_line_is_known_to_the_letter() {
        assert_eq!(SHORT_LINES.iter().filter(|line| line.len > 0).count(), 11);
        for line in SHORT_LINES.iter().filter(|line| line.len > 0) {
            let found = Some((line.command, usize::from(line.len)));
            let whole = [line.command.as_str().as_bytes(), b"\n\n\0......"].concat();
            assert_eq!(Command::at_start(&whole), found);
            for at in 0..usize::from(line.len) {
                let mut other = whole.clone();
                other[at] ^= 0x20;
                assert_eq!(Command::at_start(&other), None, "{}", other.escape_ascii());
            }
        }
        assert_eq!(Command::at_start(b"MESSAGE"), None);
        assert_eq!(Command::at_start(b"CONNECTED\n\n\0"), None);
        assert_eq!(Command::at_start(b"SUBSCRIBE\n\n\0"), None);
    }
}
