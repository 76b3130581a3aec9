//! How much a peer may make the decoder hold.

/// What a decoder accepts at most; checked while reading, before anything is reserved.
///
/// ```
/// use stompede_codec::Limits;
///
/// let limits = Limits::default().with_max_body(64 * 1024);
/// assert_eq!(limits.max_body, 65_536);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Headers of one frame, repeated ones included.
    ///
    /// Default 1000: what ActiveMQ Classic takes.
    pub max_header_count: usize,
    /// Octets of one header line without its line feed.
    ///
    /// Default 64 KiB: signed tokens and dead-letter reasons with a stack trace fit.
    pub max_header_line: usize,
    /// Octets of the command, the headers and the blank line, line ends included.
    ///
    /// Default 256 KiB: a few long headers and many short ones, far more than brokers send, yet a thousand
    /// connections that each hold an unfinished head stay at 256 MiB.
    pub max_head: usize,
    /// Octets of one body.
    ///
    /// Default 16 MiB: the largest message that RabbitMQ takes by default since 4.0.
    pub max_body: usize,
}

impl Limits {
    /// Sets [`Limits::max_header_count`].
    #[must_use]
    pub const fn with_max_header_count(mut self, count: usize) -> Self {
        self.max_header_count = count;
        self
    }

    /// Sets [`Limits::max_header_line`], in octets.
    #[must_use]
    pub const fn with_max_header_line(mut self, octets: usize) -> Self {
        self.max_header_line = octets;
        self
    }

    /// Sets [`Limits::max_head`], in octets.
    #[must_use]
    pub const fn with_max_head(mut self, octets: usize) -> Self {
        self.max_head = octets;
        self
    }

    /// Sets [`Limits::max_body`], in octets.
    #[must_use]
    pub const fn with_max_body(mut self, octets: usize) -> Self {
        self.max_body = octets;
        self
    }

    /// For octets that are in memory already.
    pub(crate) const NONE: Self = Self {
        max_header_count: usize::MAX,
        max_header_line: usize::MAX,
        max_head: usize::MAX,
        max_body: usize::MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_header_count: 1000,
            max_header_line: 64 * 1024,
            max_head: 256 * 1024,
            max_body: 16 * 1024 * 1024,
        }
    }
}
