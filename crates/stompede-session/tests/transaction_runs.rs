//! `transaction(…)`: it commits, it aborts, and what it says and does when the connection is lost at each of its steps.

#![cfg(feature = "tokio")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::peer::Peer;
use common::{SECOND, header};
use stompede_codec::{Command, Frame};
use stompede_session::{
    AckMode, Config, ErrorKind, SendError, Session, SessionState, Transaction, TransactionError,
    TransactionPolicy,
};
use stompede_transport::memory::MemoryTransport;
use stompede_transport::{Endpoint, TransportError, TransportErrorKind};
use tokio::sync::mpsc;

const ROOM: usize = 64 * 1024;

/// A session that comes back over the ends that are given to the channel.
struct Lines(mpsc::Sender<MemoryTransport>);

impl Lines {
    async fn session() -> (Session, Peer, Self) {
        let (give, take) = mpsc::channel(8);
        let (ours, mut peer) = Peer::pair(ROOM);
        give.try_send(ours).expect("room");
        let take = std::sync::Mutex::new(take);
        let connector = move |_: Endpoint| {
            let next = take.lock().expect("no panic").try_recv();
            async move { next.map_err(|_| TransportError::new(TransportErrorKind::Refused, "nothing listens")) }
        };
        let config = Config::for_url("tcp://broker.example").expect("a URL");
        let (session, ()) = tokio::join!(Session::connect(config, connector), peer.welcome());
        (session.expect("connected"), peer, Self(give))
    }

    /// The next connection.
    fn next(&self) -> Peer {
        let (ours, peer) = Peer::pair(ROOM);
        self.0.try_send(ours).expect("room");
        peer
    }
}

#[allow(clippy::disallowed_methods, reason = "the paused clock, to see how long something took")]
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

async fn offline(session: &Session) {
    let mut state = session.state_changes();
    let reached = state.wait_for(|state| matches!(state, SessionState::Reconnecting { .. })).await;
    reached.expect("the session lives");
}

/// Ends the session once it is connected, and sees that DISCONNECT is all that it says.
async fn nothing_but_goodbye(session: &Session, mut peer: Peer) {
    let mut state = session.state_changes();
    state.wait_for(|state| matches!(state, SessionState::Connected(_))).await.expect("the session lives");
    let (ended, ()) = tokio::join!(session.disconnect(), peer.goodbye());
    ended.expect("in order");
}

/// Sends two messages, as most of these do.
async fn two(transaction: Arc<Transaction>) -> Result<&'static str, SendError> {
    transaction.send("/queue/a").text("one").await?;
    transaction.send("/queue/a").text("two").await?;
    Ok("done")
}

/// Reads one run of [`two`] up to its COMMIT, whose frames all have to be of one transaction.
async fn a_run(peer: &mut Peer) -> Frame {
    let begin = peer.frame().await;
    assert_eq!(begin.command(), Command::Begin);
    for text in ["one", "two"] {
        let frame = peer.frame().await;
        assert_eq!((frame.command(), &*frame.body_text_lossy()), (Command::Send, text));
        assert_eq!(header(&frame, "transaction"), header(&begin, "transaction"));
    }
    let commit = peer.frame().await;
    assert_eq!(commit.command(), Command::Commit);
    assert_eq!(header(&commit, "transaction"), header(&begin, "transaction"));
    commit
}

#[tokio::test(start_paused = true)]
async fn ok_commits_and_an_error_aborts() {
    let (session, mut peer, _lines) = Lines::session().await;
    let (done, ()) = tokio::join!(session.transaction(two), async {
        let commit = a_run(&mut peer).await;
        peer.receipt(&commit).await;
    });
    assert_eq!(done.expect("committed"), "done");

    let failed = session
        .transaction(|transaction| async move {
            transaction.send("/queue/a").text("never").await.expect("sent");
            Err::<(), _>("no such order")
        })
        .await;
    assert!(matches!(failed, Err(TransactionError::Failed("no such order"))), "{failed:?}");
    let mut commands = Vec::new();
    for _ in 0..3 {
        commands.push(peer.frame().await.command());
    }
    assert_eq!(commands, [Command::Begin, Command::Send, Command::Abort]);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_outlives_the_work_can_do_nothing() {
    let (session, mut peer, _lines) = Lines::session().await;
    let kept = std::sync::Mutex::new(None);
    let (done, ()) = tokio::join!(
        session.transaction(|transaction| {
            *kept.lock().expect("no panic") = Some(transaction.clone());
            two(transaction)
        }),
        async {
            let commit = a_run(&mut peer).await;
            peer.receipt(&commit).await;
        }
    );
    done.expect("committed");
    let kept = kept.into_inner().expect("no panic").expect("kept");
    let late = kept.send("/queue/a").text("late").await.expect_err("it is over");
    assert_eq!(late.cause().kind(), ErrorKind::TransactionEnded);
    drop(kept);
    nothing_but_goodbye(&session, peer).await;
}

#[tokio::test(start_paused = true)]
async fn dropped_on_the_way_it_is_aborted() {
    let (session, mut peer, _lines) = Lines::session().await;
    let hangs = session.transaction(|transaction| async move {
        transaction.send("/queue/a").text("never").await?;
        std::future::pending::<Result<(), SendError>>().await
    });
    assert!(tokio::time::timeout(SECOND, hangs).await.is_err());
    let mut commands = Vec::new();
    for _ in 0..3 {
        commands.push(peer.frame().await.command());
    }
    assert_eq!(commands, [Command::Begin, Command::Send, Command::Abort]);
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_it_is_reported_at_once_or_waits_as_it_was_asked_to() {
    let (session, peer, lines) = Lines::session().await;
    drop(peer);
    offline(&session).await;
    let start = now();
    let reported = session.transaction(two).await.expect_err("offline");
    assert!(matches!(reported, TransactionError::NotCommitted { error: None, .. }), "{reported:?}");
    assert_eq!(start.elapsed(), std::time::Duration::ZERO);

    let mut patient = TransactionPolicy::run_again(2);
    patient.connection_within = Some(5 * SECOND);
    let waited = session.transaction_with(patient, two).await.expect_err("offline");
    assert!(matches!(waited, TransactionError::NotCommitted { error: None, .. }), "{waited:?}");
    assert_eq!(start.elapsed(), 5 * SECOND);

    let mut next = lines.next();
    patient.connection_within = None;
    let runs = AtomicU32::new(0);
    let work = |transaction| {
        runs.fetch_add(1, Ordering::Relaxed);
        two(transaction)
    };
    let (done, ()) = tokio::join!(session.transaction_with(patient, work), async {
        next.welcome().await;
        let commit = a_run(&mut next).await;
        next.receipt(&commit).await;
    });
    assert_eq!((done.expect("committed"), runs.into_inner()), ("done", 1), "waiting is no run");
}

/// Loses the connection after the first SEND, with the work at its second, and sees the whole of it on the next one, if
/// there is to be another run.
async fn lost_between_sends(policy: TransactionPolicy) -> Result<&'static str, TransactionError<SendError>> {
    let (session, mut peer, lines) = Lines::session().await;
    let mut next = lines.next();
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let work = |transaction: Arc<Transaction>| {
        let mut wait = wait.clone();
        async move {
            transaction.send("/queue/a").text("one").await?;
            wait.wait_for(|go_on| *go_on).await.expect("the peer is there");
            transaction.send("/queue/a").text("two").await?;
            Ok("done")
        }
    };
    let again = policy.max_runs > 1;
    let (done, ()) = tokio::join!(session.transaction_with(policy, work), async {
        assert_eq!(peer.frame().await.command(), Command::Begin);
        assert_eq!(peer.frame().await.command(), Command::Send);
        drop(peer);
        next.welcome().await;
        go_on.send_replace(true);
        if again {
            let commit = a_run(&mut next).await;
            next.receipt(&commit).await;
        }
    });
    nothing_but_goodbye(&session, next).await;
    done
}

#[tokio::test(start_paused = true)]
async fn lost_between_two_sends_it_is_reported_or_run_again_as_a_whole() {
    let reported = lost_between_sends(TransactionPolicy::report()).await.expect_err("lost");
    let TransactionError::NotCommitted { cause, error: Some(error) } = &reported else {
        unreachable!("nothing has taken effect: {reported:?}")
    };
    assert_eq!(cause.kind(), ErrorKind::TransactionEnded);
    assert_eq!(error.cause().kind(), ErrorKind::TransactionEnded);
    assert!(cause.to_string().contains("the connection was lost"), "it says why: {cause}");
    assert_eq!(lost_between_sends(TransactionPolicy::run_again(2)).await.expect("run again"), "done");
}

#[tokio::test(start_paused = true)]
async fn runs_are_bounded() {
    let (session, mut peer, lines) = Lines::session().await;
    let runs = AtomicU32::new(0);
    let work = |transaction: Arc<Transaction>| {
        runs.fetch_add(1, Ordering::Relaxed);
        async move {
            // Fails once the connection is gone.
            loop {
                transaction.send("/queue/a").text("x").confirm().await?;
            }
        }
    };
    let lost: Result<(), _>;
    (lost, ()) = tokio::join!(session.transaction_with(TransactionPolicy::run_again(3), work), async {
        for _ in 0..3 {
            assert_eq!(peer.frame().await.command(), Command::Begin);
            let next = lines.next();
            drop(std::mem::replace(&mut peer, next));
            peer.welcome().await;
        }
    });
    let lost = lost.expect_err("three times");
    assert!(
        matches!(
            lost,
            TransactionError::NotCommitted { error: Some(SendError::Unknown(_) | SendError::NotSent(_)), .. }
        ),
        "{lost:?}"
    );
    assert_eq!(runs.into_inner(), 3);
}

/// Loses the connection after COMMIT was read, and its RECEIPT with it.
async fn lost_after_commit(policy: TransactionPolicy) -> Result<&'static str, TransactionError<SendError>> {
    let (session, mut peer, lines) = Lines::session().await;
    let mut next = lines.next();
    let (done, ()) = tokio::join!(session.transaction_with(policy, two), async {
        a_run(&mut peer).await;
        drop(peer);
        next.welcome().await;
        if policy.rerun_unknown {
            let commit = a_run(&mut next).await;
            next.receipt(&commit).await;
        }
    });
    nothing_but_goodbye(&session, next).await;
    done
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_receipt_is_unknown_and_run_again_only_where_that_was_asked_for() {
    for policy in [TransactionPolicy::report(), TransactionPolicy::run_again(5)] {
        let unknown = lost_after_commit(policy).await.expect_err("nobody knows");
        assert!(matches!(unknown, TransactionError::Unknown(_)), "{unknown:?}");
    }
    let again = lost_after_commit(TransactionPolicy::run_again_even_if_unknown(2)).await;
    assert_eq!(again.expect("run again"), "done");
}

#[tokio::test(start_paused = true)]
async fn a_refused_commit_is_rejected_and_never_run_again() {
    let (session, mut peer, lines) = Lines::session().await;
    let mut next = lines.next();
    let policy = TransactionPolicy::run_again_even_if_unknown(5);
    let (refused, ()) = tokio::join!(session.transaction_with(policy, two), async {
        let receipt = header(&a_run(&mut peer).await, "receipt");
        peer.say(format!("ERROR\nmessage:no\nreceipt-id:{receipt}\n\n\0")).await;
        next.welcome().await;
    });
    let refused = refused.expect_err("the broker said so");
    assert!(matches!(&refused, TransactionError::Rejected(_)), "{refused:?}");
    nothing_but_goodbye(&session, next).await;
}

#[tokio::test(start_paused = true)]
async fn work_that_acknowledges_an_old_message_is_not_run_for_ever() {
    let (session, mut peer, lines) = Lines::session().await;
    let subscribed = session.subscribe("/queue/a").id("s").ack(AckMode::ClientIndividual).await;
    let mut inbox = subscribed.expect("subscribed");
    peer.frame().await;
    peer.message("s", "a1").await;
    let message = inbox.try_next().await.expect("open").expect("a message");
    let mut next = lines.next();
    let work = |transaction: Arc<Transaction>| {
        let message = &message;
        async move {
            transaction.ack(message)?;
            transaction.send("/queue/b").confirm().await?;
            Ok::<_, stompede_session::Error>(())
        }
    };
    let (stale, ()) = tokio::join!(session.transaction_with(TransactionPolicy::run_again(9), work), async {
        for command in [Command::Begin, Command::Ack, Command::Send] {
            assert_eq!(peer.frame().await.command(), command);
        }
        drop(peer);
        next.welcome().await;
        for command in [Command::Subscribe, Command::Begin, Command::Abort] {
            assert_eq!(next.frame().await.command(), command);
        }
    });
    let Err(TransactionError::Failed(stale)) = stale else { unreachable!("the work fails: {stale:?}") };
    assert_eq!(stale.kind(), ErrorKind::StaleAck);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_ends_the_runs() {
    let (session, mut peer, _lines) = Lines::session().await;
    let policy = TransactionPolicy::run_again(5);
    let (ended, ()) = tokio::join!(session.transaction_with(policy, two), async {
        a_run(&mut peer).await;
        session.abort();
    });
    assert!(matches!(ended, Err(TransactionError::Unknown(_))), "{ended:?}");
    let start = now();
    let closed = session.transaction_with(policy, two).await.expect_err("closed");
    assert_eq!(closed.cause().map(stompede_session::Error::kind), Some(ErrorKind::Closed));
    assert_eq!(start.elapsed(), std::time::Duration::ZERO);
}

/// The future can be given to another thread.
#[tokio::test]
async fn it_can_be_spawned() {
    let (session, mut peer, _lines) = Lines::session().await;
    let name = String::from("/queue/a");
    let task = tokio::spawn(async move {
        session
            .transaction(|transaction| {
                let name = &name;
                async move { transaction.send(name).text("x").await }
            })
            .await
    });
    let mut frames = Vec::new();
    for _ in 0..3 {
        frames.push(peer.frame().await);
    }
    peer.receipt(&frames[2]).await;
    task.await.expect("no panic").expect("committed");
}
