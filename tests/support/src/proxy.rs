//! A small HTTP proxy: CONNECT, and nothing else.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running HTTP proxy; it ends when it is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct TestProxy {
    /// Where it listens, as `host:port`.
    pub address: String,
    /// The heads of all requests, in order.
    pub requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl TestProxy {
    /// Passes on to whoever is asked for; `authorization` is what `Proxy-Authorization` has to say, if anything.
    pub async fn start(authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, authorization, seen.clone()));
            }
        });
        Self { address, requests, task }
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, authorization: Option<&str>, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    seen.lock().unwrap().push(head.clone());
    let given = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let answer = match target {
        None => "HTTP/1.1 405 Method Not Allowed\r\n\r\n",
        Some(_) if given != authorization => {
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\n\r\n"
        }
        Some(target) => match TcpStream::connect(target).await {
            Err(_) => "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            Ok(mut broker) => {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                if copy_bidirectional(&mut client, &mut broker).await.is_err() {
                    // One side was cut off; the other must not take that for an end in order.
                    let _ = (client.set_zero_linger(), broker.set_zero_linger());
                }
                return;
            }
        },
    };
    let _ = client.write_all(answer.as_bytes()).await;
}
