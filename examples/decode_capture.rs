//! The frames of a captured byte stream: one direction of a connection, as a packet capture saves it.
//!
//! `cargo run --example decode_capture`, or with a capture of yours:
//! `cargo run --example decode_capture -- FILE [VERSION]`
//!
//! The version is read from CONNECTED. Name it for a client's side, and for what begins in the middle of a session.
//! The exit code is 1 if the capture cannot be read or breaks off inside a frame, and 2 if the arguments are wrong.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use stompede_codec::{Decoder, Item, Limits, Version};

/// A server's side of a short session.
const SESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/session.stomp");

/// A capture may be larger than memory; the decoder is fed as a socket would feed it.
const CHUNK: usize = 16 * 1024;

fn main() -> ExitCode {
    let (path, version) = match arguments(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("decode_capture: {error}\nusage: decode_capture [FILE [VERSION]]");
            return ExitCode::from(2);
        }
    };
    let decoded = File::open(&path).map_err(Into::into).and_then(|file| decode(file, version));
    if let Err(error) = decoded {
        eprintln!("decode_capture: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn arguments(
    mut given: impl Iterator<Item = OsString>,
) -> Result<(PathBuf, Option<Version>), Box<dyn Error>> {
    let path = given.next().map_or_else(|| SESSION.into(), PathBuf::from);
    let version = given.next().map(|text| text.to_string_lossy().parse()).transpose()?;
    match given.next() {
        Some(_) => Err("too many arguments".into()),
        None => Ok((path, version)),
    }
}

/// Prints what is found, each with the octet at which it begins.
fn decode(mut capture: impl Read, version: Option<Version>) -> Result<(), Box<dyn Error>> {
    let mut decoder = Decoder::new(Limits::default());
    if let Some(version) = version {
        decoder.set_version(version);
    }
    let mut out = io::stdout().lock();
    let (mut received, mut begins, mut frames) = (0_u64, 0, 0);
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        received += capture.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)? as u64;
        if chunk.is_empty() {
            break;
        }
        decoder.push(chunk.into());
        while let Some(item) = decoder.next()? {
            match item {
                Item::Frame(frame) => {
                    frames += 1;
                    writeln!(out, "{begins:>8}  {frame}")?;
                }
                Item::HeartBeat => writeln!(out, "{begins:>8}  (line ends)")?,
            }
            // What is not held any longer belongs to what was found so far.
            begins = received - decoder.buffered() as u64;
        }
    }
    if decoder.is_mid_frame() {
        return Err(format!("ends inside the frame that begins at octet {begins}").into());
    }
    let version = decoder.version().map_or("unknown".to_owned(), |version| version.to_string());
    writeln!(out, "{received} octets, {frames} frames, version {version}")?;
    Ok(())
}
