//! What each frame must have and must not have: the specification's tables, for constructors and for what was received.

use alloc::borrow::Cow;

use crate::headers::name;
use crate::{AckMode, Command, Frame, FrameError, FrameErrorKind, Version};

use Form::{Ack, Any, HeartBeat, NotEmpty, ThisVersion, Versions};
use Need::{Either, Forbidden, Ignored, Optional, Required};

impl Frame {
    /// Checks the frame against the rules of a version: whether the command exists, required headers are there and
    /// forbidden ones are not, values have the form that the specification gives them, and a body is
    /// allowed.
    ///
    /// Constructors such as [`Frame::send`] have done this; it is for frames that were made by hand or
    /// received. Of repeated headers the first counts. Headers that the specification does not know are
    /// fine. Beyond its words, an empty destination, id or transaction is refused, which could name nothing. Whether a
    /// frame makes sense at this point of a session is not asked, and what cannot be written is for the
    /// [`Encoder`](crate::Encoder) to refuse.
    ///
    /// CONNECT and STOMP are judged by the newest version that they offer, if it is newer than `version`: a server that also
    /// speaks 1.0 passes [`Version::V1_0`] for them.
    ///
    /// ```
    /// use stompede_codec::{Command, Frame, FrameErrorKind, Version};
    ///
    /// let subscribe = Frame::new(Command::Subscribe).with_header("destination", "/queue/a");
    /// assert_eq!(subscribe.check(Version::V1_0), Ok(()));
    /// let error = subscribe.check(Version::V1_1).unwrap_err();
    /// assert_eq!((error.kind(), error.header()), (FrameErrorKind::MissingHeader, Some("id")));
    /// assert_eq!(error.to_string(), r#"SUBSCRIBE does not fit STOMP 1.1: header "id" is required"#);
    /// ```
    ///
    /// # Errors
    /// The first rule that the frame breaks.
    pub fn check(&self, version: Version) -> Result<(), FrameError> {
        let command = self.command();
        let version = match command {
            Command::Connect | Command::Stomp => version.max(self.newest_offered()),
            _ => version,
        };
        let error = |kind| FrameError::new(kind, command, version);
        if !command.exists_in(version) {
            return Err(error(FrameErrorKind::CommandNotInVersion));
        }
        let rules = rules(command);
        for rule in rules {
            rule.check(self, version).map_err(|kind| error(kind).with_header(rule.header))?;
        }
        let mut either = rules.iter().filter(|rule| rule.need(version) == Either);
        if let Some(first) = either.clone().next()
            && !either.any(|rule| self.headers().contains(rule.header))
        {
            return Err(error(FrameErrorKind::MissingHeader).with_header(first.header));
        }
        if let Some(header) = self.not_escapable() {
            return Err(error(FrameErrorKind::NotEscapable).with_header(&header));
        }
        if version > Version::V1_0 && !self.body().is_empty() && !command.may_have_body() {
            return Err(error(FrameErrorKind::BodyNotAllowed));
        }
        Ok(())
    }

    /// The first header of a CONNECT or CONNECTED that cannot be written in any version.
    fn not_escapable(&self) -> Option<Cow<'_, str>> {
        if !matches!(self.command(), Command::Connect | Command::Connected) {
            return None;
        }
        let breaks = |text: &str| text.contains(['\r', '\n', '\0']);
        self.headers().iter().find(|(name, value)| breaks(name) || breaks(value)).map(|(name, _)| name)
    }

    /// The newest version in `accept-version` that is known; without the header it is 1.0.
    fn newest_offered(&self) -> Version {
        let offered = self.header(name::ACCEPT_VERSION).unwrap_or_default();
        offered.split(',').filter_map(|version| version.parse().ok()).max().unwrap_or(Version::V1_0)
    }
}

/// One header of one command.
struct Rule {
    header: &'static str,
    /// In 1.0, 1.1 and 1.2.
    needs: [Need; 3],
    form: Form,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Need {
    Required,
    /// One of the headers with this need is required.
    Either,
    /// May be missing, and has its form if it is there.
    Optional,
    /// Means nothing in this version.
    Ignored,
    Forbidden,
}

/// What a value looks like.
#[derive(Clone, Copy)]
enum Form {
    Any,
    NotEmpty,
    /// The name of the version by which the frame is judged.
    ThisVersion,
    /// A list of versions, known or not.
    Versions,
    /// Two numbers.
    HeartBeat,
    /// The name of an [`AckMode`].
    Ack,
}

/// The rules for a command.
const fn rules(command: Command) -> &'static [Rule] {
    match command {
        Command::Connect | Command::Stomp => CONNECT,
        Command::Send => SEND,
        Command::Subscribe => SUBSCRIBE,
        Command::Unsubscribe => UNSUBSCRIBE,
        Command::Ack | Command::Nack => ACK,
        Command::Begin | Command::Commit | Command::Abort => TRANSACTION,
        Command::Connected => CONNECTED,
        Command::Message => MESSAGE,
        Command::Receipt => RECEIPT,
        Command::Disconnect | Command::Error => &[],
    }
}

//                                                      1.0        1.1        1.2
const CONNECT: &[Rule] = &[
    rule(name::ACCEPT_VERSION, [Optional, Required, Required], Versions),
    // A virtual host may have the empty name.
    rule("host", [Optional, Required, Required], Any),
    rule("heart-beat", [Forbidden, Optional, Optional], HeartBeat),
    rule("receipt", [Forbidden, Forbidden, Forbidden], Any),
];
const SEND: &[Rule] = &[
    rule("destination", [Required, Required, Required], NotEmpty),
    rule("transaction", [Optional, Optional, Optional], NotEmpty),
];
const SUBSCRIBE: &[Rule] = &[
    rule("destination", [Required, Required, Required], NotEmpty),
    rule("id", [Optional, Required, Required], NotEmpty),
    rule("ack", [Optional, Optional, Optional], Ack),
];
const UNSUBSCRIBE: &[Rule] = &[
    rule("destination", [Either, Ignored, Ignored], NotEmpty),
    rule("id", [Either, Required, Required], NotEmpty),
];
const ACK: &[Rule] = &[
    rule("message-id", [Required, Required, Ignored], NotEmpty),
    rule("subscription", [Ignored, Required, Ignored], NotEmpty),
    rule("id", [Ignored, Ignored, Required], NotEmpty),
    rule("transaction", [Optional, Optional, Optional], NotEmpty),
];
const TRANSACTION: &[Rule] = &[rule("transaction", [Required, Required, Required], NotEmpty)];
const CONNECTED: &[Rule] = &[
    rule(name::VERSION, [Optional, Required, Required], ThisVersion),
    // RabbitMQ sends it in 1.0, too.
    rule("heart-beat", [Ignored, Optional, Optional], HeartBeat),
];
const MESSAGE: &[Rule] = &[
    rule("destination", [Required, Required, Required], NotEmpty),
    rule("message-id", [Required, Required, Required], NotEmpty),
    rule("subscription", [Optional, Required, Required], NotEmpty),
    // Required where messages are acknowledged, which only the subscriber knows.
    rule("ack", [Ignored, Ignored, Optional], NotEmpty),
];
// It repeats the value of `receipt`, whatever that was.
const RECEIPT: &[Rule] = &[rule("receipt-id", [Required, Required, Required], Any)];

const fn rule(header: &'static str, needs: [Need; 3], form: Form) -> Rule {
    Rule { header, needs, form }
}

impl Rule {
    fn need(&self, version: Version) -> Need {
        match version {
            Version::V1_0 => self.needs[0],
            Version::V1_1 => self.needs[1],
            Version::V1_2 => self.needs[2],
        }
    }

    fn check(&self, frame: &Frame, version: Version) -> Result<(), FrameErrorKind> {
        match (self.need(version), frame.header(self.header)) {
            (Required, None) => Err(FrameErrorKind::MissingHeader),
            (Forbidden, Some(_)) => Err(FrameErrorKind::ForbiddenHeader),
            (Ignored, _) | (_, None) => Ok(()),
            (Required | Either | Optional, Some(value)) => self.form.check(&value, version),
        }
    }
}

impl Form {
    fn check(self, value: &str, version: Version) -> Result<(), FrameErrorKind> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        let are_numbers = |text: &str, separator| {
            text.split_once(separator).is_some_and(|(one, other)| is_number(one) && is_number(other))
        };
        let (fits, expected) = match self {
            Any => return Ok(()),
            NotEmpty if value.is_empty() => return Err(FrameErrorKind::EmptyValue),
            NotEmpty => return Ok(()),
            ThisVersion => (value == version.as_str(), "the version in use"),
            // In any order: "incrementing" is a SHOULD, and a common client does not.
            Versions => (
                value.split(',').all(|one| are_numbers(one, '.')),
                "a list of versions with commas, such as 1.1,1.2",
            ),
            HeartBeat => {
                (are_numbers(value, ','), "two numbers of milliseconds with a comma, such as 0,10000")
            }
            Ack if version == Version::V1_0 => {
                (matches!(value.parse(), Ok(AckMode::Auto | AckMode::Client)), "auto or client")
            }
            Ack => (value.parse::<AckMode>().is_ok(), "auto, client or client-individual"),
        };
        if fits { Ok(()) } else { Err(FrameErrorKind::InvalidValue { expected }) }
    }
}
