//! How far each of the two sides of a byte stream is; an end is final.

use crate::{TransportError, TransportErrorKind};

/// The side that receives.
#[derive(Debug)]
pub(crate) enum Received {
    Open,
    Ended,
    Failed(TransportError),
}

/// The side that sends.
#[derive(Debug)]
pub(crate) enum Sending {
    Open,
    Closing,
    Closed,
    Failed(TransportError),
}

impl Sending {
    /// Whether something new may be sent.
    pub(crate) fn check_open(&self) -> Result<(), TransportError> {
        match self {
            Self::Open => Ok(()),
            Self::Closing | Self::Closed => {
                Err(TransportError::new(TransportErrorKind::Lost, "this side has closed the connection"))
            }
            Self::Failed(error) => Err(error.clone()),
        }
    }
}
