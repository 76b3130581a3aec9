//! Reading a stream of frames.

mod fault;
mod head;
mod input;
mod limits;
mod lines;
pub(crate) mod scan;
mod settings;
mod strictness;
mod text;
pub(crate) mod usual;

use core::{fmt, mem};

use bytes::Bytes;

pub use limits::Limits;
pub use strictness::Strictness;

use crate::headers::name;
use crate::{Command, DecodeError, DecodeErrorKind, Frame, FrameRef, Version};
use fault::Fault;
use input::Input;
use scan::{Scanner, Whole};
pub(crate) use settings::Settings;

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
/// A raw `:` in a value, a carriage return within a line, an empty value in 1.0, and a body on any frame are accepted. What else brokers are known to
/// send and the specification forbids is an error, unless it is let pass with [`Strictness::Lenient`].
///
/// # Owned or borrowed
/// [`next`](Decoder::next) returns frames that may be kept, [`next_ref`](Decoder::next_ref) a view that holds until
/// the next call and allocates nothing. Both read the same stream and may be mixed.
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
    settings: Settings,
    scanner: Scanner,
    input: Input,
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

/// What [`Decoder::next_ref`] finds in a stream: as [`Item`], but borrowed.
#[allow(clippy::exhaustive_enums, reason = "a STOMP stream has frames and line ends, nothing else")]
#[derive(Clone, Debug)]
pub enum ItemRef<'a> {
    /// A frame.
    Frame(FrameRef<'a>),
    /// One or more line ends between frames: a heart-beat, or padding, which cannot be told apart.
    HeartBeat,
}

impl Decoder {
    /// A decoder at the beginning of a stream, strict and with no version negotiated.
    pub fn new(limits: Limits) -> Self {
        Self {
            settings: Settings::new(limits, None),
            scanner: Scanner::new(),
            input: Input::default(),
            offset: 0,
            after_cr: false,
            failed: None,
        }
    }

    /// Chooses what is let pass that the specification forbids.
    #[must_use]
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.settings.set_strictness(strictness);
        self
    }

    /// What is accepted at most.
    pub fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// What is let pass that the specification forbids.
    pub fn strictness(&self) -> Strictness {
        self.settings.strictness()
    }

    /// Sets the version whose escapes hold from the next frame on.
    pub fn set_version(&mut self, version: Version) {
        self.settings.set_version(version);
    }

    /// The version in force; `None` until it was set or read from CONNECTED.
    pub fn version(&self) -> Option<Version> {
        self.settings.version()
    }

    /// Adds what was received. After an error it is dropped.
    ///
    /// The limits hold for what [`next`](Decoder::next) reads; chunks that are pushed and not yet read are the caller's
    /// to bound, with [`buffered`](Decoder::buffered).
    pub fn push(&mut self, chunk: Bytes) {
        if self.failed.is_none() && !chunk.is_empty() {
            self.input.release();
            self.input.push(chunk);
        }
    }

    /// Adds what was received in a buffer that the caller uses again: copies it.
    ///
    /// What belongs to a body that is being joined is copied to its place at once, so a large frame is copied
    /// once and not twice.
    pub fn push_slice(&mut self, octets: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.input.release();
        let mut rest = octets;
        if self.input.is_read_up() && self.scanner.in_body() {
            let limits = &self.settings.limits;
            let (part, behind) = octets.split_at(self.scanner.body_alone(octets, limits));
            self.scanner.advance(part.len());
            self.input.join_slice(part, self.scanner.room_ahead(limits));
            rest = behind;
        }
        if !rest.is_empty() {
            self.input.push_copy(rest);
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
        match self.find_usual() {
            Usual::Nothing => self.next_of_any_kind(),
            Usual::LineFeeds(len) => {
                self.pass(len);
                Ok(Some(Item::HeartBeat))
            }
            Usual::Frame(whole, unread) => {
                let (chunk, start) = self.input.chunk();
                let item = match whole.few_lines(unread) {
                    Some(lines) => Item::Frame(whole.frame_of(lines, chunk, start)),
                    None => return self.share(&Whole { ..whole }),
                };
                self.pass(whole.len);
                Ok(Some(item))
            }
        }
    }

    /// As [`next`](Decoder::next), but the frame borrows the octets where they lie.
    ///
    /// It allocates nothing, unless a frame spans chunks. The frame is dropped from the decoder with the next call that
    /// takes `&mut self`.
    ///
    /// ```
    /// use stompede_codec::{Decoder, ItemRef, Limits};
    ///
    /// let mut decoder = Decoder::new(Limits::default());
    /// decoder.push_slice(b"MESSAGE\nsubscription:0\n\nhello\0\n");
    /// while let Some(item) = decoder.next_ref()? {
    ///     if let ItemRef::Frame(frame) = item {
    ///         assert_eq!(frame.header("subscription").as_deref(), Some("0"));
    ///         assert_eq!(frame.body(), b"hello");
    ///     }
    /// }
    /// # Ok::<(), stompede_codec::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// As [`next`](Decoder::next).
    pub fn next_ref(&mut self) -> Result<Option<ItemRef<'_>>, DecodeError> {
        match self.find_usual() {
            Usual::Nothing => self.next_ref_of_any_kind(),
            Usual::LineFeeds(len) => {
                self.pass(len);
                Ok(Some(ItemRef::HeartBeat))
            }
            Usual::Frame(whole, _) => {
                let (_, start) = self.input.chunk();
                self.pass(whole.len);
                let (chunk, _) = self.input.chunk();
                Ok(Some(ItemRef::Frame(FrameRef::from_whole(&whole, &chunk[start..]))))
            }
        }
    }

    /// Octets held that are not part of a frame that was returned.
    pub fn buffered(&self) -> usize {
        self.input.len()
    }

    /// Whether [`next`](Decoder::next) has seen the beginning of a frame and not its end.
    ///
    /// If the stream ends then, a frame was cut off.
    pub fn is_mid_frame(&self) -> bool {
        self.scanner.len() > 0
    }

    /// Looks for what nearly always comes next; nothing, if it is something else.
    #[inline(always)]
    fn find_usual(&self) -> Usual<'_> {
        if self.after_cr || !self.input.joined.is_empty() {
            return Usual::Nothing;
        }
        // After an error nothing is held.
        let unread = self.input.unread();
        if unread.first() == Some(&b'\n') {
            if let Some(len) = line_feeds_before_frame(unread) {
                return Usual::LineFeeds(len);
            }
        } else if let Some(whole) = usual::whole(unread, &self.settings) {
            return Usual::Frame(whole, unread);
        }
        Usual::Nothing
    }

    /// The whole frame at the beginning of the chunk, which it shares.
    #[inline(never)] // On its own, so that the frame is made in the place of the result.
    fn share(&mut self, whole: &Whole) -> Result<Option<Item>, DecodeError> {
        self.pass(whole.len);
        let (chunk, end) = self.input.chunk();
        Ok(Some(Item::Frame(whole.frame(chunk, end - whole.len))))
    }

    /// Goes on behind octets of the chunk.
    #[inline(always)]
    fn pass(&mut self, len: usize) {
        self.input.skip(len);
        self.offset += len as u64;
    }

    #[cold]
    #[inline(never)]
    fn next_of_any_kind(&mut self) -> Result<Option<Item>, DecodeError> {
        match self.find()? {
            Found::Nothing => Ok(None),
            Found::HeartBeat => Ok(Some(Item::HeartBeat)),
            Found::Frame(whole) => Ok(Some(Item::Frame(self.take(whole)))),
        }
    }

    #[cold]
    #[inline(never)]
    fn next_ref_of_any_kind(&mut self) -> Result<Option<ItemRef<'_>>, DecodeError> {
        match self.find()? {
            Found::Nothing => Ok(None),
            Found::HeartBeat => Ok(Some(ItemRef::HeartBeat)),
            Found::Frame(whole) => {
                self.offset += whole.len as u64;
                let frame = FrameRef::from_whole(&whole, self.input.lend(whole.len));
                if whole.command == Command::Connected {
                    self.settings.adopt_version(frame.header(name::VERSION).as_deref());
                }
                Ok(Some(ItemRef::Frame(frame)))
            }
        }
    }

    #[cold]
    fn fail(&mut self, fault: Fault) -> DecodeError {
        let error = fault.at(self.offset);
        self.failed = Some(error.clone());
        self.input = Input::default();
        self.scanner = Scanner::new();
        error
    }

    /// Looks for whatever comes next.
    fn find(&mut self) -> Result<Found, DecodeError> {
        self.input.release();
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.search().map_err(|fault| self.fail(fault)),
        }
    }

    fn search(&mut self) -> Result<Found, Fault> {
        if self.scanner.len() == 0 && self.skip_line_ends()? {
            return Ok(Found::HeartBeat);
        }
        while self.input.fill() {
            let found = if self.input.joined.is_empty() { self.begin()? } else { self.join_on()? };
            if let Some(whole) = found {
                return Ok(Found::Frame(whole));
            }
        }
        Ok(Found::Nothing)
    }

    /// Skips line ends between frames; whether there were any.
    fn skip_line_ends(&mut self) -> Result<bool, Fault> {
        let skips_nul = self.settings.strictness() == Strictness::Lenient;
        let mut found = false;
        while self.input.fill() {
            let mut skipped = 0;
            let mut frame = false;
            for &octet in self.input.unread() {
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
                        self.offset = self.offset + skipped as u64 - 1;
                        return Err(Fault { kind: DecodeErrorKind::StrayCarriageReturn, offset: 0 });
                    }
                    b'\r' => self.after_cr = true,
                    0 if skips_nul => {}
                    _ => {
                        frame = true;
                        break;
                    }
                }
                skipped += 1;
            }
            self.pass(skipped);
            if frame {
                break;
            }
        }
        Ok(found)
    }

    /// Looks for the end of the frame that begins with the chunk; the frame, if it is whole.
    fn begin(&mut self) -> Result<Option<Whole>, Fault> {
        let Self { settings, scanner, input, .. } = self;
        if scanner.scan(input.unread(), settings)? {
            return mem::replace(scanner, Scanner::new()).whole(input.unread()).map(Some);
        }
        input.join(input.unread().len(), scanner.room_ahead(&settings.limits));
        Ok(None)
    }

    /// Looks through what is new of a frame that spans chunks, of which there is some; the frame, if it is whole.
    fn join_on(&mut self) -> Result<Option<Whole>, Fault> {
        let Self { settings, scanner, input, .. } = self;
        if scanner.in_body() {
            let (part, whole) = scanner.body(input.unread(), settings)?;
            input.join(part, scanner.room_ahead(&settings.limits));
            return if whole {
                mem::replace(scanner, Scanner::new()).whole(&input.joined).map(Some)
            } else {
                Ok(None)
            };
        }
        // The end of the head is found in what was joined; the octets behind it go back.
        let before = input.joined.len();
        let step = scanner.head_room(&settings.limits).min(input.unread().len());
        input.try_on(step);
        scanner.head(&input.joined, settings)?;
        input.joined.truncate(scanner.len());
        input.skip(scanner.len() - before);
        Ok(None)
    }

    /// Takes the whole frame at hand out; what follows it stays.
    fn take(&mut self, whole: Whole) -> Frame {
        let frame = self.input.take(&whole);
        self.offset += whole.len as u64;
        if whole.command == Command::Connected {
            self.settings.adopt_version(frame.header(name::VERSION).as_deref());
        }
        frame
    }
}

/// How many line feeds the chunk begins with, if a frame comes behind them in there.
#[inline]
fn line_feeds_before_frame(chunk: &[u8]) -> Option<usize> {
    // Up to seven of them all at once: whether there are one or two cannot be guessed.
    let len = match chunk.first_chunk().map(|octets| u64::from_le_bytes(*octets) ^ LINE_FEEDS) {
        None | Some(0) => chunk.iter().position(|&octet| octet != b'\n')?,
        Some(others) => others.trailing_zeros() as usize / 8,
    };
    (chunk[len] > b'\r').then_some(len)
}

const LINE_FEEDS: u64 = u64::from_le_bytes([b'\n'; 8]);

/// What lies at the beginning of what is unread of a chunk.
enum Usual<'a> {
    Nothing,
    /// So many line feeds, and a frame behind them.
    LineFeeds(usize),
    /// A frame, and what is unread from its beginning on.
    Frame(Whole, &'a [u8]),
}

/// What a search came to.
enum Found {
    Nothing,
    HeartBeat,
    /// The frame at hand is whole.
    Frame(Whole),
}

impl fmt::Debug for Decoder {
    /// Leaves out what is held: it may be a passcode.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("settings", &self.settings)
            .field("offset", &self.offset)
            .field("buffered", &self.buffered())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
