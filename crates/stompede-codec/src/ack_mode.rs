//! How messages are acknowledged.

use core::fmt;
use core::str::FromStr;

/// How messages of a subscription are acknowledged (section SUBSCRIBE, header `ack`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "the specification names three and no more")]
pub enum AckMode {
    /// `auto`: the server regards a message as consumed once it is sent. A message may be lost with the connection.
    #[default]
    Auto,
    /// `client`: an ACK covers the message and, since 1.1, all earlier ones of the subscription.
    Client,
    /// `client-individual`: an ACK covers one message. Not in 1.0.
    ClientIndividual,
}

impl AckMode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Client, Self::ClientIndividual];

    /// The mode as the `ack` header writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Client => "client",
            Self::ClientIndividual => "client-individual",
        }
    }
}

impl fmt::Display for AckMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AckMode {
    type Err = ParseAckModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(ParseAckModeError(()))
    }
}

/// A text is not `auto`, `client` or `client-individual`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an acknowledgement mode; there are auto, client and client-individual")]
pub struct ParseAckModeError(());
