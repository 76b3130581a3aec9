//! A client that writes bytes and reads frames, over an in-memory connection.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

pub(crate) mod ws;

use std::future::poll_fn;

use bytes::Bytes;
use stompede_broker::{Broker, BrokerLimits, Personality, TestBroker};
use stompede_codec::{Command, Decoder, Frame, Item, Limits, Version};
use stompede_transport::{BoxTransport, Connector, DefaultConnector, Endpoint, Outbound, Transport};

pub(crate) struct Raw {
    transport: BoxTransport,
    decoder: Decoder,
    receipts: u32,
}

impl Raw {
    pub(crate) fn new(broker: &Broker) -> Self {
        Self::over(Box::new(broker.connect()))
    }

    pub(crate) fn over(transport: BoxTransport) -> Self {
        Self { transport, decoder: Decoder::new(Limits::default()), receipts: 0 }
    }

    /// A client of STOMP 1.2 that has come by a socket.
    pub(crate) async fn dialled(url: &str) -> Self {
        let endpoint = Endpoint::parse(url).expect("a URL");
        let mut client = Self::over(DefaultConnector::new().connect(endpoint).await.expect("it listens"));
        client.greet("1.2").await;
        client
    }

    /// A client that is logged in with this version.
    pub(crate) async fn connected(broker: &Broker, version: &str) -> Self {
        let mut client = Self::new(broker);
        client.greet(version).await;
        client
    }

    pub(crate) async fn greet(&mut self, version: &str) -> Frame {
        self.say(&format!("CONNECT\naccept-version:{version}\nhost:h\n\n\0")).await;
        let connected = self.frame().await;
        assert_eq!(connected.command(), Command::Connected);
        self.decoder.set_version(version.parse::<Version>().expect("a version"));
        connected
    }

    pub(crate) async fn say(&mut self, wire: &str) {
        self.say_bytes(wire.as_bytes()).await;
    }

    pub(crate) async fn say_bytes(&mut self, wire: &[u8]) {
        poll_fn(|cx| self.transport.poll_ready(cx)).await.expect("the broker listens");
        let item = Outbound::whole(Bytes::copy_from_slice(wire));
        self.transport.start_send(item).expect("the broker listens");
        poll_fn(|cx| self.transport.poll_flush(cx)).await.expect("the broker listens");
    }

    /// The next bytes as they come; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Option<Bytes> {
        poll_fn(|cx| self.transport.poll_recv(cx)).await.and_then(Result::ok)
    }

    /// Says a frame, given without its NUL, and waits for its RECEIPT. Messages that come first are given back.
    pub(crate) async fn ask(&mut self, frame: &str) -> Vec<Frame> {
        self.receipts += 1;
        let receipt = format!("ask-{}", self.receipts);
        let (command, rest) = frame.split_once('\n').expect("a command line");
        self.say(&format!("{command}\nreceipt:{receipt}\n{rest}\0")).await;
        let mut before = Vec::new();
        loop {
            let frame = self.frame().await;
            if frame.command() == Command::Receipt {
                assert_eq!(header(&frame, "receipt-id"), receipt);
                return before;
            }
            assert_eq!(frame.command(), Command::Message, "{frame}");
            before.push(frame);
        }
    }

    pub(crate) async fn send(&mut self, destination: &str, body: &str) {
        let before = self.ask(&format!("SEND\ndestination:{destination}\n\n{body}")).await;
        assert!(before.is_empty(), "a sender that receives must read its messages itself");
    }

    pub(crate) async fn try_frame(&mut self) -> Option<Frame> {
        loop {
            match self.decoder.next().expect("what the broker writes is STOMP") {
                Some(Item::Frame(frame)) => return Some(frame),
                Some(Item::HeartBeat) => continue,
                None => {}
            }
            match poll_fn(|cx| self.transport.poll_recv(cx)).await {
                Some(Ok(bytes)) => self.decoder.push(bytes),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        self.try_frame().await.expect("a frame before the end")
    }

    pub(crate) async fn message(&mut self) -> Frame {
        let frame = self.frame().await;
        assert_eq!(frame.command(), Command::Message, "{frame}");
        frame
    }

    pub(crate) async fn body(&mut self) -> String {
        self.message().await.body_text().expect("text").to_owned()
    }

    /// Says this and expects an ERROR, and nothing behind it.
    pub(crate) async fn refused(mut self, wire: &str) -> Frame {
        self.say(wire).await;
        let error = self.frame().await;
        assert_eq!(error.command(), Command::Error, "{wire:?}: {error}");
        assert!(!header(&error, "message").is_empty() && !error.body().is_empty(), "it says what was wrong");
        assert!(self.try_frame().await.is_none(), "an ERROR ends the connection");
        error
    }
}

pub(crate) fn header(frame: &Frame, name: &str) -> String {
    frame.header(name).unwrap_or_default().into_owned()
}

pub(crate) async fn broker() -> Broker {
    Broker::builder().without_tcp().without_ws().start().await.expect("started")
}

pub(crate) async fn limited(change: impl FnOnce(&mut BrokerLimits)) -> Broker {
    let mut limits = BrokerLimits::default();
    change(&mut limits);
    Broker::builder().without_tcp().without_ws().limits(limits).start().await.expect("started")
}

pub(crate) async fn like(personality: Personality) -> Broker {
    let builder = Broker::builder().without_tcp().without_ws().personality(personality);
    builder.start().await.expect("started")
}

/// The same behind sockets.
pub(crate) async fn listening(personality: Personality) -> TestBroker {
    TestBroker::start_with(Broker::builder().personality(personality)).await
}

/// Three messages, delivered and unsettled; the acknowledgement headers of each.
pub(crate) async fn three(broker: &Broker, version: &str, ack: &str) -> (Raw, Vec<String>) {
    let mut sender = Raw::connected(broker, "1.2").await;
    for n in 1..=3 {
        sender.send("/queue/work", &n.to_string()).await;
    }
    let mut client = Raw::connected(broker, version).await;
    client.say(&format!("SUBSCRIBE\nid:s\ndestination:/queue/work\nack:{ack}\n\n\0")).await;
    let mut names = Vec::new();
    for _ in 0..3 {
        let message = client.message().await;
        assert_eq!(message.header("ack").is_some(), version == "1.2");
        names.push(match version {
            "1.2" => format!("id:{}\n", header(&message, "ack")),
            "1.1" => format!("message-id:{}\nsubscription:s\n", header(&message, "message-id")),
            _ => format!("message-id:{}\n", header(&message, "message-id")),
        });
    }
    (client, names)
}

/// What a queue holds, taken out of it.
pub(crate) async fn queue(broker: &Broker, name: &str) -> Vec<String> {
    let mut client = Raw::connected(broker, "1.2").await;
    let mut left = client.ask(&format!("SUBSCRIBE\nid:s\ndestination:{name}\n\n")).await;
    left.extend(client.ask("SEND\ndestination:/topic/nobody\n\n").await);
    left.iter().map(|message| message.body_text().expect("text").to_owned()).collect()
}
