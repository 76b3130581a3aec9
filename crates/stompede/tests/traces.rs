//! What a session tells to `tracing`: each step, and no secret.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use stompede::Client;
use stompede_broker::{Broker, TestBroker};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes everything down, spans with their fields too.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Book {
    fn write(&self, head: &str, record: impl FnOnce(&mut Line<'_>)) {
        let mut text = self.0.lock().expect("no panic");
        text.push_str(head);
        record(&mut Line(&mut text));
        text.push('\n');
    }

    fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }
}

impl Subscriber for Book {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("stompede")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.write(&format!("span {}", span.metadata().name()), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.write("record", |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata().target(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn session_attempt_send_and_delivery_are_traced_without_secrets() {
    let book = Book::default();
    let _guard = tracing::subscriber::set_default(book.clone());
    let broker = TestBroker::start_with(Broker::builder().login("me", "s3cret-pass")).await;
    let url = format!("{}?token=s3cret-query", broker.ws_url());
    let client = Client::builder(url)
        .credentials("me", "s3cret-pass")
        .header("x-token", "s3cret-header")
        .connect()
        .await
        .expect("connected");
    let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
    client
        .send("/topic/a")
        .header("authorization", "s3cret-auth")
        .text("s3cret-body")
        .confirm()
        .await
        .expect("confirmed");
    inbox.try_next().await.expect("open").expect("a message");
    client.disconnect().await.expect("in order");
    let text = book.text();
    for part in
        ["span session", "connecting", "connected", "message=send ", "message=delivery ", "session ended"]
    {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(text.contains("/topic/a") && !text.contains("s3cret"), "{text}");
}
