//! Transactions, without a driver.

mod common;

use std::task::{Context, Poll, Waker};

use common::{Rig, SECOND, header};
use stompede_codec::{Command, Frame, Headers};
use stompede_session::protocol::{Outcome, Settle, SubscribeRequest, SubscriptionId, Ticket, TransactionId};
use stompede_session::{AckMode, ErrorKind};
use stompede_transport::{TransportError, TransportErrorKind};

fn words(rig: &mut Rig) -> Vec<String> {
    rig.frames().iter().map(|frame| format!("{} {}", frame.command(), header(frame, "transaction"))).collect()
}

fn settle_in(transaction: TransactionId) -> Settle<'static> {
    let mut how = Settle::new(true);
    how.transaction = Some(transaction);
    how
}

fn client(rig: &mut Rig) -> SubscriptionId {
    let mut request = SubscribeRequest::new("/queue/a");
    (request.id, request.ack) = (Some("s".into()), AckMode::Client);
    let id = rig.machine.subscribe(request).expect("subscribed");
    rig.frames();
    id
}

fn deliver(rig: &mut Rig, id: SubscriptionId, ack: &str) -> (Frame, Ticket) {
    rig.receive(&format!("MESSAGE\nsubscription:s\nmessage-id:{ack}\nack:{ack}\n\nhi\0"));
    rig.message(id)
}

/// A message, and the transaction in which an ACK of the next one covers it.
fn covered_in_a_transaction(rig: &mut Rig) -> ((Frame, Ticket), TransactionId) {
    let id = client(rig);
    let first = deliver(rig, id, "a1");
    let second = deliver(rig, id, "a2");
    let transaction = rig.machine.begin().expect("begun");
    rig.machine.settle(&second.1, &second.0, settle_in(transaction)).expect("settled");
    (first, transaction)
}

#[test]
fn begin_commit_and_abort_name_their_transaction() {
    let mut rig = Rig::connected("1.2");
    let (a, b) = (rig.machine.begin().expect("begun"), rig.machine.begin().expect("begun"));
    assert_ne!(a, b);
    rig.machine.commit(a, None).expect("committed");
    rig.machine.abort_transaction(b);
    let (a, b) = (a.to_string(), b.to_string());
    let expected = [format!("BEGIN {a}"), format!("BEGIN {b}"), format!("COMMIT {a}"), format!("ABORT {b}")];
    assert_eq!(words(&mut rig), expected);
}

#[test]
fn begin_takes_headers_and_a_name_that_no_other_has() {
    for version in ["1.0", "1.1", "1.2"] {
        let mut rig = Rig::connected(version);
        let named = |name: &str| Headers::from_iter([("trace", "7"), ("transaction", name), ("trace", "8")]);
        let id = rig.machine.begin_with(&named("tx-2")).expect("begun");
        let frames = rig.frames();
        let headers: Vec<_> = frames[0].headers().iter().collect();
        assert_eq!(
            headers,
            [
                ("transaction".into(), "tx-2".into()),
                ("trace".into(), "7".into()),
                ("trace".into(), "8".into())
            ]
        );
        let error = rig.machine.begin_with(&named("tx-2")).expect_err("open already");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert_eq!(
            rig.machine.begin_with(&named("")).expect_err("no name").kind(),
            ErrorKind::InvalidArgument
        );
        let made_up = rig.machine.begin().expect("begun");
        assert_eq!(rig.machine.transaction_name(made_up).expect("open"), "tx-3", "not one that is in use");
        let without = rig.machine.begin_with(&Headers::from_iter([("trace", "7")])).expect("begun");
        assert_eq!(rig.machine.transaction_name(without).expect("open"), "tx-4");

        let subscription = client(&mut rig);
        let (frame, ticket) = deliver(&mut rig, subscription, "a1");
        rig.machine.settle(&ticket, &frame, settle_in(id)).expect("settled");
        rig.machine.commit(id, None).expect("committed");
        let error = rig.machine.begin_with(&named("tx-2")).expect_err("its COMMIT may still become an ABORT");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert_eq!(words(&mut rig), ["ACK tx-2", "COMMIT tx-2"]);
        let again = rig.machine.begin_with(&named("tx-2")).expect("the other one has been committed");
        rig.machine.abort_transaction(again);
        rig.machine.begin_with(&named("tx-2")).expect("ABORT goes before it");
        assert_eq!(words(&mut rig), ["BEGIN tx-2", "ABORT tx-2", "BEGIN tx-2"]);
    }
}

#[test]
fn a_transaction_that_has_ended_takes_nothing_more() {
    let mut rig = Rig::connected("1.2");
    let id = client(&mut rig);
    let (frame, ticket) = deliver(&mut rig, id, "a1");
    for aborted in [false, true] {
        let transaction = rig.machine.begin().expect("begun");
        if aborted {
            rig.machine.abort_transaction(transaction);
        } else {
            rig.machine.commit(transaction, None).expect("committed");
        }
        rig.frames();
        let ended = |error: stompede_session::Error| assert_eq!(error.kind(), ErrorKind::TransactionEnded);
        ended(rig.machine.check_transaction(transaction).expect_err("ended"));
        ended(rig.machine.commit(transaction, None).expect_err("ended"));
        ended(rig.machine.settle(&ticket, &frame, settle_in(transaction)).expect_err("ended"));
        rig.machine.abort_transaction(transaction);
        assert!(rig.frames().is_empty(), "and nothing is said");
    }
}

#[test]
fn what_an_ack_covers_is_settled_by_commit_and_not_by_abort() {
    for commit in [true, false] {
        let mut rig = Rig::connected("1.2");
        let (first, transaction) = covered_in_a_transaction(&mut rig);
        let frames = rig.frames();
        assert_eq!(header(&frames[1], "transaction"), transaction.to_string());
        if commit {
            rig.machine.commit(transaction, None).expect("committed");
        } else {
            rig.machine.abort_transaction(transaction);
        }
        let covered = rig.machine.settle(&first.1, &first.0, Settle::new(true));
        assert_eq!(covered.err().map(|error| error.kind()), commit.then_some(ErrorKind::AlreadySettled));
    }
}

#[test]
fn a_transaction_dies_with_its_connection_and_is_never_replayed() {
    let mut rig = Rig::connected("1.2");
    let transaction = rig.machine.begin().expect("begun");
    rig.frames();
    rig.cut(None);
    assert!(rig.machine.commit(transaction, None).is_err());
    rig.machine.abort_transaction(transaction);
    assert!(rig.frames().is_empty());
}

#[test]
fn an_abort_still_goes_out_before_disconnect() {
    let mut rig = Rig::connected("1.2");
    let transaction = rig.machine.begin().expect("begun");
    let mut send = common::send("/queue/a");
    rig.machine.send_with_receipt(&mut send, None).expect("sent");
    let receipt = header(&rig.frames()[1], "receipt");
    rig.machine.disconnect(rig.now);
    rig.machine.abort_transaction(transaction);
    rig.receive(&format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"));
    let commands: Vec<_> = rig.frames().iter().map(Frame::command).collect();
    assert_eq!(commands, [Command::Abort, Command::Disconnect]);
}

/// Sends this as part of a transaction.
fn send_in(rig: &mut Rig, transaction: TransactionId, destination: &str) {
    let frame = common::send(destination).with_header("transaction", transaction.to_string());
    rig.machine.send(&frame).expect("queued");
    rig.machine.join_transaction(transaction);
}

/// Has the connection take so many frames and refuse the last of them.
fn take_and_refuse(rig: &mut Rig, frames: usize) {
    for _ in 0..frames {
        rig.machine.poll_transmit(rig.now).expect("a frame");
    }
    rig.machine.transmit_refused(TransportError::new(TransportErrorKind::TooLarge, "too large"));
    rig.drain();
}

#[test]
fn a_transaction_whose_frame_the_connection_refuses_cannot_be_committed() {
    let mut rig = Rig::connected("1.2");
    let (whole, half) = (rig.machine.begin().expect("begun"), rig.machine.begin().expect("begun"));
    let fate = rig.machine.fate(half).expect("open");
    send_in(&mut rig, half, "/queue/one");
    send_in(&mut rig, whole, "/queue/two");
    send_in(&mut rig, half, "/queue/three");
    take_and_refuse(&mut rig, 5);
    let error = rig.machine.check_transaction(half).expect_err("not whole");
    assert_eq!(error.kind(), ErrorKind::Unencodable);
    assert_eq!(rig.machine.commit(half, None).expect_err("not whole").kind(), ErrorKind::Unencodable);
    assert!(!fate.is_aborted(), "it is, when its owner says so");
    rig.machine.abort_transaction(half);
    assert!(fate.is_aborted());
    rig.machine.commit(whole, None).expect("nothing of it was refused");
    assert_eq!(words(&mut rig), [format!("ABORT {half}"), format!("COMMIT {whole}")]);
}

#[test]
fn a_commit_that_waits_behind_a_refused_frame_becomes_an_abort() {
    let mut rig = Rig::connected("1.2");
    let half = rig.machine.begin().expect("begun");
    let fate = rig.machine.fate(half).expect("open");
    send_in(&mut rig, half, "/queue/one");
    send_in(&mut rig, half, "/queue/two");
    let receipt = rig.machine.commit(half, None).expect("queued");
    take_and_refuse(&mut rig, 2);
    assert!(fate.is_aborted());
    let outcome = rig.machine.poll_receipt(receipt, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(outcome, Poll::Ready(Some(Outcome::NotSent(_)))), "{outcome:?}");
    let one = half.to_string();
    assert_eq!(words(&mut rig), [format!("SEND {one}"), format!("ABORT {one}")]);

    // Also if nobody waits for it.
    let half = rig.machine.begin().expect("begun");
    send_in(&mut rig, half, "/queue/one");
    let receipt = rig.machine.commit(half, None).expect("queued");
    rig.machine.forget_receipt(receipt);
    take_and_refuse(&mut rig, 2);
    assert_eq!(words(&mut rig), [format!("ABORT {half}")]);
}

#[test]
fn a_commit_that_is_not_written_in_time_becomes_an_abort_and_its_acks_are_open_again() {
    let mut rig = Rig::connected("1.2");
    let (first, transaction) = covered_in_a_transaction(&mut rig);
    let fate = rig.machine.fate(transaction).expect("open");
    let receipt = rig.machine.commit(transaction, Some(rig.now + SECOND)).expect("on its way");
    let covered = rig.machine.settle(&first.1, &first.0, Settle::new(true)).expect_err("covered");
    assert_eq!(covered.kind(), ErrorKind::AlreadySettled);

    rig.drain();
    rig.advance_unwritten(2 * SECOND);
    let outcome = rig.machine.poll_receipt(receipt, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(outcome, Poll::Ready(Some(Outcome::NotSent(_)))), "{outcome:?}");
    assert!(fate.is_aborted());
    rig.machine.settle(&first.1, &first.0, Settle::new(true)).expect("open again");
    let name = transaction.to_string();
    let expected = [format!("BEGIN {name}"), format!("ACK {name}"), format!("ABORT {name}"), "ACK ".into()];
    assert_eq!(words(&mut rig), expected);
}

#[test]
fn a_commit_that_nobody_awaits_or_that_was_written_is_not_taken_back() {
    for forgotten in [true, false] {
        let mut rig = Rig::connected("1.2");
        let id = client(&mut rig);
        let message = deliver(&mut rig, id, "a1");
        let transaction = rig.machine.begin().expect("begun");
        rig.machine.settle(&message.1, &message.0, settle_in(transaction)).expect("settled");
        let receipt = rig.machine.commit(transaction, Some(rig.now + SECOND)).expect("on its way");
        if forgotten {
            rig.machine.forget_receipt(receipt);
        } else {
            rig.frames();
        }
        rig.drain();
        rig.advance_unwritten(2 * SECOND);
        let settled = rig.machine.settle(&message.1, &message.0, Settle::new(true)).expect_err("settled");
        assert_eq!(settled.kind(), ErrorKind::AlreadySettled);
        let left = rig.frames();
        assert_eq!(left.last().map(Frame::command), forgotten.then_some(Command::Commit));
    }
}
