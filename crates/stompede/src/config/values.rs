//! Values as they are written in a file: secrets, times, versions.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::{Error, Version};

/// A text that may be secret: as it is, or where it stands.
///
/// It is read when [`ClientConfig::builder`](super::ClientConfig::builder) is called. A line end at the end of a file is not part of it.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Secret {
    /// The text itself.
    Plain(String),
    /// `{ "env": "NAME" }`: the value of an environment variable.
    Env(FromEnv),
    /// `{ "file": "/run/secrets/passcode" }`: the content of a file.
    File(FromFile),
}

/// The name of an environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a name and nothing else")]
pub struct FromEnv {
    /// The name.
    pub env: String,
}

/// The path of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a path and nothing else")]
pub struct FromFile {
    /// The path.
    pub file: PathBuf,
}

/// A time such as `"500ms"`, `"10s"`, `"2m"` or `"1h"`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper: made and taken apart by its one field")]
pub struct Span(pub Duration);

/// A STOMP version such as `"1.2"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper: made and taken apart by its one field")]
pub struct VersionText(pub Version);

impl Secret {
    pub(super) fn read(&self, setting: &str) -> Result<String, Error> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Env(FromEnv { env }) => std::env::var(env).map_err(|error| {
                let what = match error {
                    std::env::VarError::NotPresent => "is not set",
                    std::env::VarError::NotUnicode(_) => "is not UTF-8",
                };
                Error::invalid(format!("{setting}: the environment variable {env} {what}"))
            }),
            Self::File(FromFile { file }) => match std::fs::read_to_string(file) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => {
                    Err(Error::invalid(format!("{setting}: cannot read {}: {error}", file.display())))
                }
            },
        }
    }
}

/// Never the text.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("***"),
            Self::Env(from) => from.fmt(f),
            Self::File(from) => from.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time with its unit, such as \"500ms\", \"10s\", \"2m\" or \"1h\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
        parse(text).map(Span).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim_start() {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

impl<'de> Deserialize<'de> for VersionText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            D::Error::invalid_value(Unexpected::Str(&text), &"a STOMP version: \"1.0\", \"1.1\" or \"1.2\"")
        })
    }
}
