//! Bodies with a type: what a program has, what goes over the wire, and the `content-type` that says which is which.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;

use crate::Message;

/// What went wrong in a [`Body`] of one's own.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A value that can be the body of a message.
///
/// ```
/// use bytes::Bytes;
/// use stompede_session::{Body, BoxError};
///
/// /// A temperature, written as two octets.
/// #[derive(Debug, PartialEq)]
/// struct Celsius(i16);
///
/// impl Body for Celsius {
///     fn content_type(&self) -> &str {
///         "application/vnd.example.celsius"
///     }
///
///     fn write(&self) -> Result<Bytes, BoxError> {
///         Ok(Bytes::copy_from_slice(&self.0.to_be_bytes()))
///     }
///
///     fn reads(content_type: Option<&str>) -> bool {
///         content_type == Some("application/vnd.example.celsius")
///     }
///
///     fn read(_content_type: Option<&str>, body: &Bytes) -> Result<Self, BoxError> {
///         Ok(Self(i16::from_be_bytes(body[..].try_into()?)))
///     }
/// }
///
/// let wire = Celsius(-40).write()?;
/// assert_eq!(Celsius::read(None, &wire)?, Celsius(-40));
/// # Ok::<(), BoxError>(())
/// ```
pub trait Body: Sized {
    /// The `content-type` of a message with this body.
    fn content_type(&self) -> &str;

    /// The body as it goes over the wire.
    ///
    /// # Errors
    /// The value has no such form; the send reports it.
    fn write(&self) -> Result<Bytes, BoxError>;

    /// Whether a body of this `content-type` (`None`: the sender named none) can be read as `Self`.
    fn reads(content_type: Option<&str>) -> bool;

    /// The value that a body stands for.
    ///
    /// # Errors
    /// The body stands for no such value.
    fn read(content_type: Option<&str>, body: &Bytes) -> Result<Self, BoxError>;
}

/// A value whose JSON is the body: `application/json`.
///
/// It reads `application/json`, any type that ends in `+json`, and bodies whose sender named no type.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper: made and taken apart by its one field")]
pub struct Json<T>(pub T);

#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Body for Json<T> {
    fn content_type(&self) -> &str {
        JSON
    }

    fn write(&self) -> Result<Bytes, BoxError> {
        Ok(serde_json::to_vec(&self.0)?.into())
    }

    fn reads(content_type: Option<&str>) -> bool {
        is_json(content_type)
    }

    fn read(_content_type: Option<&str>, body: &Bytes) -> Result<Self, BoxError> {
        Ok(Self(serde_json::from_slice(body)?))
    }
}

#[cfg(feature = "json")]
pub(crate) const JSON: &str = "application/json";

/// Whether a body of this type can be JSON.
#[cfg(feature = "json")]
pub(crate) fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    // Parameters such as charset do not matter: JSON is UTF-8 (RFC 8259).
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == JSON || essence.ends_with("+json")
}

/// A body that could not be read as what was asked for. It keeps the message, which is neither acknowledged nor rejected.
#[derive(Clone)]
pub struct BodyError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    message: Message,
    kind: BodyErrorKind,
    source: Option<std::sync::Arc<dyn StdError + Send + Sync>>,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BodyErrorKind {
    /// The `content-type` says that it is something else.
    ContentType,
    /// It is not what its `content-type` says, or not of the shape that was asked for; the source says where.
    Malformed,
}

impl BodyError {
    pub(crate) fn content_type(message: &Message) -> Self {
        let inner = Inner { message: message.clone(), kind: BodyErrorKind::ContentType, source: None };
        Self(Box::new(inner))
    }

    pub(crate) fn malformed(message: &Message, source: BoxError) -> Self {
        let kind = BodyErrorKind::Malformed;
        Self(Box::new(Inner { message: message.clone(), kind, source: Some(source.into()) }))
    }

    /// Why it could not be read.
    pub fn kind(&self) -> BodyErrorKind {
        self.0.kind
    }

    /// The message, to look at, to acknowledge or to reject.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// The message itself.
    pub fn into_message(self) -> Message {
        self.0.message
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.kind, &self.0.source) {
            (BodyErrorKind::ContentType, _) => {
                let found = self.0.message.header("content-type");
                let found = found.as_deref().unwrap_or("missing");
                write!(f, "the content-type is {found:.100}, which is not what was asked for")
            }
            (BodyErrorKind::Malformed, Some(source)) => write!(f, "the body cannot be read: {source}"),
            (BodyErrorKind::Malformed, None) => f.write_str("the body cannot be read"),
        }
    }
}

impl fmt::Debug for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyError({:?}: {self})", self.0.kind)
    }
}

impl StdError for BodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
