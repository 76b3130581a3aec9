use tokio::io::AsyncReadExt;

use crate::Outcome;
use crate::args::{self, Send};

pub(crate) async fn run(options: Send) -> Outcome {
    let body = match options.body {
        Some(body) if body != "-" => body.into_bytes(),
        _ => {
            let mut body = Vec::new();
            tokio::io::stdin().read_to_end(&mut body).await?;
            body
        }
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
