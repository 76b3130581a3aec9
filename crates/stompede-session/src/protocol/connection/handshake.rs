use stompede_codec::{Command, Frame, Version};

use super::heartbeat;
use crate::{Config, Error, ErrorKind, HeartBeat};

/// What the broker said of itself in CONNECTED.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connected {
    host: Box<str>,
    version: Version,
    heart_beat: HeartBeat,
    frame: Frame,
}

impl Connected {
    /// Where the connection goes: host and port, as they were dialled.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The STOMP version that both sides speak from here on.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How often each side has to be heard of: what was offered and what the broker answered come to this. Zero
    /// means that the direction is off.
    pub fn heart_beat(&self) -> HeartBeat {
        self.heart_beat
    }

    /// The `server` header: name and version of the broker, for example `RabbitMQ/3.10.8`.
    pub fn server(&self) -> Option<String> {
        self.frame.header("server").map(Into::into)
    }

    /// The `session` header: the broker's name for this connection.
    pub fn session(&self) -> Option<String> {
        self.frame.header("session").map(Into::into)
    }

    /// The CONNECTED frame itself.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// Judges the first frame that came after CONNECT (STOMP 1.2, section "Protocol Negotiation").
pub(super) fn judge(config: &Config, host: &str, frame: Frame) -> Result<Connected, Error> {
    match frame.command() {
        Command::Connected => choose_version(config, host, frame),
        Command::Error => Err(refusal(config, frame)),
        other => Err(Error::new(
            ErrorKind::Protocol,
            format!("the broker answered CONNECT with {other}; is this port really STOMP?"),
        )),
    }
}

fn choose_version(config: &Config, host: &str, frame: Frame) -> Result<Connected, Error> {
    // Only a 1.0 server leaves the header out.
    let version = match frame.header("version") {
        None => Ok(Version::V1_0),
        Some(text) => text.parse().map_err(|_| text.into_owned()),
    };
    match version {
        Ok(version) if config.versions.contains(&version) => {
            let heart_beat = agree(config, version, &frame)?;
            // The chunk that CONNECTED came in must not live as long as the connection.
            Ok(Connected { host: host.into(), version, heart_beat, frame: frame.detach() })
        }
        Ok(version) => Err(not_offered(version.as_str())),
        Err(unknown) => Err(not_offered(&unknown)),
    }
}

/// What the two heart-beat headers come to. STOMP 1.0 has none.
fn agree(config: &Config, version: Version, frame: &Frame) -> Result<HeartBeat, Error> {
    let Some(text) = frame.header("heart-beat").filter(|_| version > Version::V1_0) else {
        return Ok(HeartBeat::OFF);
    };
    match HeartBeat::parse(&text) {
        Some(theirs) => Ok(heartbeat::negotiate(config.heart_beat, theirs)),
        None => Err(Error::new(
            ErrorKind::Protocol,
            format!("the broker's heart-beat header is {:.40?} and not two numbers", &*text),
        )),
    }
}

fn not_offered(version: &str) -> Error {
    Error::new(
        ErrorKind::VersionMismatch,
        format!(
            "the broker chose STOMP {version:?}, which was not offered; offer the versions that it speaks"
        ),
    )
}

fn refusal(config: &Config, frame: Frame) -> Error {
    // A server without a common version lists its own in the ERROR.
    let supported = frame.header("version").map(String::from);
    match supported {
        Some(supported) if !config.versions.iter().any(|ours| lists(&supported, *ours)) => Error::from_frame(
            ErrorKind::VersionMismatch,
            format!("the broker speaks only STOMP {supported}; offer one of these"),
            frame,
        ),
        _ => Error::from_frame(
            ErrorKind::LoginRefused,
            "the broker refused the connection; check login, passcode and virtual host",
            frame,
        ),
    }
}

fn lists(supported: &str, version: Version) -> bool {
    supported.split(',').any(|one| one.trim() == version.as_str())
}
