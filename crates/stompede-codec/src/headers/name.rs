//! Header names that the codec itself has to know.

/// The versions that a client offers, in CONNECT.
pub(crate) const ACCEPT_VERSION: &str = "accept-version";
/// How many octets the body has.
pub(crate) const CONTENT_LENGTH: &str = CONTENT_LENGTH_COLON.split_at(CONTENT_LENGTH_COLON.len() - 1).0;
/// The same as a line has it, in front of the value.
pub(crate) const CONTENT_LENGTH_COLON: &str = "content-length:";
/// What the body is: a media type.
#[cfg(feature = "encoding")]
pub(crate) const CONTENT_TYPE: &str = "content-type";
/// The version that a server chose, in CONNECTED.
pub(crate) const VERSION: &str = "version";

/// Parts of header names whose values do not belong in a log, without what separates words.
///
/// Masking too much costs a look at the wire; masking too little leaks a password.
const SECRET_PARTS: [&str; 13] = [
    "passcode",
    "password",
    "passwd",
    "passphrase",
    "authorization",
    "bearer",
    "token",
    "secret",
    "cookie",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
];

/// Words that say the same, but stand in harmless names as well, such as `author` and `bypass`.
const SECRET_WORDS: [&str; 4] = ["auth", "jwt", "pass", "pwd"];

/// Whether the value of this header is left out of `Debug` and `Display`.
pub(crate) fn is_secret(name: &str) -> bool {
    let is_word = |text: &str| SECRET_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    name.split(is_separator).any(is_word) || SECRET_PARTS.iter().any(|part| contains(name, part))
}

/// Whether a value is a credential, whatever it is called: `Bearer` or `Basic` and what follows, as in HTTP.
pub(crate) fn is_credential(value: &str) -> bool {
    let scheme = value.trim_start().split_once(' ').map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic")
}

/// Whether `part` stands in `name`, whatever the case and however its words are separated.
fn contains(name: &str, part: &str) -> bool {
    let begins = |from: usize| {
        let mut letters = name.as_bytes()[from..].iter().filter(|&&octet| !is_separator(octet.into()));
        part.bytes().all(|octet| letters.next().is_some_and(|letter| letter.eq_ignore_ascii_case(&octet)))
    };
    // Not at a separator: a peer's name may be nothing but separators, and each beginning would go through all of them.
    (0..name.len()).any(|from| !is_separator(name.as_bytes()[from].into()) && begins(from))
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | ' ')
}
