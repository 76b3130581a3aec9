//! The rules of the specifications that a codec has to keep, one by one, for the frames of clients and of servers.
//!
//! What the specification leaves to an implementation (limits, memory, chunks) is in the tests beside this one.

#[path = "../common/mod.rs"]
mod common;

mod bodies;
mod escapes;
mod frames;
mod leniency;
mod repeats;

use bytes::BytesMut;
use stompede_codec::{Command, EncodeErrorKind, Encoder, Frame, Version};

/// What may be in force while reading: nothing yet, or a version.
const VERSIONS: [Option<Version>; 4] = [None, Some(Version::V1_0), Some(Version::V1_1), Some(Version::V1_2)];

/// Every command of both directions under everything that may be in force.
fn readings() -> impl Iterator<Item = (Command, Option<Version>)> {
    common::commands().flat_map(|command| VERSIONS.map(|version| (command, version)))
}

/// Every command of both directions in every version that has it.
fn writings() -> impl Iterator<Item = (Command, Version)> {
    let all = common::commands().flat_map(|command| Version::ALL.map(|version| (command, version)));
    all.filter(|&(command, version)| version > Version::V1_0 || !is_new_in_1_1(command))
}

fn is_new_in_1_1(command: Command) -> bool {
    matches!(command, Command::Nack | Command::Stomp)
}

/// Whether nothing is ever escaped in this frame.
fn is_literal(command: Command, version: Option<Version>) -> bool {
    matches!(command, Command::Connect | Command::Connected) || version == Some(Version::V1_0)
}

/// The frame as it stands on the wire, with LF and NUL as they are.
fn written(frame: &Frame, version: Version) -> Result<Vec<u8>, EncodeErrorKind> {
    let mut out = BytesMut::new();
    Encoder::new(version).encode(frame, &mut out).map_err(|error| error.kind())?;
    Ok(out.to_vec())
}
