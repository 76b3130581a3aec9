//! Whole lives of sessions, thousands of them, each made from one seed: the same seed is the same run.
//!
//! `cargo xtask simulate` runs many. `STOMPEDE_SEED` runs that one seed, `STOMPEDE_SEEDS` that many fresh ones.

mod broker;
mod random;
mod world;

use std::hash::{BuildHasher, RandomState};

use world::World;

/// With a note of what each has found.
const FOUND: &[(u64, &str)] = &[
    (32, "a CONNECT that a connection had not taken went out on the next one as well"),
    (1157, "a NACK that had waited too long was taken back, and a later ACK covered its message"),
    (1757, "a COMMIT that had waited too long was taken back, and what it would have settled stayed settled"),
    (
        3902376133611620178,
        "a frame that waited for room was withdrawn, and heart-beats were held up as if it still waited",
    ),
];

/// Enough to find what a change has broken, few enough to run each time.
const FRESH: u64 = 2000;

/// Enough for bugs that take a rare coincidence.
#[cfg(feature = "__planted")]
const LIVES: u64 = 3000;

/// Lives through it.
///
/// # Panics
/// If something is seen that must never be; it says what, and how to see it again.
fn live(seed: u64) {
    let mut world = World::new(seed, |_| {});
    let seen = world.run();
    let what = seen.err().unwrap_or_default();
    assert!(
        what.is_empty(),
        "seed {seed}: {what}\n{}\nagain: cargo xtask simulate --seed {seed}",
        world.machine.history()
    );
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn fresh_seeds() {
    if let Some(seed) = number("STOMPEDE_SEED") {
        return live(seed);
    }
    let count = number("STOMPEDE_SEEDS").unwrap_or(FRESH);
    let first = RandomState::new().hash_one("fresh");
    let half = |from: u64| {
        (from..count).step_by(2).for_each(|offset| live(first.wrapping_add(offset)));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| half(1));
        half(0);
    });
}

/// Seeds that found something once: it must not come back.
#[test]
fn seeds_that_found_something() {
    for (seed, what) in FOUND {
        println!("seed {seed}: {what}");
        live(*seed);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let ages = [0, 1].map(|_| {
            let mut world = World::new(seed, |_| {});
            let seen = world.run();
            (seen, world.age(), format!("{:?}", world.machine.attempt().number))
        });
        assert_eq!(ages[0], ages[1], "seed {seed}");
    }
}

/// Seeds are worth keeping only as long as they meet what they were kept for.
#[cfg(feature = "__planted")]
#[test]
fn found_seeds_still_show_their_bugs() {
    use stompede_session::protocol::Planted;

    let bugs = [Planted::ConnectOutlivesConnection, Planted::TakeAckBack, Planted::ForgetUncommitted];
    for (bug, (seed, what)) in bugs.into_iter().zip(FOUND) {
        let seen = World::new(*seed, |machine| machine.plant(bug)).run();
        assert!(seen.is_err(), "seed {seed} does not show any more that {what}");
    }
}

/// Each bug, planted in the machine, is found within so many lives; most are in the first ten.
#[cfg(feature = "__planted")]
#[test]
fn planted_bugs_are_found() {
    use stompede_session::protocol::Planted;

    let bugs = [
        Planted::SkipResubscription,
        Planted::SubscribeTwice,
        Planted::SendsBeforeSubscriptions,
        Planted::NoGapMarker,
        Planted::SettleStaleAck,
        Planted::ResendAfterConfirm,
        Planted::ForgetToReplay,
        Planted::UnknownBecomesNotSent,
        Planted::ForgetTimer,
        Planted::ResetBackoffTooEarly,
        Planted::NoDisconnectedEvent,
        Planted::OldFramesOnNewConnection,
        Planted::OutboxWithoutBounds,
        Planted::NeverCareful,
        Planted::RefusedLoginLoops,
        Planted::KeepUnsubscribed,
        Planted::StallOutlivesConnection,
        Planted::ConnectOutlivesConnection,
        Planted::ForgetCover,
        Planted::CoverIndividually,
        Planted::CoverInVersion1_0,
        Planted::CoverBeforeCommit,
        Planted::CoverAfterAbort,
        Planted::CommitForgetsCover,
        Planted::AckOutsideTransaction,
        Planted::CommitOldTransaction,
        Planted::NackSwallowsJoinedAck,
        Planted::CommitOvertakesJoinedAck,
        Planted::UnsubscribeForgetsJoinedAck,
        Planted::CoverNothingOneByOne,
        Planted::AbortKeepsOneByOne,
        Planted::TakeAckBack,
        Planted::ForgetUncommitted,
        Planted::SendBeforeKept,
        Planted::ForgetToRemove,
        Planted::KeepWhatWasCancelled,
        Planted::LoseWhatComesBack,
        Planted::ReturnInReverse,
    ];
    let missed: Vec<_> = bugs
        .into_iter()
        .filter(|bug| {
            let found = (0..LIVES).find_map(|seed| {
                let seen = World::new(seed, |machine| machine.plant(*bug)).run();
                seen.err().map(|what| (seed, what))
            });
            match &found {
                Some((seed, what)) => println!("{bug:?}: seed {seed}: {what}"),
                None => println!("{bug:?}: missed"),
            }
            found.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
