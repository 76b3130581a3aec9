//! What a contender found in a stream.

/// Counts that every contender must agree on, so that nobody is quick by looking away.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    /// Octets of all commands.
    pub(crate) commands: u64,
    pub(crate) headers: u64,
    /// Octets of all bodies.
    pub(crate) body: u64,
    /// The last octets of all bodies, added up: who takes the wrong slice has the wrong sum.
    pub(crate) mark: u64,
}

impl Tally {
    /// Counts one frame.
    #[inline]
    pub(crate) fn frame(&mut self, command: &[u8], headers: usize, body: &[u8]) {
        self.frames += 1;
        self.commands += command.len() as u64;
        self.headers += headers as u64;
        self.body += body.len() as u64;
        self.mark += body.last().map_or(0, |&octet| u64::from(octet));
    }
}
