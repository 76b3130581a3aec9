use std::io::Write;

use serde_json::{Map, Value, json};
use stompede::{Message, Subscription};

use crate::args::{self, Listen};
use crate::{Outcome, say};

pub(crate) async fn run(options: Listen) -> Outcome {
    let client = options.connection.connect().await?;
    let mut subscribe = client.subscribe(&options.destination).ack(options.ack.into());
    for (name, value) in options.headers {
        subscribe = subscribe.header(name, value);
    }
    if !options.no_receipt {
        subscribe = subscribe.confirm();
    }
    let mut subscription = subscribe.await?;
    say(format_args!("listening on {}", options.destination));
    let outcome = tokio::select! {
        outcome = print_all(&mut subscription, options.count, options.json) => outcome,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into),
    };
    args::disconnect(&client, outcome).await
}

async fn print_all(subscription: &mut Subscription, count: Option<u64>, as_json: bool) -> Outcome {
    let mut printed = 0;
    while count.is_none_or(|count| printed < count) {
        let Some(message) = subscription.try_next().await? else { break };
        let line = if as_json { to_json(&message).to_string() } else { to_text(&message) };
        // Not println!: whoever reads may have gone, which is an error and no panic.
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
        drop(out);
        message.ack()?;
        printed += 1;
    }
    Ok(())
}

/// Text as it is; anything else as its length and its first bytes.
fn to_text(message: &Message) -> String {
    match message.text() {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let body = message.body();
            let start = &body[..body.len().min(PREFIX)];
            let more = if body.len() > PREFIX { "…" } else { "" };
            format!("[{} bytes: {}{more}]", body.len(), hex(start))
        }
    }
}

/// Of repeated headers the first counts, so that is the one that is shown.
fn to_json(message: &Message) -> Value {
    let mut headers = Map::new();
    for (name, value) in message.frame().headers() {
        headers.entry(name).or_insert_with(|| Value::from(value.into_owned()));
    }
    match message.text() {
        Ok(text) => json!({ "headers": headers, "text": text }),
        Err(_) => json!({ "headers": headers, "hex": hex(message.body()) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of a binary body that are shown: one line of a terminal.
const PREFIX: usize = 32;
