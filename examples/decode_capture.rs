//! The frames of a captured byte stream: one direction of a connection, as a packet capture saves it.
//!
//! `cargo run --example decode_capture`, or with a capture of yours:
//! `cargo run --example decode_capture -- FILE [VERSION]`
//!
//! The version is read from CONNECTED. Name it for a client's side, and for what begins in the middle of a session.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use stompede_codec::{Decoder, Item, Limits};

/// A server's side of a short session.
const SESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/session.stomp");

/// A capture may be larger than memory; the decoder is fed as a socket would feed it.
const CHUNK: usize = 16 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().map_or_else(|| SESSION.into(), PathBuf::from);
    let mut decoder = Decoder::new(Limits::default());
    if let Some(version) = arguments.next() {
        decoder.set_version(version.to_string_lossy().parse()?);
    }
    let capture = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    print_frames(capture, decoder)
}

/// Prints what is found, each with the octet at which it begins.
fn print_frames(mut capture: impl Read, mut decoder: Decoder) -> Result<(), Box<dyn Error>> {
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
            if let Item::Frame(frame) = item {
                frames += 1;
                writeln!(out, "{begins:>8}  {frame}")?;
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
