//! A transport of our own: two channels of messages, as a message bus inside a process would have them. One end speaks for a
//! session, the other is served by the broker. Exits with 0 if messages went through.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use stompede_session::{Config, Session};
use stompede_transport::{
    Connector, DefaultConnector, Endpoint, Outbound, Transport, TransportError, TransportErrorKind,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// Messages that a channel holds: more only add latency.
const CAPACITY: usize = 16;

/// One end of the bus.
struct Bus {
    incoming: Receiver<Bytes>,
    outgoing: Option<Sender<Bytes>>,
    /// What was started and found no room yet; one item at most.
    waiting: VecDeque<Bytes>,
    sending: Option<JoinHandle<bool>>,
}

fn pair() -> (Bus, Bus) {
    let (left, right) = (channel(CAPACITY), channel(CAPACITY));
    let end = |outgoing, incoming| Bus {
        incoming,
        outgoing: Some(outgoing),
        waiting: VecDeque::new(),
        sending: None,
    };
    (end(left.0, right.1), end(right.0, left.1))
}

fn gone() -> TransportError {
    TransportError::new(TransportErrorKind::Lost, "the other end of the bus is gone")
}

impl Bus {
    /// Moves what waits into the channel.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        loop {
            if let Some(task) = &mut self.sending {
                let sent = ready!(std::pin::Pin::new(task).poll(cx)).unwrap_or(false);
                self.sending = None;
                if !sent {
                    return Poll::Ready(Err(gone()));
                }
            }
            let Some(item) = self.waiting.pop_front() else { return Poll::Ready(Ok(())) };
            let Some(outgoing) = self.outgoing.clone() else { return Poll::Ready(Err(gone())) };
            self.sending = Some(tokio::spawn(async move { outgoing.send(item).await.is_ok() }));
        }
    }
}

impl Transport for Bus {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.incoming.poll_recv(cx).map(|item| item.map(Ok))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if self.waiting.is_empty() { Poll::Ready(Ok(())) } else { self.poll_push(cx) }
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.waiting.push_back(item.into_bytes());
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.poll_push(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        ready!(self.poll_push(cx))?;
        self.outgoing = None;
        Poll::Ready(Ok(()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = std::sync::Arc::new(stompede_broker::Broker::start().await?);
    let serving = broker.clone();
    let connector = move |_: Endpoint| {
        let (ours, theirs) = pair();
        serving.accept(Box::new(theirs));
        async move { Ok(ours) }
    };
    let session = Session::connect(Config::for_url("bus://inside")?, connector).await?;
    let mut inbox = session.subscribe("/topic/a").confirm().await?;
    let large = vec![7_u8; 200_000];
    for _ in 0..100 {
        session.send("/topic/a").body(large.clone()).confirm().await?;
        let message = inbox.try_next().await?.ok_or("the stream ended")?;
        assert_eq!(message.body(), &large);
    }
    session.disconnect().await?;
    println!("100 messages over a bus of our own");
    nothing_goes_out_in_the_clear().await;
    Ok(())
}

/// Nobody has switched the feature `tls` on here, which no build of the whole workspace can say of itself.
async fn nothing_goes_out_in_the_clear() {
    for url in ["tls://127.0.0.1:1", "wss://127.0.0.1:1/ws"] {
        let endpoint = Endpoint::parse(url).expect("a URL");
        let error = DefaultConnector::new().connect(endpoint).await.err().expect("it cannot");
        assert_eq!(error.kind(), &TransportErrorKind::UnsupportedScheme, "{error}");
        assert!(error.to_string().contains("the feature `tls` is switched off"), "{error}");
    }
}
