use std::fmt;

use super::transcript::Transcript;

/// Something else came than a script expected. `Display` and `Debug` show what both sides have said.
#[derive(Clone, Eq, PartialEq)]
pub struct ScriptError {
    wanted: Box<str>,
    came: Box<str>,
    transcript: Box<str>,
}

impl ScriptError {
    pub(super) fn new(wanted: &str, came: &str, transcript: &Transcript) -> Self {
        Self { wanted: wanted.into(), came: came.into(), transcript: transcript.to_string().into() }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, came, transcript } = self;
        write!(f, "expected {wanted}\nbut there was {came}\nso far (< came, > was sent):\n{transcript}")
    }
}

/// As [`Display`](fmt::Display): a test that unwraps it shows this.
impl fmt::Debug for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ScriptError {}
