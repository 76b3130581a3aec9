//! Headers of the caller's on the frames that the session makes, and how subscriptions are called when they end.

use std::sync::Arc;
use std::time::Duration;

use stompede::listeners::{Heard, RecordingListener};
use stompede::{AckMode, Client, Command, ErrorKind, Frame, Version};
use stompede_broker::TestBroker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Far more than anything here takes.
const HANG: Duration = Duration::from_secs(20);

/// Clients over each transport and in these versions, with what they send.
async fn clients(broker: &TestBroker, versions: &[Version]) -> Vec<(Client, Arc<RecordingListener>)> {
    let mut clients = Vec::new();
    for url in [broker.ws_url(), broker.tcp_url()] {
        for version in versions {
            let heard = Arc::new(RecordingListener::new());
            let builder = Client::builder(url).versions([*version]).listener("heard", heard.clone());
            clients.push((builder.connect().await.expect("connected"), heard));
        }
    }
    clients
}

/// What was sent of this kind, once the client has ended.
async fn sent(client: Client, heard: &RecordingListener, command: Command) -> Vec<Frame> {
    client.disconnect().await.expect("in order");
    ended(heard, command).await
}

async fn ended(heard: &RecordingListener, command: Command) -> Vec<Frame> {
    heard.wait_for(HANG, |heard| matches!(heard, Heard::Closed(_))).await.expect("it ends");
    let frames = heard.heard().into_iter().filter_map(|heard| match heard {
        Heard::Send(frame) if frame.command() == command => Some(frame),
        _ => None,
    });
    frames.collect()
}

#[tokio::test]
async fn acknowledgements_take_headers() {
    let broker = TestBroker::start().await;
    for (client, heard) in clients(&broker, &[Version::V1_1, Version::V1_2]).await {
        let jobs = client.subscribe("/queue/jobs").ack(AckMode::ClientIndividual);
        let mut jobs = jobs.await.expect("subscribed");
        for n in 0..3 {
            client.send("/queue/jobs").text(n.to_string()).confirm().await.expect("confirmed");
        }
        let mut next = async || jobs.try_next().await.expect("open").expect("a message");
        let (first, second, third) = (next().await, next().await, next().await);
        let refused = first.ack_with([("note", "a\0b")]).expect_err("no version has NUL");
        assert_eq!(refused.kind(), ErrorKind::Unencodable);
        let refused = first.ack_with([("transaction", "tx-1")]).expect_err("that is the transaction's");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        first.ack_with([("trace", "abc"), ("n", "1")]).expect("nothing was settled before");
        // What names the message goes first, and the first one counts.
        second.ack_with([("id", "not this one"), ("message-id", "nor this")]).expect("queued");
        let transaction = client.begin().await.expect("begun");
        transaction.nack_with(&third, [("requeue", "false")]).expect("queued");
        transaction.commit().await.expect("committed");
        let again = next().await;
        assert_eq!(again.text(), Ok("2"), "it was rejected");
        again.ack().expect("queued");
        client.flush().await.expect("written");
        let acks = sent(client.clone(), &heard, Command::Ack).await;
        assert_eq!(acks[0].header("trace").as_deref(), Some("abc"));
        assert_eq!(acks[0].header("n").as_deref(), Some("1"));
        assert_eq!(acks.len(), 3);
        let nacks = ended(&heard, Command::Nack).await;
        assert_eq!(nacks[0].header("requeue").as_deref(), Some("false"));
        assert!(nacks[0].header("transaction").is_some());
        assert!(broker.messages("/queue/jobs").is_empty());
    }
}

#[tokio::test]
async fn an_acknowledgement_with_headers_of_its_own_is_not_joined_with_others() {
    let broker = TestBroker::start().await;
    for (client, heard) in clients(&broker, &[Version::V1_2]).await {
        let jobs = client.subscribe("/queue/jobs").ack(AckMode::Client).coalesce_acks();
        let mut jobs = jobs.confirm().await.expect("subscribed");
        let transaction = client.begin().await.expect("begun");
        for n in 0..10 {
            transaction.send("/queue/jobs").text(n.to_string()).await.expect("sent");
        }
        transaction.commit().await.expect("committed");
        for n in 0..10 {
            let job = jobs.try_next().await.expect("open").expect("a message");
            if n == 4 {
                job.ack_with([("trace", "abc")]).expect("queued");
            } else {
                job.ack().expect("queued");
            }
        }
        let acks = sent(client, &heard, Command::Ack).await;
        let traced = acks.iter().filter(|ack| ack.header("trace").is_some()).count();
        assert_eq!(traced, 1, "{acks:?}");
        assert!(broker.messages("/queue/jobs").is_empty());
    }
}

#[tokio::test]
async fn a_subscription_is_ended_by_its_handle_its_id_or_its_destination() {
    let broker = TestBroker::start().await;
    for (client, heard) in clients(&broker, &Version::ALL).await {
        let topic = "/topic/a";
        let by_handle = client.subscribe(topic).id("one").listen().await.expect("subscribed");
        client.subscribe(topic).id("two").listen().await.expect("subscribed");
        client.subscribe(topic).id("three").listen().await.expect("subscribed");
        let mut last = client.subscribe(topic).await.expect("subscribed");
        client.subscribe("/topic/b").id(topic).listen().await.expect("subscribed");
        let count = || -> usize {
            let greeted = broker.connections().into_iter().filter_map(|connection| connection.session);
            greeted.map(|session| session.subscriptions.len()).sum()
        };
        let ends = async |expected: usize| {
            client.send("/topic/nobody").confirm().await.expect("behind UNSUBSCRIBE");
            assert_eq!(count(), expected);
        };
        client.unsubscribe_with(by_handle, [("durable", "true")]).expect("it is there");
        client.unsubscribe(by_handle).expect("twice is fine");
        ends(4).await;
        client.unsubscribe("two").expect("it is there");
        ends(3).await;
        client.unsubscribe(topic).expect("the id goes first");
        ends(2).await;
        client.unsubscribe(topic).expect("both that are left");
        ends(0).await;
        assert!(last.try_next().await.expect("in order").is_none(), "its stream has ended");
        let unknown = client.unsubscribe(topic).expect_err("nothing is left");
        assert_eq!(unknown.kind(), ErrorKind::InvalidArgument);
        assert!(unknown.to_string().contains(topic), "{unknown}");
        let id = client.subscribe(topic).listen().await.expect("subscribed");
        let refused = client.unsubscribe_with(id, [("note", "a\0b")]).expect_err("no version has NUL");
        assert_eq!(refused.kind(), ErrorKind::Unencodable);
        ends(1).await;
        let frames = sent(client, &heard, Command::Unsubscribe).await;
        assert_eq!(frames.len(), 5);
        assert_eq!(frames[0].header("durable").as_deref(), Some("true"));
    }
}

#[tokio::test]
async fn disconnect_takes_a_receipt_and_headers() {
    let broker = TestBroker::start().await;
    for (client, heard) in clients(&broker, &Version::ALL).await {
        let refused = client.disconnect_with([("note", "a\0b")]).await.expect_err("no version has NUL");
        assert_eq!(refused.kind(), ErrorKind::Unencodable);
        assert!(client.is_connected());
        client.disconnect_with([("receipt", "see-you"), ("reason", "maintenance")]).await.expect("in order");
        let frames = ended(&heard, Command::Disconnect).await;
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].header("receipt").as_deref(), Some("see-you"));
        assert_eq!(frames[0].header("reason").as_deref(), Some("maintenance"));
        let receipts =
            heard.heard().into_iter().filter(|heard| matches!(heard, Heard::Receipt(id) if id == "see-you"));
        assert_eq!(receipts.count(), 1);
        client.disconnect_with([("receipt", "again")]).await.expect("it has ended");
    }
}

/// As other clients have it: a `receipt` of the caller's is asked for as it stands, and heard. Who waits with `confirm()` asks
/// for one that no other frame has.
#[tokio::test]
async fn receipts_that_the_caller_names_are_asked_for_and_heard() {
    let broker = TestBroker::start().await;
    for (client, heard) in clients(&broker, &[Version::V1_1, Version::V1_2]).await {
        let named = |name: &'static str| [("receipt", name)];
        let jobs = client.subscribe("/queue/jobs").id("jobs").ack(AckMode::ClientIndividual);
        let mut jobs = jobs.header("receipt", "subscribed").await.expect("subscribed");
        client.send("/queue/jobs").header("receipt", "sent").text("1").await.expect("sent");
        client
            .send("/queue/jobs")
            .header("receipt", "not this one")
            .text("2")
            .confirm()
            .await
            .expect("confirmed");
        let mut next = async || jobs.try_next().await.expect("open").expect("a message");
        next().await.ack_with(named("acknowledged")).expect("queued");
        next().await.nack_with(named("refused")).expect("queued");
        let transaction = client.begin_with(named("begun")).await.expect("begun");
        transaction.commit().await.expect("committed");
        client.unsubscribe_with("jobs", named("unsubscribed")).expect("it is there");
        client
            .send_frame(
                Frame::new(Command::Begin).with_header("transaction", "raw").with_header("receipt", "raw"),
            )
            .await
            .expect("sent");
        client.disconnect_with(named("gone")).await.expect("in order");
        ended(&heard, Command::Disconnect).await;
        let receipts: Vec<_> = heard
            .heard()
            .into_iter()
            .filter_map(|heard| match heard {
                Heard::Receipt(id) => Some(id),
                _ => None,
            })
            // What commit() and confirm() ask for.
            .filter(|id| !id.starts_with("r-"))
            .collect();
        let expected =
            ["subscribed", "sent", "acknowledged", "refused", "begun", "unsubscribed", "raw", "gone"];
        assert_eq!(receipts, expected);
    }
}

#[tokio::test]
async fn content_length_is_left_out_on_demand() {
    for write in [true, false] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("tcp://{}", listener.local_addr().expect("bound"));
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a client");
            until_nul(&mut stream).await;
            stream.write_all(b"CONNECTED\nversion:1.2\n\n\0").await.expect("written");
            (until_nul(&mut stream).await, until_nul(&mut stream).await)
        };
        let client = async {
            let builder = Client::builder(url).auto_content_length(write);
            let client = builder.connect().await.expect("connected");
            if !write {
                let refused =
                    client.send("/queue/a").body("a\0b").await.expect_err("it would end at the NUL");
                assert_eq!(refused.cause().kind(), ErrorKind::Unencodable);
            }
            client.send("/queue/a").body("hi").await.expect("sent");
            // What is asked for by name stands there either way, and once.
            client.send("/queue/a").header("content-length", "3").body("you").await.expect("sent");
            client
        };
        let (_client, (send, asked)) = tokio::join!(client, server);
        assert!(send.ends_with("\n\nhi"), "{send}");
        assert_eq!(send.contains("content-length:2"), write, "{send}");
        assert_eq!(asked.matches("content-length:3\n").count(), 1, "{asked}");
        assert_eq!(asked.matches("content-length").count(), 1, "{asked}");
    }
}

async fn until_nul(stream: &mut tokio::net::TcpStream) -> String {
    let (mut frame, mut octet) = (Vec::new(), [0]);
    loop {
        stream.read_exact(&mut octet).await.expect("more");
        if octet == [0] {
            return String::from_utf8(frame).expect("text");
        }
        frame.push(octet[0]);
    }
}
