//! What decides how octets are taken.

use super::{Limits, Strictness};
use crate::headers::escape::Rules;
use crate::{Command, Version};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    version: Option<Version>,
    strictness: Strictness,
    /// The escapes of all frames but those that establish a session.
    usual: Rules,
    /// No line that ends before this octet of its frame goes past a limit.
    pub(crate) plain_until: usize,
}

impl Settings {
    pub(crate) fn new(limits: Limits, version: Option<Version>) -> Self {
        let plain_until = limits.max_header_line.min(limits.max_head);
        let strictness = Strictness::Strict;
        let usual = Rules::for_reading(Command::Message, version, strictness);
        Self { limits, version, strictness, usual, plain_until }
    }

    pub(crate) fn set_version(&mut self, version: Version) {
        self.version = Some(version);
        self.usual = Rules::for_reading(Command::Message, self.version, self.strictness);
    }

    /// From CONNECTED on the server's choice holds.
    pub(crate) fn adopt_version(&mut self, header: Option<&str>) {
        if let Some(version) = Version::chosen(header) {
            self.set_version(version);
        }
    }

    pub(crate) fn set_strictness(&mut self, strictness: Strictness) {
        self.strictness = strictness;
        self.usual = Rules::for_reading(Command::Message, self.version, self.strictness);
    }

    pub(crate) fn version(&self) -> Option<Version> {
        self.version
    }

    pub(crate) fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// The escapes of a frame.
    #[inline]
    pub(crate) fn rules(&self, command: Command) -> Rules {
        match command {
            Command::Connect | Command::Connected | Command::Error => {
                Rules::for_reading(command, self.version, self.strictness)
            }
            _ => self.usual,
        }
    }
}
