//! Why a step failed.

use std::fmt;
use std::io;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

/// What a shell reports of a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Why a step failed; what was started for it has been stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Somebody pressed Ctrl-C, or asked us to terminate.
    Interrupted,
    /// The operating system refused something.
    Io { what: String, error: io::Error },
    /// A command ended, but not well.
    Ended { command: String, status: ExitStatus },
    /// A command did not end in time and was stopped.
    TimedOut { command: String, limit: Duration },
    /// A check of ours failed; the text says what is wrong and what to do.
    Check(String),
}

impl Failure {
    /// An operating system error while doing `what`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }

    /// What xtask ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => write!(f, "interrupted"),
            Self::Io { what, error } => write!(f, "{what}: {error}"),
            Self::Ended { command, status } => write!(f, "`{command}` ended with {status}"),
            Self::TimedOut { command, limit } => {
                write!(f, "`{command}` did not end within {} s and was stopped", limit.as_secs())
            }
            Self::Check(text) => f.write_str(text),
        }
    }
}
