use tokio::io::AsyncReadExt;

use crate::Outcome;
use crate::args::{self, Send};

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
    let outcome = if options.no_receipt {
        message.await.map_err(Into::into)
    } else {
        message.confirm().await.map(drop).map_err(Into::into)
    };
    args::disconnect(&client, outcome).await
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
