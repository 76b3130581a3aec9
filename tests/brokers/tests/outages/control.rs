//! Asks whoever started RabbitMQ to do something to it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than a start may take.
const LIMIT: Duration = Duration::from_secs(90);

/// Says one word; returns when it has been done.
pub(crate) async fn order(control: &str, word: &str) {
    let done = tokio::time::timeout(LIMIT, async {
        let mut stream = TcpStream::connect(control).await.expect("whoever started RabbitMQ listens");
        stream.write_all(format!("{word}\n").as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    });
    assert_eq!(done.await.expect("done in time").trim_end(), "ok", "{word}");
}
