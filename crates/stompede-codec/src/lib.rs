//! The STOMP 1.0, 1.1 and 1.2 wire format: frames, an incremental decoder and an encoder, without I/O.
//!
//! A [`Decoder`] turns what a socket or a WebSocket delivers into [`Frame`]s, whatever the sizes it arrives in; an
//! [`Encoder`] turns frames into octets. Neither knows a clock, a socket or a session: which frames make sense
//! when is the business of the layer above.
//!
//! # Making a frame
//! For each frame there is a constructor that takes what the specification requires; the rest is added. Names and
//! values are plain text, escapes exist only on the wire.
//!
//! ```
//! use stompede_codec::{AckMode, Command, Frame, Version};
//!
//! let connect = Frame::connect("/", &Version::ALL)?.with_header("login", "guest").with_header("passcode", "guest");
//! let subscribe = Frame::subscribe(Version::V1_2, "0", "/queue/a", AckMode::Client)?;
//! let send = Frame::send("/queue/a")?.with_header("content-type", "text/plain").with_body("hello");
//!
//! // By hand, for all that a broker may want besides; `check` says whether it fits a version.
//! let raw = Frame::new(Command::Unsubscribe).with_header("destination", "/queue/a");
//! assert!(raw.check(Version::V1_0).is_ok() && raw.check(Version::V1_2).is_err());
//! assert_eq!(connect.to_string(), r#"CONNECT accept-version="1.0,1.1,1.2" host="/" login="guest" passcode="***""#);
//! # Ok::<(), stompede_codec::FrameError>(())
//! ```
//!
//! # Writing frames
//! ```
//! use bytes::BytesMut;
//! use stompede_codec::{EncodeErrorKind, Encoder, Frame, Version};
//!
//! let encoder = Encoder::new(Version::V1_2);
//! let mut out = BytesMut::new();
//! let frame = Frame::send("/queue/a")?.with_body("hello");
//! encoder.encode(&frame, &mut out)?;
//! assert_eq!(&out[..], b"SEND\ndestination:/queue/a\ncontent-length:5\n\nhello\0");
//!
//! // What a version cannot carry is refused and leaves `out` as it was.
//! let old = Encoder::new(Version::V1_0);
//! let refused = old.encode(&frame.with_header("note", "two\nlines"), &mut out).unwrap_err();
//! assert_eq!(refused.kind(), EncodeErrorKind::LineBreakInHeader);
//! assert_eq!(refused.header(), Some("note"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! A heart-beat is a single line feed, sent between frames.
//!
//! # Reading a stream
//! Push what was received, then ask until there is nothing more. "Not yet" is `Ok(None)`. An error is the end of the
//! stream: nothing tells where the next frame would begin.
//!
//! ```
//! use bytes::Bytes;
//! use stompede_codec::{DecodeError, Decoder, Item, Limits, Version};
//!
//! fn received(decoder: &mut Decoder, chunk: Bytes) -> Result<(), DecodeError> {
//!     decoder.push(chunk);
//!     while let Some(item) = decoder.next()? {
//!         match item {
//!             Item::Frame(frame) => println!("{frame}"),
//!             Item::HeartBeat => println!("the peer is alive"),
//!         }
//!     }
//!     Ok(())
//! }
//!
//! let mut decoder = Decoder::new(Limits::default());
//! received(&mut decoder, Bytes::from_static(b"CONNECTED\nversion:1.1\n\n\0\nMESSAGE\nsub"))?;
//! assert_eq!(decoder.version(), Some(Version::V1_1)); // taken from CONNECTED
//! received(&mut decoder, Bytes::from_static(b"scription:0\n\nhello\0"))?;
//! assert_eq!(decoder.buffered(), 0);
//! # Ok::<(), DecodeError>(())
//! ```
//! When the connection ends, [`Decoder::is_mid_frame`] tells whether a frame was cut off. [`FrameRef`] reads one frame that
//! lies in memory, without copying anything.
//!
//! # Versions
//! A client writes CONNECT with any version, since it looks the same in all; once [`Decoder::version`] is known it writes
//! with that one. A server chooses from `accept-version`, tells its decoder with [`Decoder::set_version`], and writes
//! CONNECTED and all else with it.
//!
//! | | 1.0 | 1.1 | 1.2 |
//! |---|---|---|---|
//! | line feed, `:` and `\` in headers | line feed refused, the others as they are | escaped | escaped |
//! | carriage return in headers | refused | refused | escaped |
//! | undefined escape received | literal text | error | error |
//! | NACK, STOMP | refused when writing | yes | yes |
//! | body on frames other than SEND, MESSAGE, ERROR | yes | refused when writing | refused when writing |
//!
//! CONNECT and CONNECTED are never escaped. NUL in a header is refused everywhere. Reading is more lenient than
//! writing where brokers are known to be sloppy: see [`Decoder`].
//!
//! # Bodies
//! A body is octets. [`Frame::body_text`] views it as UTF-8 and refuses what is not, [`Frame::body_text_lossy`] shows it
//! nevertheless; the feature `encoding` reads and writes other charsets.
//!
//! # Memory
//! A frame that lies in one chunk shares it; only one that spans chunks is copied together. The price is that a
//! small frame with a body or a long head keeps its chunk alive: [`Frame::detach`] what has to wait. [`Limits`] bound
//! what a peer can make the decoder hold; they are checked while reading, before room is made.
//!
//! # Errors and secrets
//! [`FrameError`], [`EncodeError`] and [`DecodeError`] have a kind to match on. None of them shows the value of a header, and
//! `Debug` and `Display` of frames mask passcodes, tokens and the like.
//!
//! # Features
//! All but `std` are off unless asked for, and add their dependency.
//!
//! - `std`, on by default, lets `memchr` detect the processor. Without it the crate needs `alloc` only.
//! - `encoding`: `Frame::decode_text` and `Frame::with_text` for bodies in the charset of their `content-type`. Without it
//!   text is UTF-8: [`Frame::body_text`].
//! - `serde`: `Serialize` and `Deserialize` for [`Frame`], [`Headers`], [`Command`], [`Version`] and [`AckMode`].
//! - `tokio-util`: `StompCodec`, the decoder and the encoder as one codec for `tokio_util::codec::Framed`. Needs `std`.
//!
//! ## The form that serde writes
//! A frame is a structure of `command`, `headers` and `body`, in this order:
//!
//! ```json
//! {"command":"SEND","headers":[["destination","/queue/a"]],"body":"hello"}
//! ```
//! `headers` is a list of pairs, since order and repeated names count; the text is without escapes. `body` is a text
//! if it is UTF-8, otherwise a list of octets such as `[255,0,97]`, so the two cannot be mistaken for each other. A
//! format that is not meant to be read by people, such as postcard or CBOR, always gets octets. When reading,
//! `headers` and `body` may be missing where the format allows it, and an unknown field is an error.
//!
//! Nothing is masked: the passcode of a CONNECT is written as it is. No [`Limits`] hold when reading, and a header that no
//! version can carry is not refused there but by the [`Encoder`].
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod ack_mode;
mod block;
#[cfg(feature = "encoding")]
mod charset;
mod command;
mod construct;
mod decode;
mod encode;
mod error;
mod frame;
mod frame_error;
mod frame_ref;
mod headers;
mod rules;
#[cfg(feature = "serde")]
mod serialize;
mod show;
#[cfg(feature = "tokio-util")]
mod tokio_codec;
mod version;

pub use ack_mode::{AckMode, ParseAckModeError};
#[cfg(feature = "encoding")]
pub use charset::CharsetError;
pub use command::{Command, ParseCommandError};
pub use decode::{Decoder, Item, ItemRef, Limits, Strictness};
pub use encode::{ContentLength, Encoder};
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use frame::Frame;
pub use frame_error::{FrameError, FrameErrorKind};
pub use frame_ref::FrameRef;
pub use headers::{HeaderIter, Headers};
#[cfg(feature = "tokio-util")]
pub use tokio_codec::{CodecError, StompCodec};
pub use version::{ParseVersionError, Version};

/// The code in the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
