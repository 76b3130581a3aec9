//! A filter for captures that are to be shown to somebody: frames pass, passcodes and the words of bodies do not, and
//! everything comes out in the version of the reader. `codec-consumer FILE` filters; without a file it checks itself. Exits
//! with 0 if all of it went well.

use std::error::Error;
use std::io::Write;

use bytes::BytesMut;
use stompede_codec::{Command, Decoder, Encoder, Frame, Item, Limits, Version};

/// Rewrites one direction of a connection, in pieces of any size.
struct Filter {
    decoder: Decoder,
    encoder: Encoder,
    frames: usize,
    beats: usize,
}

impl Filter {
    fn new(from: Version, to: Version) -> Self {
        let mut decoder = Decoder::new(Limits::default());
        decoder.set_version(from);
        Self { decoder, encoder: Encoder::new(to), frames: 0, beats: 0 }
    }

    fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), Box<dyn Error>> {
        self.decoder.push_slice(piece);
        while let Some(item) = self.decoder.next()? {
            match item {
                Item::Frame(frame) => {
                    self.frames += 1;
                    self.encoder.encode(&shown(frame), out)?;
                }
                Item::HeartBeat => {
                    self.beats += 1;
                    out.extend_from_slice(b"\n");
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(usize, usize), Box<dyn Error>> {
        if self.decoder.is_mid_frame() {
            return Err("the capture breaks off inside a frame".into());
        }
        Ok((self.frames, self.beats))
    }
}

/// The same frame without what is nobody's business.
fn shown(frame: Frame) -> Frame {
    let (command, headers, body) = frame.into_parts();
    let mut shown = Frame::new(command);
    for (name, value) in &headers {
        match &*name {
            // It would not be true any more.
            "content-length" => {}
            "passcode" | "authorization" => shown.headers_mut().push(name, "***"),
            _ => shown.headers_mut().push(name, value),
        }
    }
    if !body.is_empty() {
        shown.set_body(format!("({} octets)", body.len()));
    }
    shown
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(path) = std::env::args_os().nth(1) else { return check() };
    let input = std::fs::read(path)?;
    let (mut filter, mut out) = (Filter::new(Version::V1_2, Version::V1_2), BytesMut::new());
    filter.push(&input, &mut out)?;
    let (frames, beats) = filter.finish()?;
    std::io::stdout().write_all(&out)?;
    eprintln!("{frames} frames, {beats} heart-beats");
    Ok(())
}

/// A capture of our own, in pieces of every size.
fn check() -> Result<(), Box<dyn Error>> {
    let every_octet: Vec<u8> = (0..=255).collect();
    let (mut capture, writer) = (BytesMut::new(), Encoder::new(Version::V1_2));
    let connect =
        Frame::connect("/", &Version::ALL)?.with_header("login", "me").with_header("passcode", "s3cret");
    writer.encode(&connect, &mut capture)?;
    capture.extend_from_slice(b"\n\r\n");
    let send = Frame::new(Command::Send)
        .with_header("destination", "/queue/a:b")
        .with_header("note", "two\nlines")
        .with_body(every_octet);
    writer.encode(&send, &mut capture)?;

    for size in 1..=capture.len() {
        let (mut filter, mut out) = (Filter::new(Version::V1_2, Version::V1_1), BytesMut::new());
        for piece in capture.chunks(size) {
            filter.push(piece, &mut out)?;
        }
        let (frames, beats) = filter.finish()?;
        assert_eq!((frames, beats > 0), (2, true), "in pieces of {size}");
        assert!(!out.windows(6).any(|octets| octets == b"s3cret"));

        let mut reader = Decoder::new(Limits::default());
        reader.set_version(Version::V1_1);
        reader.push(out.freeze());
        let mut found = Vec::new();
        while let Some(item) = reader.next()? {
            if let Item::Frame(frame) = item {
                found.push(frame);
            }
        }
        assert_eq!(found[0].header("passcode").as_deref(), Some("***"));
        assert_eq!(found[1].header("destination").as_deref(), Some("/queue/a:b"));
        assert_eq!(found[1].header("note").as_deref(), Some("two\nlines"));
        assert_eq!(found[1].body_text(), Ok("(256 octets)"));
    }

    // What cannot be shown in the reader's version is an error, and nothing is written of it.
    let (mut filter, mut out) = (Filter::new(Version::V1_2, Version::V1_0), BytesMut::new());
    let error = filter.push(&capture, &mut out).err().ok_or("1.0 has no escapes")?;
    assert!(error.to_string().contains("note"), "{error}");
    println!("{} octets in pieces of every size: nothing lost, nothing told", capture.len());
    Ok(())
}
