//! Every way in which a connection can fail to start, over TCP and WebSocket: a typed error, in time.
//!
//! The peer is a script of its own on a socket of the system; time limits are short so that the tests are.

use std::future::{Future, poll_fn};
use std::time::Duration;

use stompede::transport::server::{AcceptConfig, accept_tcp, accept_ws};
use stompede::transport::{BoxTransport, Outbound, Transport};
use stompede::{
    Client, Endpoint, Error, ErrorKind, ReconnectPolicy, TransportError, TransportErrorKind, Version,
};
use stompede_broker::scripted::ScriptedListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A time limit short enough to wait for, where waiting is the point.
const SHORT: Duration = Duration::from_millis(300);

/// A time limit that nothing here comes near, also on a busy machine.
const LONG: Duration = Duration::from_secs(8);

/// Far more than anything here takes: a hang fails instead of hanging.
const HANG: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tcp,
    Ws,
}

/// One connection of a scripted peer.
struct Peer(BoxTransport);

impl Peer {
    /// Reads whatever the client wrote first.
    async fn read(&mut self) {
        let chunk = poll_fn(|cx| self.0.poll_recv(cx)).await;
        assert!(matches!(chunk, Some(Ok(_))), "CONNECT comes first: {chunk:?}");
    }

    async fn say(&mut self, wire: &'static str) {
        poll_fn(|cx| self.0.poll_ready(cx)).await.expect("the client listens");
        self.0.start_send(Outbound::whole(wire.into())).expect("the client listens");
        poll_fn(|cx| self.0.poll_flush(cx)).await.expect("the client listens");
    }

    async fn close(&mut self) {
        // The client may have hung up already, which is what it should do.
        let _ = poll_fn(|cx| self.0.poll_close(cx)).await;
    }

    /// Waits until the client hangs up.
    async fn wait_for_the_end(&mut self) {
        while let Some(Ok(_)) = poll_fn(|cx| self.0.poll_recv(cx)).await {}
    }
}

/// Connects to a peer that plays `script`; gives what became of it.
async fn meet<F>(kind: Kind, script: impl FnOnce(Peer) -> F) -> Result<Client, Error>
where
    F: Future<Output = ()>,
{
    meet_within(LONG, kind, script).await
}

/// As [`meet`], with this much time for CONNECTED.
async fn meet_within<F>(limit: Duration, kind: Kind, script: impl FnOnce(Peer) -> F) -> Result<Client, Error>
where
    F: Future<Output = ()>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let scheme = match kind {
        Kind::Tcp => "tcp",
        Kind::Ws => "ws",
    };
    let serve = async {
        let (stream, _) = listener.accept().await.expect("a client");
        let transport = match kind {
            Kind::Tcp => accept_tcp(stream),
            Kind::Ws => accept_ws(stream, &AcceptConfig::new()).await,
        };
        script(Peer(transport.expect("accepted"))).await;
    };
    let client = Client::builder(format!("{scheme}://{address}"))
        .reconnect(ReconnectPolicy::never())
        .handshake_timeout(limit)
        .connect();
    let (client, ()) =
        tokio::time::timeout(HANG, async { tokio::join!(client, serve) }).await.expect("no hang");
    client
}

/// What comes of an answer to CONNECT after which the peer keeps its connection open.
async fn failures(answer: &'static str) -> Vec<Error> {
    let mut failures = Vec::new();
    for kind in [Kind::Tcp, Kind::Ws] {
        let outcome = meet(kind, |mut peer| async move {
            peer.read().await;
            peer.say(answer).await;
            peer.wait_for_the_end().await;
        });
        failures.push(outcome.await.expect_err(answer));
    }
    failures
}

#[tokio::test]
async fn a_version_that_was_not_offered_is_a_mismatch() {
    for error in failures("CONNECTED\nversion:1.3\n\n\0").await {
        assert_eq!(error.kind(), ErrorKind::VersionMismatch);
        assert!(error.to_string().contains("1.3"), "{error}");
    }
}

#[tokio::test]
async fn connected_without_version_is_1_0_and_a_raw_colon_is_no_error() {
    for kind in [Kind::Tcp, Kind::Ws] {
        let outcome = meet(kind, |mut peer| async move {
            peer.read().await;
            peer.say("CONNECTED\nsession:ID:vm-32889-1:3\nheart-beat:0,0\n\n\0\n").await;
            // It stays until the client goes.
            tokio::spawn(async move { peer.wait_for_the_end().await });
        });
        let broker = outcome.await.expect("connected").connected().expect("still connected");
        assert_eq!((broker.version(), broker.session().as_deref()), (Version::V1_0, Some("ID:vm-32889-1:3")));
    }
}

#[tokio::test]
async fn an_error_instead_of_connected_brings_its_words_while_the_socket_stays_open() {
    for error in failures("ERROR\nmessage:Bad CONNECT\n\nAccess refused for user 'guest'\n\0").await {
        assert_eq!(error.kind(), ErrorKind::LoginRefused);
        let frame = error.frame().expect("the ERROR frame");
        assert_eq!(frame.header("message").as_deref(), Some("Bad CONNECT"));
        assert_eq!(frame.body_text(), Ok("Access refused for user 'guest'\n"));
    }
}

#[tokio::test]
async fn an_error_is_not_lost_when_the_peer_closes_behind_it() {
    for kind in [Kind::Tcp, Kind::Ws] {
        let outcome = meet(kind, |mut peer| async move {
            peer.read().await;
            peer.say("ERROR\nmessage:go away\n\n\0").await;
            peer.close().await;
        });
        let error = outcome.await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::LoginRefused, "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn an_error_is_not_lost_when_a_reset_comes_behind_it() {
    let error = raw(LONG, |mut stream| async move {
        // Unread bytes in the receive queue make the system answer a close with a reset.
        stream.readable().await.expect("CONNECT");
        stream.write_all(b"ERROR\nmessage:go away\n\n\0").await.expect("written");
    });
    let error = error.await.expect_err("refused");
    // The reset may overtake what was sent before it; then the loss itself is the truth.
    match error.kind() {
        ErrorKind::LoginRefused => assert!(error.to_string().contains("go away")),
        kind => assert_eq!(kind, ErrorKind::ConnectionLost, "{error}"),
    }
}

#[tokio::test]
async fn the_escapes_of_another_version_do_not_hide_an_error() {
    for error in failures("ERROR\nmessage:odd \\t escape\\c \\r\n\n\0").await {
        assert_eq!(error.kind(), ErrorKind::LoginRefused);
        assert!(error.to_string().contains("odd \\t escape"), "{error}");
    }
}

#[tokio::test]
async fn another_frame_first_is_no_handshake() {
    for answer in ["RECEIPT\nreceipt-id:1\n\n\0", "MESSAGE\nmessage-id:1\nsubscription:0\n\nx\0"] {
        for error in failures(answer).await {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_no_stomp_is_told_so() {
    for answer in ["220 mail.example ESMTP ready\r\n", "{\"hello\":\"world\"}", "\u{1}\u{2}\u{3}\n\n\0"] {
        for error in failures(answer).await {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{answer:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_second_connected_ends_the_connection() {
    for kind in [Kind::Tcp, Kind::Ws] {
        let outcome = meet(kind, |mut peer| async move {
            peer.read().await;
            peer.say("CONNECTED\nversion:1.2\n\n\0").await;
            peer.say("CONNECTED\nversion:1.2\n\n\0").await;
            peer.wait_for_the_end().await;
        });
        // Whether connect() still saw the first one is a race; the session ends either way.
        let cause = match outcome.await {
            Ok(client) => client.closed().await.expect("a cause"),
            Err(error) => error,
        };
        assert_eq!(cause.kind(), ErrorKind::Protocol);
    }
}

#[tokio::test]
async fn line_ends_and_then_a_close_are_a_lost_connection() {
    for kind in [Kind::Tcp, Kind::Ws] {
        let outcome = meet(kind, |mut peer| async move {
            peer.read().await;
            peer.say("\n\r\n\n").await;
            peer.close().await;
        });
        assert_eq!(outcome.await.expect_err("closed").kind(), ErrorKind::ConnectionLost, "{kind:?}");
    }
}

#[tokio::test]
async fn a_peer_that_dribbles_does_not_get_more_time() {
    for kind in [Kind::Tcp, Kind::Ws] {
        let outcome = meet_within(SHORT, kind, |mut peer| async move {
            peer.read().await;
            let dribble = async {
                peer.say("CONNECTED\nx:").await;
                let mut tick = tokio::time::interval(Duration::from_millis(20));
                loop {
                    tick.tick().await;
                    poll_fn(|cx| peer.0.poll_ready(cx)).await?;
                    peer.0.start_send(Outbound::whole("x".into()))?;
                    poll_fn(|cx| peer.0.poll_flush(cx)).await?;
                }
            };
            let ended: Result<(), TransportError> = dribble.await;
            assert!(ended.is_err(), "the client hangs up");
        });
        assert_eq!(outcome.await.expect_err("too slow").kind(), ErrorKind::HandshakeTimedOut, "{kind:?}");
    }
}

/// Connects over `tcp://` to a peer that handles its socket itself.
async fn raw<F>(limit: Duration, script: impl FnOnce(TcpStream) -> F) -> Result<Client, Error>
where
    F: Future<Output = ()>,
{
    meet_raw("tcp", limit, script).await
}

async fn meet_raw<F>(
    scheme: &str,
    limit: Duration,
    script: impl FnOnce(TcpStream) -> F,
) -> Result<Client, Error>
where
    F: Future<Output = ()>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let client = Client::builder(format!("{scheme}://{address}"))
        .connect_timeout(limit)
        .handshake_timeout(limit)
        .connect();
    let serve = async {
        let (stream, _) = listener.accept().await.expect("a client");
        script(stream).await;
    };
    tokio::time::timeout(HANG, async { tokio::join!(client, serve) }).await.expect("no hang").0
}

/// What a server answers to the upgrade, and what is to come of it.
async fn upgrade_answered(answer: &'static [u8], then_close: bool) -> Error {
    let limit = if then_close { LONG } else { SHORT };
    let outcome = meet_raw("ws", limit, |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await.expect("a request");
        stream.write_all(answer).await.expect("the client listens");
        if !then_close {
            // Until the client hangs up.
            let _ = stream.read(&mut [0; 64]).await;
        }
    });
    outcome.await.expect_err("no WebSocket")
}

#[tokio::test]
async fn an_http_server_that_is_no_websocket_is_told_by_its_answer() {
    let refused = |status| TransportErrorKind::UpgradeRefused { status };
    let cases: [(&[u8], TransportErrorKind); 6] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", refused(200)),
        (b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", refused(302)),
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno", TransportErrorKind::Unauthorized),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", TransportErrorKind::Forbidden),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", refused(404)),
        (b"ERROR\nmessage:this is STOMP\n\n\0", TransportErrorKind::Handshake),
    ];
    for (answer, expected) in cases {
        let error = upgrade_answered(answer, true).await;
        let found = error.transport().map(TransportError::kind);
        assert_eq!(found, Some(&expected), "{}: {error}", String::from_utf8_lossy(answer));
        assert_eq!(error.kind(), ErrorKind::DialFailed);
    }
}

/// No test may dial an address elsewhere, so the system's answer comes from a connector.
#[tokio::test]
async fn an_unreachable_host_is_told_apart() {
    for unreachable in [std::io::ErrorKind::HostUnreachable, std::io::ErrorKind::NetworkUnreachable] {
        let connector = move |_: Endpoint| async move {
            Err::<BoxTransport, _>(TransportError::from_io(
                unreachable.into(),
                "cannot connect to broker.example",
            ))
        };
        let error = Client::builder("tcp://broker.example")
            .connector(connector)
            .connect()
            .await
            .expect_err("no route");
        let found = error.transport().map(TransportError::kind);
        assert_eq!((error.kind(), found), (ErrorKind::DialFailed, Some(&TransportErrorKind::Unreachable)));
        assert!(error.to_string().contains("broker.example"), "{error}");
    }
}

#[tokio::test]
async fn half_an_upgrade_and_silence_run_into_the_time_limit() {
    let error = upgrade_answered(b"HTTP/1.1 101 Switching", false).await;
    assert_eq!(error.kind(), ErrorKind::ConnectTimedOut);
    let error = upgrade_answered(b"", false).await;
    assert_eq!(error.kind(), ErrorKind::ConnectTimedOut);
    let error = upgrade_answered(b"HTTP/1.1 101 Switching", true).await;
    assert_eq!(error.kind(), ErrorKind::DialFailed);
}

#[tokio::test]
async fn a_tcp_peer_that_accepts_and_stays_silent_runs_into_the_time_limit() {
    let outcome = raw(SHORT, |mut stream| async move {
        let mut sink = Vec::new();
        // Until the client hangs up.
        let _ = stream.read_to_end(&mut sink).await;
    });
    assert_eq!(outcome.await.expect_err("silence").kind(), ErrorKind::HandshakeTimedOut);
}

/// Whoever waits for a broker that is still starting does not wait for one that has refused him.
#[tokio::test]
async fn attempts_at_a_first_connection_end_with_a_refused_login() {
    for listener in
        [ScriptedListener::tcp().await.expect("a port"), ScriptedListener::ws().await.expect("a port")]
    {
        let mut policy = ReconnectPolicy::default();
        (policy.retry_initial_connect, policy.initial, policy.max) = (true, SHORT / 100, SHORT / 100);
        let client = Client::builder(listener.url()).reconnect(policy).connect();
        let serve = async {
            for _ in 0..3 {
                let mut peer = listener.accept().await.expect("a client");
                peer.expect("CONNECT").await.expect("it begins");
                peer.hang_up();
            }
            let mut peer = listener.accept().await.expect("a client");
            peer.expect("CONNECT").await.expect("it begins");
            peer.send("ERROR\nmessage:Bad CONNECT\n\nAccess refused\0").await.expect("it listens");
            peer.end().await.expect("it hangs up");
        };
        let (client, ()) =
            tokio::time::timeout(HANG, async { tokio::join!(client, serve) }).await.expect("no hang");
        let error = client.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::LoginRefused);
        assert_eq!(error.frame().expect("what the broker said").body_text(), Ok("Access refused"));
    }
}

/// Whoever gives up waiting leaves no connection behind, neither before CONNECT was read nor after.
#[tokio::test]
async fn a_connect_that_is_dropped_hangs_up() {
    for listener in
        [ScriptedListener::tcp().await.expect("a port"), ScriptedListener::ws().await.expect("a port")]
    {
        let mut connecting = Box::pin(Client::builder(listener.url()).connect());
        let met = async {
            let mut peer = listener.accept().await.expect("a client");
            peer.expect("CONNECT").await.expect("it begins");
            peer
        };
        let mut peer = tokio::select! {
            _ = &mut connecting => unreachable!("nobody answers"),
            peer = met => peer,
        };
        drop(connecting);
        peer.end().await.expect("it hangs up");
    }
}
