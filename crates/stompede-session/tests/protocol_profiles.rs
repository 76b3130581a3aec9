//! What is known of one broker and holds for no other: what it cannot cope with, and what it refuses for a while.

mod common;

use common::{Rig, SECOND, send};
use stompede_session::protocol::{Input, Settle, SubscribeRequest};
use stompede_session::{AckMode, BrokerProfile, ErrorKind, ReconnectPolicy};

/// ActiveMQ has not noticed yet that the connection before is gone.
#[test]
fn a_login_that_is_refused_for_now_is_tried_again_on_the_way_back() {
    let taken =
        "ERROR\nmessage:Broker\\c lab - Client\\c me already connected from tcp\\c//1.2.3.4\\c5\n\n\0";
    let wrong = "ERROR\nmessage:User name [me] or password is invalid.\n\n\0";
    for (server, refusal, goes_on) in [
        ("server:ActiveMQ/5.17.2\n", taken, true),
        ("server:ActiveMQ/5.17.2\n", wrong, false),
        ("server:RabbitMQ/3.10.8\n", taken, false),
        ("", taken, false),
    ] {
        let mut config = common::config();
        config.reconnect = ReconnectPolicy::default();
        let mut rig = Rig::connected_with(config, "1.2", server);
        rig.cut(None);
        for _ in 0..3 {
            if rig.machine.closed().is_some() {
                break;
            }
            let dialed = rig.dialed;
            while rig.dialed == dialed {
                rig.advance(SECOND);
            }
            rig.input(Input::Opened { now: rig.now });
            rig.frames();
            rig.receive(refusal);
        }
        assert_eq!(rig.machine.closed().is_none(), goes_on, "{server:?} {refusal}");
        if !goes_on {
            assert_eq!((rig.dialed, rig.end().expect("a cause").kind()), (2, ErrorKind::LoginRefused));
        }
    }
}

#[test]
fn the_first_login_is_tried_once_whatever_is_said() {
    let mut config = common::config();
    (config.reconnect, config.profile) = (ReconnectPolicy::default(), Some(BrokerProfile::ACTIVEMQ));
    let mut rig = Rig::opened(config);
    rig.receive("ERROR\nmessage:Client me already connected from tcp\n\n\0");
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::LoginRefused);
}

/// RabbitMQ sends the id back without escapes, and finds it in what it has made up by its `@@`.
#[test]
fn an_id_that_the_broker_cannot_cope_with_is_an_error_at_once() {
    for (server, id, fits) in [
        ("server:RabbitMQ/3.10.8\n", "a@@b", false),
        ("server:RabbitMQ/3.10.8\n", "a\nb", false),
        ("server:RabbitMQ/3.10.8\n", "/temp-queue/a", false),
        ("server:RabbitMQ/3.10.8\n", "caf\u{e9} a:b @ \\", true),
        ("server:ActiveMQ/5.17.2\n", "/temp-queue/a@@b\n", true),
        ("", "/temp-queue/a@@b\n", true),
    ] {
        let mut rig = Rig::connected_with(common::config(), "1.2", server);
        let mut request = SubscribeRequest::new("/queue/a");
        request.id = Some(id.into());
        let told = rig.machine.subscribe(request).map_err(|error| error.kind());
        assert_eq!(told.err(), (!fits).then_some(ErrorKind::InvalidArgument), "{server:?} {id:?}");
        assert_eq!(rig.frames().len(), usize::from(fits));
        rig.machine.send(&send("/queue/b")).expect("the connection goes on");
    }
}

/// ActiveMQ answers its COMMIT with ERROR.
#[test]
fn a_nack_in_a_transaction_is_an_error_at_once_where_there_is_none() {
    for (server, knows) in
        [("server:ActiveMQ/5.17.2\n", false), ("server:RabbitMQ/3.10.8\n", true), ("", true)]
    {
        let mut rig = Rig::connected_with(common::config(), "1.2", server);
        let mut request = SubscribeRequest::new("/queue/a");
        (request.id, request.ack) = (Some("s".into()), AckMode::ClientIndividual);
        let id = rig.machine.subscribe(request).expect("subscribed");
        rig.receive("MESSAGE\nsubscription:s\nmessage-id:m1\nack:a1\n\nhi\0");
        let (message, ticket) = rig.message(id);
        let transaction = rig.machine.begin().expect("begun");
        let mut how = Settle::new(false);
        how.transaction = Some(transaction);
        let told = rig.machine.settle(&ticket, &message, how).map_err(|error| error.kind());
        assert_eq!(told.err(), (!knows).then_some(ErrorKind::InvalidArgument), "{server:?}");
        if !knows {
            (how.accept, how.transaction) = (false, None);
            rig.machine.settle(&ticket, &message, how).expect("beside the transaction");
        }
    }
}
