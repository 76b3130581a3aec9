//! Frames as serde data (feature `serde`).
//!
//! The form is a promise, since files outlive the program that wrote them: the crate's documentation describes it,
//! and `tests/serde.rs` pins it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use bytes::Bytes;
use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AckMode, Command, Frame, Headers, Version};

/// `{ "command": "SEND", "headers": [["destination", "/queue/a"]], "body": "hello" }`; see the section on features in the
/// documentation of the crate.
impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut frame = serializer.serialize_struct("Frame", 3)?;
        frame.serialize_field("command", &self.command())?;
        frame.serialize_field("headers", self.headers())?;
        frame.serialize_field("body", &Body(Cow::Borrowed(self.body())))?;
        frame.end()
    }
}

/// Without `headers` or `body` there are none; an unknown field is an error.
impl<'de> Deserialize<'de> for Frame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Frame", deny_unknown_fields)]
        struct Parts {
            command: Command,
            #[serde(default)]
            headers: Headers,
            #[serde(default)]
            body: Body<'static>,
        }
        let Parts { command, headers, body } = Parts::deserialize(deserializer)?;
        Ok(Self::from_parts(command, headers, Bytes::from(body.0.into_owned())))
    }
}

/// A list of pairs of name and value, which keeps the order and repeated names.
impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of pairs of header name and value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Headers, A::Error> {
                let mut headers = Headers::new();
                while let Some((name, value)) = pairs.next_element::<(String, String)>()? {
                    headers.push(name, value);
                }
                Ok(headers)
            }
        }

        deserializer.deserialize_seq(Pairs)
    }
}

/// A body: text where a person reads the format and the octets are UTF-8, octets otherwise.
#[derive(Default)]
struct Body<'a>(Cow<'a, [u8]>);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&self.0);
        }
        match core::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_seq(&*self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Body<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrOctets;

        // Each form is taken from each format: serde's buffer for untagged and flattened types says that it is
        // readable, whatever the format behind it.
        impl<'de> Visitor<'de> for TextOrOctets {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a body as text or as a list of octets")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
                Ok(text.into())
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Vec<u8>, E> {
                Ok(text.into_bytes())
            }

            fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<Vec<u8>, E> {
                Ok(octets.into())
            }

            fn visit_byte_buf<E: de::Error>(self, octets: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(octets)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut octets: A) -> Result<Vec<u8>, A::Error> {
                // What the format announces is not believed beyond a page; it may come from anybody.
                let mut body = Vec::with_capacity(octets.size_hint().unwrap_or(0).min(4096));
                while let Some(octet) = octets.next_element()? {
                    body.push(octet);
                }
                Ok(body)
            }
        }

        let body = if deserializer.is_human_readable() {
            deserializer.deserialize_any(TextOrOctets)
        } else {
            deserializer.deserialize_byte_buf(TextOrOctets)
        };
        body.map(|octets| Self(Cow::Owned(octets)))
    }
}

/// The command as on the wire, such as `"SEND"`.
impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Name::new("a STOMP command in capitals, such as SEND"))
    }
}

/// The version as on the wire, such as `"1.2"`.
impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Name::new("a STOMP version: 1.0, 1.1 or 1.2"))
    }
}

/// The mode as on the wire, such as `"client-individual"`.
impl Serialize for AckMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AckMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Name::new("auto, client or client-individual"))
    }
}

/// Reads what has a name on the wire.
struct Name<T> {
    expected: &'static str,
    of: PhantomData<T>,
}

impl<T> Name<T> {
    fn new(expected: &'static str) -> Self {
        Self { expected, of: PhantomData }
    }
}

impl<T: FromStr> Visitor<'_> for Name<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
