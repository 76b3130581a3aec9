use tokio::io::AsyncReadExt;

use crate::args::{self, Send};
use crate::{Outcome, say};

pub(crate) async fn run(options: Send) -> Outcome {
    let body = match options.body {
        Some(body) if body != "-" => body.into_bytes(),
        _ => standard_input().await?,
    };
    let client = options.connection.connect().await?;
    let mut message = client.send(&options.destination).body(body);
    if let Some(content_type) = options.content_type {
        message = message.header("content-type", content_type);
    }
    for (name, value) in options.headers {
        message = message.header(name, value);
    }
    if options.no_receipt {
        // That the broker answers the goodbye is all that is known of the message.
        let outcome = message.await.map_err(Into::into);
        return args::disconnect(&client, outcome).await;
    }
    let confirmed = message.confirm().await;
    let ended = client.disconnect().await;
    confirmed?;
    if let Err(error) = ended {
        // No failure: whoever sends again would double the message.
        say(format_args!("stompede: the message is confirmed, but {error}"));
    }
    Ok(())
}

/// All of it, but never more than a message may be: an endless pipe is told off instead of filling the memory.
async fn standard_input() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut body = Vec::new();
    tokio::io::stdin().take(MAX_BODY + 1).read_to_end(&mut body).await?;
    if body.len() as u64 > MAX_BODY {
        return Err(format!(
            "standard input holds more than {} MiB, the most a message may have",
            MAX_BODY >> 20
        )
        .into());
    }
    Ok(body)
}

/// Octets of a body: what RabbitMQ and the embedded broker take by default.
const MAX_BODY: u64 = 16 << 20;
