//! What a decoder is measured against: a plain copy, and two splitters that leave out all they can.

pub(crate) mod borrowing;
mod copy;
pub(crate) mod owned;
mod split;

pub(crate) use copy::copy;
