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

use tokio::net::{TcpListener, TcpStream};

use self::connection::Connection;
pub(crate) use self::process::Server;
use self::splitter::Framing;
use crate::flavor::Flavor;

/// Serves until its standard input ends. Prints the ports for TCP and for WebSocket first.
///
/// # Panics
/// If 127.0.0.1 has no free ports.
pub fn session_server() -> ExitCode {
    Flavor::CurrentThread.runtime().block_on(async {
        let tcp = listen().await;
        let ws = listen().await;
        let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
        println!("{} {}", port(&tcp), port(&ws));
        thread::spawn(|| {
            // Whoever started this is gone, or done. Nothing else needs an orderly end.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        tokio::join!(accept(tcp, Framing::Stream), accept(ws, Framing::WebSocket));
    });
    ExitCode::SUCCESS
}

async fn listen() -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket can be made");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    socket.listen(BACKLOG).expect("it is bound")
}

async fn accept(listener: TcpListener, framing: Framing) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(serve(socket, framing));
    }
}

/// However it ends, the client sees it.
async fn serve(socket: TcpStream, framing: Framing) {
    let _ = socket.set_nodelay(true);
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
