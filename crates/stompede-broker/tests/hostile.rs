//! What costs a client little must not cost the others much: everybody waits for the same lock.
//!
//! Each of these took minutes once. The time given is for a busy machine.

mod common;

use std::time::Duration;

use common::{Raw, broker, header, limited};
use stompede_broker::Limit;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_transaction_of_many_acknowledgements_is_committed_soon() {
    const MESSAGES: usize = 9900;
    let broker = broker().await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    for _ in 0..MESSAGES / 99 {
        sender.say(&"SEND\ndestination:/queue/a\n\nx\0".repeat(99)).await;
    }
    let mut client = Raw::connected(&broker, "1.2").await;
    client.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0").await;
    let mut acks = Vec::new();
    for _ in 0..MESSAGES {
        acks.push(header(&client.message().await, "ack"));
    }
    let settling = async {
        client.ask("BEGIN\ntransaction:t\n\n").await;
        // Each covers all those before it, of which all but one are covered already.
        for ack in acks {
            client.say(&format!("ACK\nid:{ack}\ntransaction:t\n\n\0")).await;
        }
        client.ask("COMMIT\ntransaction:t\n\n").await;
    };
    timeout(PATIENCE, settling).await.expect("committed");
    assert_eq!(broker.connections()[1].session.as_ref().map(|session| session.unsettled), Some(0));
}

#[tokio::test]
async fn a_crowd_with_one_destination_leaves_as_quickly_as_it_came() {
    for destination in ["/queue/a", "/topic/a", "/topic/a.#"] {
        let broker = broker().await;
        let coming = async {
            let mut crowd = Vec::new();
            for _ in 0..30 {
                let mut client = Raw::connected(&broker, "1.2").await;
                for id in 0..1000 {
                    client.say(&format!("SUBSCRIBE\nid:{id}\ndestination:{destination}\n\n\0")).await;
                }
                client.ask("SEND\ndestination:/topic/nobody\n\n").await;
                crowd.push(client);
            }
            crowd
        };
        let crowd = timeout(PATIENCE, coming).await.expect("they come");
        assert_eq!(broker.stats().subscriptions, 30_000);
        drop(crowd);
        let gone = broker.wait_until(PATIENCE / 3, |broker| broker.stats().connections == 0).await;
        gone.expect("they leave");
        assert_eq!(broker.stats().subscriptions, 0, "{destination}");
    }
}

#[tokio::test]
async fn who_has_left_a_queue_has_no_turn_and_the_others_keep_theirs() {
    let broker = broker().await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    let mut clients = Vec::new();
    for n in 0..10 {
        let mut client = Raw::connected(&broker, "1.2").await;
        client.ask(&format!("SUBSCRIBE\nid:{n}\ndestination:/queue/a\n\n")).await;
        clients.push(client);
    }
    // So few at first that they are not looked for, and then more.
    for (leaving, stay) in
        [(&[0, 3, 4][..], &[1, 2, 5, 6, 7, 8, 9][..]), (&[1, 8, 9, 7], &[2, 5, 6]), (&[2, 5, 6], &[])]
    {
        for &n in leaving {
            clients[n].ask(&format!("UNSUBSCRIBE\nid:{n}\n\n")).await;
        }
        for round in 0..2 {
            for n in stay {
                sender.send("/queue/a", &format!("{round} {n}")).await;
            }
            for &n in stay {
                assert_eq!(clients[n].body().await, format!("{round} {n}"), "each in turn");
            }
        }
    }
}

#[tokio::test]
async fn patterns_have_a_limit_by_their_words() {
    let broker = limited(|limits| limits.max_destinations = 6).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    // Three, and one more: the first two words are there. The third means the same as the first.
    for (id, pattern) in [("1", "a.*.c"), ("2", "a.*.#"), ("3", "a.*.#.#.#"), ("4", "x")] {
        client.ask(&format!("SUBSCRIBE\nid:{id}\ndestination:/topic/{pattern}\n\n")).await;
    }
    client.ask("UNSUBSCRIBE\nid:2\n\n").await;
    let got = client.ask("SEND\ndestination:/topic/a.b.c\n\nx").await;
    let mut got: Vec<_> = got.iter().map(|message| header(message, "subscription")).collect();
    got.sort();
    assert_eq!(got, ["1", "3"], "each pattern by itself");
    let error = client.refused("SUBSCRIBE\nid:5\ndestination:/topic/#.y\n\n\0").await;
    assert_eq!(header(&error, "message"), "too many destinations");
    assert_eq!(broker.stats().hits(Limit::Destinations), 1);
    // Nothing of it is left.
    let mut client = Raw::connected(&broker, "1.2").await;
    broker.wait_until(PATIENCE, |broker| broker.stats().subscriptions == 0).await.expect("it left");
    client.ask("SUBSCRIBE\nid:1\ndestination:/topic/1.2.3.4.5.#\n\n").await;
}

#[tokio::test]
async fn a_topic_for_a_forest_of_patterns_is_handed_out_soon() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    let error = Raw::connected(&broker, "1.2").await;
    let long = ["a"; 129].join(".");
    let error = error.refused(&format!("SEND\ndestination:/topic/{long}\n\nx\0")).await;
    assert_eq!(error.body_text(), Ok("a topic may have 128 words, and this has 129"));
    let chain = ["#"; 128].join(".");
    client.ask(&format!("SUBSCRIBE\nid:chain\ndestination:/topic/{chain}\n\n")).await;
    // Each word fits in nearly every place of every pattern, of which there are as many as may be.
    let mut others = Vec::new();
    while broker.stats().hits(Limit::Destinations) == 0 {
        let turn = |bit: usize| if (others.len() >> bit) % 2 == 1 { "a" } else { "*" };
        let words: Vec<_> = (0..64).flat_map(|at| ["#", if at < 10 { turn(at) } else { "a" }]).collect();
        let mut other = Raw::connected(&broker, "1.2").await;
        let pattern = words.join(".");
        other.say(&format!("SUBSCRIBE\nid:s\ndestination:/topic/{pattern}\nreceipt:r\n\n\0")).await;
        other.frame().await;
        others.push(other);
    }
    assert!(others.len() > 50, "{}", others.len());
    let send = format!("SEND\ndestination:/topic/{}\n\nx", ["a"; 128].join("."));
    assert_eq!(timeout(PATIENCE, client.ask(&send)).await.expect("handed out").len(), 1);
}

#[tokio::test]
async fn names_are_of_bounded_length() {
    let broker = broker().await;
    let long = "n".repeat(1100);
    for frame in [
        format!("SUBSCRIBE\nid:{long}\ndestination:/queue/a\n\n\0"),
        format!("BEGIN\ntransaction:{long}\n\n\0"),
        format!("SEND\ndestination:/queue/{long}\n\nx\0"),
    ] {
        let error = Raw::connected(&broker, "1.2").await.refused(&frame).await;
        let text = error.body_text_lossy();
        assert!(text.contains(" may have 1024 bytes, and this has 110"), "{text}");
    }
}
