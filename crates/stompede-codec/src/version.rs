//! The versions of STOMP.

use core::fmt;
use core::str::FromStr;

/// A version of the specification; later versions compare greater.
#[allow(clippy::exhaustive_enums, reason = "a new version would change the rules of every match on it")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// STOMP 1.0: no escapes, no NACK, no heart-beats.
    V1_0,
    /// STOMP 1.1: escapes for line feed, colon and backslash.
    V1_1,
    /// STOMP 1.2: also escapes carriage return, and lines may end in CR LF.
    #[default]
    V1_2,
}

impl Version {
    /// All versions, the oldest first, as `accept-version` lists them.
    pub const ALL: [Self; 3] = [Self::V1_0, Self::V1_1, Self::V1_2];

    /// The version as the `version` header writes it, such as `1.2`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// What CONNECTED chooses with this `version` header; `None` if it is no version, which is for the session to judge.
    pub(crate) fn chosen(header: Option<&str>) -> Option<Self> {
        header.map_or(Some(Self::V1_0), |text| text.parse().ok())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|version| version.as_str() == text).ok_or(ParseVersionError(()))
    }
}

/// A text is not `1.0`, `1.1` or `1.2`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a STOMP version that is known here; known are 1.0, 1.1 and 1.2")]
pub struct ParseVersionError(());
