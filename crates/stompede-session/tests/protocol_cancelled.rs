//! Subscriptions that the broker ends of its own accord.

mod common;

use std::task::{Context, Poll, Waker};

use common::{Rig, SECOND, header, send};
use stompede_session::protocol::{End, Event, Input, Outcome, ReceiptId, SubscribeRequest};
use stompede_session::{ErrorKind, ReconnectPolicy};

fn outcome(rig: &mut Rig, id: ReceiptId) -> Poll<Option<Outcome>> {
    rig.machine.poll_receipt(id, &mut Context::from_waker(Waker::noop()))
}

/// RabbitMQ says so when a queue is deleted, and goes on.
fn cancelled(id: &str) -> String {
    format!("ERROR\nmessage:Server cancelled subscription\nsubscription:{id}\n\nNo more messages\0")
}

const RABBITMQ: &str = "server:RabbitMQ/3.13.1\n";

#[test]
fn a_subscription_that_the_broker_cancels_ends_alone() {
    for server in [RABBITMQ, "server:ActiveMQ/5.18.3\n", ""] {
        let mut rig = Rig::connected_with(common::config(), "1.2", server);
        let id = rig.machine.subscribe(SubscribeRequest::new("/queue/a")).expect("subscribed");
        let other = rig.machine.subscribe(SubscribeRequest::new("/queue/b")).expect("subscribed");
        let inbox = rig.machine.inbox(id).expect("a subscription");
        let receipt = rig.machine.send_with_receipt(&mut send("/queue/b"), None).expect("sent");
        rig.frames();
        rig.events.clear();
        rig.receive(&format!("MESSAGE\nsubscription:sub-0\nmessage-id:1\n\nlast\0{}", cancelled("sub-0")));
        if server != RABBITMQ {
            assert!(rig.abandoned, "nobody knows what it means there");
            continue;
        }
        assert!(!rig.abandoned && outcome(&mut rig, receipt).is_pending());
        let ended =
            rig.events.iter().filter(|event| matches!(event, Event::SubscriptionEnded { .. })).count();
        assert_eq!((ended, rig.events.iter().any(|event| matches!(event, Event::Error(_)))), (1, false));
        assert_eq!(rig.take_from(&inbox).iter().map(common::body).collect::<Vec<_>>(), ["last"]);
        let Some(End::Alone(cause)) = rig.ending(&inbox) else { unreachable!("it has ended alone") };
        assert_eq!(cause.kind(), ErrorKind::BrokerError);
        assert_eq!(header(cause.frame().expect("the ERROR"), "subscription"), "sub-0");
        rig.machine.unsubscribe(id).expect("nothing to do");
        assert!(rig.frames().is_empty(), "the broker knows");
        rig.receive("MESSAGE\nsubscription:sub-1\nmessage-id:2\n\ngoes on\0");
        assert_eq!(rig.bodies(other), ["goes on"]);
    }
}

#[test]
fn what_was_on_its_way_for_a_cancelled_subscription_may_be_refused() {
    let refusals = [
        "ERROR\nmessage:Subscription not found\n\nMessage with id \"T_x@@s@@1\" has no subscription\0",
        "ERROR\nmessage:No subscription found\n\nUNSUBSCRIBE must refer to an existing subscription.\0",
    ];
    for refusal in refusals {
        for cancel in [true, false] {
            let mut config = common::config();
            config.reconnect = ReconnectPolicy::default();
            let mut rig = Rig::connected_with(config, "1.2", RABBITMQ);
            let id = rig.machine.subscribe(SubscribeRequest::new("/queue/a")).expect("subscribed");
            rig.machine.unsubscribe(id).expect("unsubscribed");
            rig.frames();
            if cancel {
                rig.receive(&cancelled("sub-0"));
                assert!(matches!(rig.events.last(), Some(Event::Unrouted(_))), "it has gone by itself");
            }
            rig.receive(refusal);
            assert_eq!(rig.abandoned, !cancel, "{refusal}");
            if cancel {
                rig.cut(None);
                rig.abandoned = false;
                rig.advance(SECOND);
                rig.input(Input::Opened { now: rig.now });
                rig.receive(&format!("CONNECTED\nversion:1.2\n{RABBITMQ}\n\0{refusal}"));
                assert!(rig.abandoned, "on another connection it is about something else");
            }
        }
    }
}

#[test]
fn a_temporary_queue_that_the_broker_takes_away_comes_with_the_next_connection() {
    let mut rig = Rig::connected_with(common::config(), "1.2", RABBITMQ);
    rig.machine.subscribe(SubscribeRequest::new("/temp-queue/a")).expect("subscribed");
    rig.receive(&cancelled("/temp-queue/a"));
    assert!(rig.abandoned, "RabbitMQ would go on to give it as the place for replies");
}

#[test]
fn draining_does_not_wait_for_a_subscription_that_the_broker_cancels() {
    let mut rig = Rig::connected_with(common::config(), "1.2", RABBITMQ);
    rig.machine.subscribe(SubscribeRequest::new("/queue/a")).expect("subscribed");
    let leaving = rig.machine.begin_drain(None);
    rig.frames();
    rig.receive(&cancelled("sub-0"));
    let [(_, receipt)] = &*leaving else { unreachable!("one subscription: {leaving:?}") };
    assert!(matches!(outcome(&mut rig, *receipt), Poll::Ready(Some(Outcome::Rejected(_)))));
}
