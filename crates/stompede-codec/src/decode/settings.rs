//! What decides how octets are taken.

use super::{Limits, Strictness};
use crate::Version;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) version: Option<Version>,
    pub(crate) strictness: Strictness,
    /// No line that ends before this octet of its frame goes past a limit.
    pub(crate) plain_until: usize,
}

impl Settings {
    pub(crate) fn new(limits: Limits, version: Option<Version>) -> Self {
        let plain_until = limits.max_header_line.min(limits.max_head);
        Self { limits, version, strictness: Strictness::Strict, plain_until }
    }
}
