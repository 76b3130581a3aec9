//! What a decoder lets pass of brokers that are known to err.

/// How a decoder takes what the specification forbids and some brokers send nevertheless.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Strictness {
    /// As the specification has it: an undefined escape is a fatal error, and nothing but line ends may stand between
    /// frames.
    #[default]
    Strict,
    /// Lets exactly three things pass, and nothing else:
    ///
    /// - An undefined escape, such as `\t`, stays in the text as it is, backslash included; so does a backslash at
    ///   the end. ActiveMQ Classic keeps and sends such text.
    /// - `\r` is a carriage return in 1.1 too. RabbitMQ writes it in every version.
    /// - NUL octets between frames are skipped; they are no heart-beat.
    ///
    /// What is read literally stays so: 1.0, and CONNECT and CONNECTED in every version.
    Lenient,
}
