//! The other side: answers as a broker would, floods on request, counts what is sent, and does as little as it can.
//!
//! It is a process of its own, so that what the clients cost can be told apart. What it reads, it reads without our
//! codec.
//!
//! What a client says, and what comes of it:
//!
//! | frame | answer |
//! |---|---|
//! | CONNECT | CONNECTED, with the heart-beats that were offered, and kept |
//! | SUBSCRIBE with `flood:N` and `body:B` | N MESSAGEs with B octets; with `to:all`, to all subscriptions in turn |
//! | SEND to `/echo` | the same body as a MESSAGE to the last subscription |
//! | any with `receipt` | RECEIPT; with `expect:N`, an ERROR unless N frames SEND came before |
//! | DISCONNECT | the end, after its RECEIPT |

mod connection;
mod flood;
mod process;
mod splitter;

use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;

use stompede_transport::server::{TlsAcceptConfig, accept_tls_over};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use self::connection::Connection;
pub(crate) use self::process::Server;
use self::splitter::Framing;
use super::{Place, Wire};
use crate::flavor::Flavor;

/// Serves until its standard input ends. Prints its ports first, in the order of `Place::KINDS`.
///
/// # Panics
/// If 127.0.0.1 has no free ports.
pub fn session_server() -> ExitCode {
    Flavor::CurrentThread.runtime().block_on(async {
        let tls = tls();
        let mut ports = Vec::new();
        for (wire, is_tls) in Place::KINDS {
            let listener = listen().await;
            ports.push(listener.local_addr().expect("it is bound").port().to_string());
            let framing = if wire == Wire::Ws { Framing::WebSocket } else { Framing::Stream };
            tokio::spawn(accept(listener, framing, is_tls.then(|| tls.clone())));
        }
        println!("{}", ports.join(" "));
        thread::spawn(|| {
            // Whoever started this is gone, or done. Nothing else needs an orderly end.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

async fn listen() -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket can be made");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    socket.listen(BACKLOG).expect("it is bound")
}

/// With a certificate that nobody signed.
fn tls() -> TlsAcceptConfig {
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let config = TlsAcceptConfig::from_pem(identity.cert.pem(), identity.signing_key.serialize_pem());
    config.expect("a certificate and its key")
}

async fn accept(listener: TcpListener, framing: Framing, tls: Option<TlsAcceptConfig>) {
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        let Some(tls) = tls.clone() else {
            tokio::spawn(serve(socket, framing));
            continue;
        };
        tokio::spawn(async move {
            match accept_tls_over(socket, &tls, framing == Framing::WebSocket).await {
                Ok(stream) => serve(stream, framing).await,
                Err(error) => eprintln!("the server of the bench: {error}"),
            }
        });
    }
}

/// However it ends, the client sees it.
async fn serve(socket: impl AsyncRead + AsyncWrite + Unpin, framing: Framing) {
    let mut connection = Connection::new(socket, framing);
    if let Err(error) = connection.run().await
        && error.kind() == std::io::ErrorKind::InvalidData
    {
        eprintln!("the server of the bench: {error}");
    }
}

/// Octets of the frames in a flood to one subscription, without what a WebSocket puts around them.
pub(crate) fn flood_octets(subscription: &str, messages: usize, body: usize) -> usize {
    flood::Flood::new(Framing::Stream, &[subscription.to_owned()], body, false).octets(messages)
}

/// Thousands connect at once.
const BACKLOG: u32 = 4096;
