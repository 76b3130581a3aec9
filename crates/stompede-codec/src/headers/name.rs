//! Header names that the codec itself has to know.

/// The versions that a client offers, in CONNECT.
pub(crate) const ACCEPT_VERSION: &str = "accept-version";
/// How many octets the body has.
pub(crate) const CONTENT_LENGTH: &str = "content-length";
/// What the body is: a media type.
#[cfg(feature = "encoding")]
pub(crate) const CONTENT_TYPE: &str = "content-type";
/// The version that a server chose, in CONNECTED.
pub(crate) const VERSION: &str = "version";

/// Parts of header names whose values do not belong in a log.
///
/// Masking too much costs a look at the wire; masking too little leaks a password.
const SECRET_PARTS: [&str; 11] = [
    "passcode",
    "password",
    "passwd",
    "authorization",
    "token",
    "secret",
    "cookie",
    "credential",
    "api-key",
    "api_key",
    "apikey",
];

/// Whether the value of this header is left out of `Debug` and `Display`.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.as_bytes();
    SECRET_PARTS
        .iter()
        .any(|part| name.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes())))
}
