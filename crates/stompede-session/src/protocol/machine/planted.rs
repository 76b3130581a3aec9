//! Bugs that a test plants, to see whether the simulation finds them.

/// `true` if this bug has been planted; always `false` in a build for users.
#[cfg(not(feature = "__planted"))]
macro_rules! planted {
    ($machine:expr, $bug:ident) => {
        false
    };
}

/// `true` if this bug has been planted.
#[cfg(feature = "__planted")]
macro_rules! planted {
    ($machine:expr, $bug:ident) => {
        $machine.planted == Some($crate::protocol::Planted::$bug)
    };
}

pub(super) use planted;

/// A bug to plant; see [`Machine::plant`](super::Machine::plant).
#[cfg(feature = "__planted")]
#[doc(hidden)]
#[allow(missing_docs, reason = "the names say it, and only our own tests read them")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Planted {
    SkipResubscription,
    SubscribeTwice,
    SendsBeforeSubscriptions,
    NoGapMarker,
    SettleStaleAck,
    ResendAfterConfirm,
    ForgetToReplay,
    UnknownBecomesNotSent,
    ForgetTimer,
    ResetBackoffTooEarly,
    NoDisconnectedEvent,
    OldFramesOnNewConnection,
    OutboxWithoutBounds,
    NeverCareful,
    RefusedLoginLoops,
    KeepUnsubscribed,
    StallOutlivesConnection,
    ConnectOutlivesConnection,
    ForgetCover,
    CoverIndividually,
    CoverInVersion1_0,
    CoverBeforeCommit,
    CoverAfterAbort,
    CommitForgetsCover,
    AckOutsideTransaction,
    CommitOldTransaction,
    NackSwallowsJoinedAck,
    CommitOvertakesJoinedAck,
    UnsubscribeForgetsJoinedAck,
    CoverNothingOneByOne,
    AbortKeepsOneByOne,
    TakeAckBack,
    ForgetUncommitted,
    SendBeforeKept,
    ForgetToRemove,
    KeepWhatWasCancelled,
    LoseWhatComesBack,
    ReturnInReverse,
}
