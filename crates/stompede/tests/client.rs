//! A client and a broker that never saw each other's code, over WebSocket and TCP.

use std::time::Duration;

use stompede::{
    AckMode, Client, Command, ErrorKind, Frame, ReconnectPolicy, SendError, SessionState, Version,
};
use stompede_broker::Broker;

async fn urls() -> (Broker, [String; 2]) {
    let broker = Broker::start().await.expect("started");
    let urls = [broker.ws_url(), broker.tcp_url()].map(|url| url.expect("it listens").to_owned());
    (broker, urls)
}

#[tokio::test]
async fn bodies_and_headers_arrive_as_they_were_sent_in_every_version() {
    let (_broker, urls) = urls().await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for url in urls {
        for version in Version::ALL {
            let client = Client::builder(&url).versions([version]).connect().await.expect("connected");
            assert_eq!(client.connected().expect("connected").version(), version);
            let mut inbox = client.subscribe("/queue/a").await.expect("subscribed");
            let value = if version == Version::V1_0 { "a:b\\c" } else { "a:b\\c\nd" };
            client
                .send("/queue/a")
                .header("k", value)
                .body(every_byte.clone())
                .confirm()
                .await
                .expect("confirmed");
            client.send("/queue/a").confirm().await.expect("confirmed");
            let message = inbox.try_next().await.expect("open").expect("a message");
            assert_eq!(message.body(), &every_byte);
            assert_eq!(message.header("k").as_deref(), Some(value));
            assert!(inbox.try_next().await.expect("open").expect("a message").body().is_empty());
            client.disconnect().await.expect("in order");
        }
    }
}

#[tokio::test]
async fn ten_thousand_messages_keep_their_order() {
    let (_broker, urls) = urls().await;
    for url in urls {
        let client = Client::builder(&url).connect().await.expect("connected");
        let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
        let sender = client.clone();
        let sending = tokio::spawn(async move {
            for n in 0..10_000 {
                sender.send("/topic/a").text(n.to_string()).await.expect("sent");
            }
        });
        for n in 0..10_000 {
            let message = inbox.try_next().await.expect("open").expect("a message");
            assert_eq!(message.text(), Ok(n.to_string().as_str()));
        }
        sending.await.expect("no panic");
        client.disconnect().await.expect("in order");
    }
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let (_broker, urls) = urls().await;
    for url in urls {
        for version in [Version::V1_1, Version::V1_2] {
            let client = Client::builder(&url).versions([version]).connect().await.expect("connected");
            let subscribe = client.subscribe("/queue/work").ack(AckMode::ClientIndividual);
            let mut work = subscribe.await.expect("subscribed");
            client.send("/queue/work").text("job").confirm().await.expect("confirmed");
            let job = work.try_next().await.expect("open").expect("a message");
            job.nack().expect("queued");
            let again = work.try_next().await.expect("open").expect("a message");
            assert_eq!(again.header("redelivered").as_deref(), Some("true"));
            again.ack().expect("queued");
            assert_eq!(again.ack().expect_err("settled").kind(), ErrorKind::AlreadySettled);
            client.disconnect().await.expect("in order");
        }
    }
}

#[tokio::test]
async fn a_closure_handles_messages_until_unsubscribed() {
    let (_broker, [url, _]) = urls().await;
    let client = Client::builder(&url).connect().await.expect("connected");
    let (sender, mut handled) = tokio::sync::mpsc::channel(10);
    let handle = client.subscribe("/topic/a").handle(move |message| {
        let sender = sender.clone();
        async move {
            sender.send(message.text().expect("text").to_owned()).await.expect("the test listens");
        }
    });
    let id = handle.await.expect("subscribed");
    client.send("/topic/a").text("one").confirm().await.expect("confirmed");
    assert_eq!(handled.recv().await.as_deref(), Some("one"));
    client.unsubscribe(id).expect("unsubscribed");
    client.unsubscribe(id).expect("twice is fine");
    assert_eq!(handled.recv().await, None, "the handler is gone");
}

#[tokio::test]
async fn a_closure_that_panics_goes_on_with_the_next_message() {
    let (_broker, urls) = urls().await;
    for url in urls {
        let client = Client::builder(&url).connect().await.expect("connected");
        let (sender, mut handled) = tokio::sync::mpsc::channel(10);
        let handle = client.subscribe("/queue/a").ack(AckMode::ClientIndividual).handle(move |message| {
            let text = message.text().expect("text").to_owned();
            assert_ne!(text, "at once", "this one panics before it gives a future");
            let sender = sender.clone();
            async move {
                assert_ne!(text, "later", "this one panics in its future");
                message.ack().expect("acknowledged");
                sender.send(text).await.expect("the test listens");
            }
        });
        let id = handle.await.expect("subscribed");
        for text in ["at once", "one", "later", "two"] {
            client.send("/queue/a").text(text).confirm().await.expect("confirmed");
        }
        assert_eq!(handled.recv().await.as_deref(), Some("one"));
        assert_eq!(handled.recv().await.as_deref(), Some("two"));
        client.unsubscribe(id).expect("still subscribed");
        assert_eq!(handled.recv().await, None, "the handler is gone");
        client.disconnect().await.expect("in order");
        // What the panics left unsettled is the broker's again.
        let client = Client::builder(&url).connect().await.expect("connected");
        let mut inbox = client.subscribe("/queue/a").await.expect("subscribed");
        for text in ["at once", "later"] {
            let message = inbox.try_next().await.expect("open").expect("a message");
            assert_eq!(message.text(), Ok(text));
        }
    }
}

#[tokio::test]
async fn the_broker_going_away_ends_everything_with_a_cause() {
    let (broker, urls) = urls().await;
    for url in &urls {
        let client = Client::builder(url).connect().await.expect("connected");
        assert!(client.is_connected());
    }
    let client =
        Client::builder(&urls[0]).reconnect(ReconnectPolicy::never()).connect().await.expect("connected");
    let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
    broker.stop().await;
    assert!(inbox.try_next().await.is_err());
    assert!(client.closed().await.is_some());
    assert!(matches!(client.state(), SessionState::Closed(Some(_))) && !client.is_connected());
    let unsent = client.send("/topic/a").text("x").await;
    assert!(matches!(unsent, Err(SendError::NotSent(_))), "{unsent:?}");
    client.disconnect().await.expect("nothing is left to end");
}

#[tokio::test]
async fn a_raw_frame_goes_out_as_it_is() {
    let (_broker, [url, _]) = urls().await;
    let client = Client::builder(&url).connect().await.expect("connected");
    let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
    let frame = Frame::new(Command::Send).with_header("destination", "/topic/a").with_body("raw");
    client.send_frame(frame).confirm().await.expect("confirmed");
    assert_eq!(inbox.try_next().await.expect("open").expect("a message").text(), Ok("raw"));
}

#[tokio::test]
async fn two_clients_talk_through_one_queue() {
    let (_broker, [ws, tcp]) = urls().await;
    let producer = Client::builder(&tcp).connect().await.expect("connected");
    let consumer = Client::builder(&ws).connect().await.expect("connected");
    producer.send("/queue/jobs").text("held until somebody comes").confirm().await.expect("confirmed");
    let mut jobs = consumer.subscribe("/queue/jobs").await.expect("subscribed");
    let job = tokio::time::timeout(Duration::from_secs(10), jobs.try_next()).await.expect("in time");
    assert_eq!(job.expect("open").expect("a message").text(), Ok("held until somebody comes"));
}

#[test]
fn the_end_of_a_session_leaves_no_task() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (broker, urls) = urls().await;
        for url in &urls {
            let client = Client::builder(url).connect().await.expect("connected");
            client.subscribe("/topic/a").listen().await.expect("subscribed");
            client.disconnect().await.expect("in order");
            let refused = Client::builder(url).versions([]).connect().await;
            assert!(refused.is_err());
        }
        broker.stop().await;
        let metrics = tokio::runtime::Handle::current().metrics();
        let settled = tokio::time::timeout(Duration::from_secs(10), async {
            while metrics.num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        });
        assert!(settled.await.is_ok(), "{} tasks are left", metrics.num_alive_tasks());
    });
}
