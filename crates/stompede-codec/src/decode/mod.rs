//! Reading a stream of frames.

mod limits;
pub(crate) mod parse;
pub(crate) mod scan;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::{Buf, Bytes};
use bytestring::ByteString;

pub use limits::Limits;

use crate::headers::name;
use crate::{Command, DecodeError, DecodeErrorKind, Frame, Headers, Version};
use scan::{Extent, Scanner};

/// Reads frames from a stream that arrives in chunks of any size.
///
/// Hand over what was received with [`push`](Decoder::push), then call [`next`](Decoder::next) until it returns
/// `Ok(None)`. A frame that lies in one chunk shares it, without a copy; only a frame that spans chunks is joined.
///
/// # Versions
/// Escapes depend on the version that was negotiated. A client has nothing to do: the decoder takes the version
/// from the CONNECTED it reads. A server calls [`set_version`](Decoder::set_version) once it has chosen one.
/// Until then CONNECT and CONNECTED are read literally, as always, ERROR without objecting to any escape, and
/// all else by the rules of 1.2.
///
/// # Leniency
/// A line may end in CR LF in every version, as with most brokers, although 1.0 and 1.1 do not foresee it.
/// A raw `:` in a value, an empty value in 1.0, and a body on any frame are accepted.
///
/// ```
/// use bytes::Bytes;
/// use stompede_codec::{Decoder, Item, Limits};
///
/// let mut decoder = Decoder::new(Limits::default());
/// decoder.push(Bytes::from_static(b"CONNECTED\nversion:1.2\n\n\0\nMESSAGE\nsubscr"));
/// assert!(matches!(decoder.next()?, Some(Item::Frame(_)))); // CONNECTED
/// assert!(matches!(decoder.next()?, Some(Item::HeartBeat)));
/// assert!(decoder.next()?.is_none()); // not yet
///
/// decoder.push(Bytes::from_static(b"iption:0\n\nhello\0"));
/// let Some(Item::Frame(message)) = decoder.next()? else { unreachable!() };
/// assert_eq!(message.header("subscription").as_deref(), Some("0"));
/// # Ok::<(), stompede_codec::DecodeError>(())
/// ```
pub struct Decoder {
    limits: Limits,
    version: Option<Version>,
    scanner: Scanner,
    /// The beginning of a frame whose end is not in here; holds all octets the scanner has seen, or none.
    joined: Vec<u8>,
    /// What is being read.
    chunk: Bytes,
    /// What comes after it.
    waiting: VecDeque<Bytes>,
    waiting_len: usize,
    /// Where the frame at hand begins, or between frames the next octet.
    offset: u64,
    /// A carriage return between frames was read, its line feed not yet.
    after_cr: bool,
    failed: Option<DecodeError>,
}

/// What a decoder finds in a stream.
#[allow(clippy::exhaustive_enums, reason = "a STOMP stream has frames and line ends, nothing else")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// A frame.
    Frame(Frame),
    /// One or more line ends between frames: a heart-beat, or padding, which cannot be told apart.
    HeartBeat,
}

impl Decoder {
    /// A decoder at the beginning of a stream, with no version negotiated.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            version: None,
            scanner: Scanner::default(),
            joined: Vec::new(),
            chunk: Bytes::new(),
            waiting: VecDeque::new(),
            waiting_len: 0,
            offset: 0,
            after_cr: false,
            failed: None,
        }
    }

    /// Sets the version whose escapes hold from the next frame on.
    pub fn set_version(&mut self, version: Version) {
        self.version = Some(version);
    }

    /// The version in force; `None` until it was set or read from CONNECTED.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// Adds what was received. After an error it is dropped.
    ///
    /// The limits hold for what [`next`](Decoder::next) reads; chunks that are pushed and not yet read are the caller's
    /// to bound, with [`buffered`](Decoder::buffered).
    pub fn push(&mut self, chunk: Bytes) {
        if self.failed.is_some() || chunk.is_empty() {
            return;
        }
        if self.chunk.is_empty() && self.waiting.is_empty() {
            self.chunk = chunk;
        } else {
            self.waiting_len += chunk.len();
            self.waiting.push_back(chunk);
        }
    }

    /// The next frame or heart-beat; `None` if more octets are needed.
    ///
    /// Line ends between frames are one [`Item::HeartBeat`] for all that are there, so that a flood of them costs
    /// the caller nothing. The line end that many peers send behind a frame counts as one too.
    ///
    /// # Errors
    /// If the stream breaks the grammar or a limit. There is no next frame to be found then: what was held is
    /// dropped, and every later call returns the same error.
    #[expect(clippy::should_implement_trait, reason = "`None` is not the end, as it would be in an iterator")]
    pub fn next(&mut self) -> Result<Option<Item>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.read().inspect_err(|error| {
            self.failed = Some(error.clone());
            self.joined = Vec::new();
            self.chunk = Bytes::new();
            self.waiting = VecDeque::new();
            self.waiting_len = 0;
        })
    }

    /// Octets held that are not part of a frame that was returned.
    pub fn buffered(&self) -> usize {
        self.joined.len() + self.chunk.len() + self.waiting_len
    }

    /// Whether [`next`](Decoder::next) has seen the beginning of a frame and not its end.
    ///
    /// If the stream ends then, a frame was cut off.
    pub fn is_mid_frame(&self) -> bool {
        self.scanner.len() > 0
    }

    fn read(&mut self) -> Result<Option<Item>, DecodeError> {
        if self.scanner.len() == 0 && self.skip_line_ends()? {
            return Ok(Some(Item::HeartBeat));
        }
        while self.fill() {
            if let Some(extent) = self.scan()? {
                let slab = self.take(extent.len());
                return self.frame(slab, extent).map(Item::Frame).map(Some);
            }
        }
        Ok(None)
    }

    /// Makes sure that there is something unread in the chunk; `false` if there is nothing.
    fn fill(&mut self) -> bool {
        if self.chunk.is_empty()
            && let Some(chunk) = self.waiting.pop_front()
        {
            self.waiting_len -= chunk.len();
            self.chunk = chunk;
        }
        !self.chunk.is_empty()
    }

    /// Skips line ends between frames; whether there were any.
    fn skip_line_ends(&mut self) -> Result<bool, DecodeError> {
        let mut found = false;
        while self.fill() {
            let mut skipped = 0;
            let mut frame = false;
            for &octet in &self.chunk {
                match octet {
                    b'\n' => {
                        self.after_cr = false;
                        found = true;
                    }
                    // The line ends before it come first: how a stream is cut must not decide what is seen.
                    _ if self.after_cr && found => {
                        frame = true;
                        break;
                    }
                    _ if self.after_cr => {
                        let offset = self.offset + skipped as u64 - 1;
                        return Err(DecodeError::new(DecodeErrorKind::StrayCarriageReturn, offset));
                    }
                    b'\r' => self.after_cr = true,
                    _ => {
                        frame = true;
                        break;
                    }
                }
                skipped += 1;
            }
            self.chunk.advance(skipped);
            self.offset += skipped as u64;
            if frame {
                break;
            }
        }
        Ok(found)
    }

    /// Looks through the chunk for the end of the frame; without one, the chunk joins what is there of it.
    fn scan(&mut self) -> Result<Option<Extent>, DecodeError> {
        let start = self.offset;
        let limits = self.limits;
        if self.joined.is_empty() {
            while self.scanner.len() < self.chunk.len() {
                let seen = self.scanner.len();
                let stride =
                    self.scanner.stride(&self.chunk[seen..], &limits).map_err(|fault| fault.at(start))?;
                let seen = &self.chunk[..seen + stride];
                if let Some(extent) = self.scanner.advance(seen, &limits).map_err(|fault| fault.at(start))? {
                    return Ok(Some(extent));
                }
            }
            let chunk = mem::take(&mut self.chunk);
            self.join(&chunk);
            return Ok(None);
        }
        while !self.chunk.is_empty() {
            let stride = self.scanner.stride(&self.chunk, &limits).map_err(|fault| fault.at(start))?;
            let part = self.chunk.split_to(stride);
            self.join(&part);
            if let Some(extent) =
                self.scanner.advance(&self.joined, &limits).map_err(|fault| fault.at(start))?
            {
                return Ok(Some(extent));
            }
        }
        Ok(None)
    }

    /// Copies a part of a frame that spans chunks.
    fn join(&mut self, part: &[u8]) {
        let missing = self.scanner.missing();
        if missing > 0 && self.joined.capacity() - self.joined.len() < part.len() {
            // Exactly, since the length is known: a message that waits must not hold twice its size.
            let ahead = missing.min(self.joined.len().max(RESERVE_AHEAD));
            self.joined.reserve_exact(ahead.max(part.len()));
        }
        self.joined.extend_from_slice(part);
    }

    /// Takes the whole frame out; what follows it stays.
    fn take(&mut self, len: usize) -> Bytes {
        self.scanner = Scanner::default();
        self.offset += len as u64;
        if self.joined.is_empty() { self.chunk.split_to(len) } else { mem::take(&mut self.joined).into() }
    }

    fn frame(&mut self, mut slab: Bytes, extent: Extent) -> Result<Frame, DecodeError> {
        let start = self.offset - extent.len() as u64;
        let head = slab.split_to(extent.head_len);
        slab.truncate(extent.body_len);
        // An empty slice would keep the whole chunk alive for nothing.
        let body = if slab.is_empty() { Bytes::new() } else { slab };
        let head = ByteString::try_from(head).map_err(|error| {
            DecodeError::new(DecodeErrorKind::NotUtf8, start + error.valid_up_to() as u64)
        })?;
        let parsed =
            parse::head(&head, self.version, extent.header_count).map_err(|fault| fault.at(start))?;
        let headers = Headers::shared(head, parsed.index, parsed.escaped);
        if parsed.command == Command::Connected {
            self.adopt_version(&headers);
        }
        Ok(Frame::from_parts(parsed.command, headers, body))
    }

    /// From CONNECTED on the server's choice holds; a text that is no version is for the session to judge.
    fn adopt_version(&mut self, connected: &Headers) {
        match connected.get(name::VERSION) {
            None => self.version = Some(Version::V1_0),
            Some(text) => {
                if let Ok(version) = text.parse() {
                    self.version = Some(version);
                }
            }
        }
    }
}

impl fmt::Debug for Decoder {
    /// Leaves out what is held: it may be a passcode.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("limits", &self.limits)
            .field("version", &self.version)
            .field("offset", &self.offset)
            .field("buffered", &self.buffered())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Octets reserved at most ahead of what has arrived of a body with `content-length`.
///
/// Ordinary messages get their room at once; a peer that announces 16 MiB and sends nothing gets this much.
const RESERVE_AHEAD: usize = 64 * 1024;
