//! A program without the standard library that reads and writes frames.
//!
//! It has a panic handler of its own. The standard library has one too, and there can be only one: as soon as any crate
//! below links `std`, this one does not compile (E0152).
#![no_std]
#![forbid(unsafe_code)]

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use stompede_codec::{
    CharsetError, DecodeError, Decoder, EncodeError, Encoder, Frame, Item, Limits, Version,
};

#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The frames of a chunk that are whole.
pub fn read(chunk: Bytes, mut each: impl FnMut(Frame)) -> Result<(), DecodeError> {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(chunk);
    while let Some(item) = decoder.next()? {
        if let Item::Frame(frame) = item {
            each(frame);
        }
    }
    Ok(())
}

/// A frame on the wire.
pub fn write(frame: &Frame, out: &mut BytesMut) -> Result<(), EncodeError> {
    Encoder::new(Version::V1_2).encode(frame, out)
}

/// What the features `encoding` and `serde` are for.
pub fn text(frame: &Frame) -> Result<impl Serialize, CharsetError> {
    frame.decode_text()
}

/// Errors are errors without the standard library, too.
pub fn cause(error: &DecodeError) -> &dyn core::error::Error {
    error
}
