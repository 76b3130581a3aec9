use stompede_codec::{Command, Frame, Version};

use crate::{Config, Error, ErrorKind};

/// What the broker said of itself in CONNECTED.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connected {
    version: Version,
    frame: Frame,
}

impl Connected {
    /// The STOMP version that both sides speak from here on.
    pub fn version(&self) -> Version {
        self.version
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
pub(super) fn judge(config: &Config, frame: Frame) -> Result<Connected, Error> {
    match frame.command() {
        Command::Connected => choose_version(config, frame),
        Command::Error => Err(refusal(config, frame)),
        other => Err(Error::new(
            ErrorKind::Protocol,
            format!("the broker answered CONNECT with {other}; is this port really STOMP?"),
        )),
    }
}

fn choose_version(config: &Config, frame: Frame) -> Result<Connected, Error> {
    // Only a 1.0 server leaves the header out.
    let version = match frame.header("version") {
        None => Ok(Version::V1_0),
        Some(text) => text.parse().map_err(|_| text.into_owned()),
    };
    match version {
        // The chunk that CONNECTED came in must not live as long as the connection.
        Ok(version) if config.versions.contains(&version) => Ok(Connected { version, frame: frame.detach() }),
        Ok(version) => Err(not_offered(version.as_str())),
        Err(unknown) => Err(not_offered(&unknown)),
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
