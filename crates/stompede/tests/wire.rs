//! What brokers may write, and how: in any cut, over TCP and in WebSocket messages that know nothing of frames.

use std::time::Duration;

use stompede::{Client, ReconnectPolicy, Version};
use stompede_broker::scripted::ScriptedListener;

/// Far more than anything here takes: a hang fails instead of hanging.
const HANG: Duration = Duration::from_secs(20);

/// Line ends and a RECEIPT for nobody stand between the frames: each of them is allowed everywhere.
const BETWEEN: &[&[u8]] = &[
    b"",
    b"\n",
    b"\r\n\r\n\n",
    b"\nRECEIPT\nreceipt-id:nobody\n\n\0\n",
    b"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
];

/// What stands behind the headers that each MESSAGE has, the body that arrives, and what is asked of the headers.
type Case = (&'static [u8], &'static [u8], &'static [(&'static str, &'static [&'static str])]);

const CASES: &[Case] = &[
    (b"\n\none\0", b"one", &[("note", &[])]),
    (b"\r\ncontent-type:text/plain\r\n\r\ntwo\r\n\0", b"two\r\n", &[("content-type", &["text/plain"])]),
    (b"\n\n\0", b"", &[]),
    (b"\ncontent-length:0\n\n\0", b"", &[]),
    (b"\ncontent-length:9\n\n\0\xff\0\n\0\r\n\xc3\0\0", b"\0\xff\0\n\0\r\n\xc3\0", &[]),
    (b"\ncontent-length:0000000003\n\n\n\n\n\0", b"\n\n\n", &[]),
    (b"\ncontent-length:8\n\nMESSAGE\n\0", b"MESSAGE\n", &[]),
    (b"\n\n\xff\xfe without a length\0", b"\xff\xfe without a length", &[]),
    ("\nnöte:\u{1f980}é\n\nßü\u{1f980}\0".as_bytes(), "ßü\u{1f980}".as_bytes(), &[("nöte", &["\u{1f980}é"])]),
    (b"\nnote:first\nempty:\nnote:second\n\nx\0", b"x", &[("note", &["first", "second"]), ("empty", &[""])]),
    (b"\n padded : blank \n\nx\0", b"x", &[(" padded ", &[" blank "]), ("padded", &[])]),
    (b"\na\\cb:\\r\\n\\\\n\\\\\\c\n\nx\0", b"x", &[("a:b", &["\r\n\\n\\:"])]),
    (b"\nnote::a:b:\n\nx\0", b"x", &[("note", &[":a:b:"])]),
    (b"\ncontent-length:1\ncontent-length:7\n\nx\0", b"x", &[("content-length", &["1", "7"])]),
    (b"\nContent-Length:7\n\nx\0", b"x", &[("Content-Length", &["7"]), ("content-length", &[])]),
];

/// All of them in one stream.
fn stream() -> Vec<u8> {
    let mut stream = Vec::new();
    for (n, (rest, ..)) in CASES.iter().enumerate() {
        let head = format!("MESSAGE\nsubscription:s\nmessage-id:{n}\ndestination:/queue/a");
        let head = if rest.starts_with(b"\r") { head.replace('\n', "\r\n") } else { head };
        for part in [head.as_bytes(), rest, BETWEEN[n % BETWEEN.len()]] {
            stream.extend_from_slice(part);
        }
    }
    stream
}

async fn arrives(listener: &ScriptedListener, cut: usize) {
    let client = Client::builder(listener.url()).reconnect(ReconnectPolicy::never()).connect();
    let (client, mut peer) = tokio::join!(client, async {
        let mut peer = listener.accept().await.expect("a client");
        peer.expect("CONNECT").await.expect("it begins");
        peer.set_version(Version::V1_2);
        let connected = "\n\r\nCONNECTED\r\nversion:1.2\r\nsession:\u{fc}\u{1f980}:\\c\r\n\r\n\0\r\n";
        for piece in connected.as_bytes().chunks(cut) {
            peer.send(piece).await.expect("the client listens");
        }
        peer
    });
    let client = client.expect("connected");
    let session = client.connected().expect("open").session().map(|session| session.to_string());
    assert_eq!(session.as_deref(), Some("\u{fc}\u{1f980}:\\c"), "CONNECTED has no escapes");
    let mut messages = client.subscribe("/queue/a").id("s").await.expect("subscribed");
    peer.expect("SUBSCRIBE").await.expect("it subscribes");
    let write = async {
        for piece in stream().chunks(cut) {
            peer.send(piece).await.expect("the client listens");
        }
    };
    let read = async {
        for (n, (rest, body, headers)) in CASES.iter().enumerate() {
            let case = format!("{}, cut into {cut}", rest.escape_ascii());
            let message = messages.try_next().await.expect(&case).expect("a message");
            assert_eq!((&*message.id(), &message.body()[..]), (&*n.to_string(), *body), "{case}");
            for (name, values) in *headers {
                let found: Vec<_> = message.frame().headers().get_all(name).collect();
                assert_eq!(found, **values, "{name} of {case}");
            }
        }
    };
    tokio::join!(write, read);
    let (ended, ()) = tokio::join!(client.disconnect(), async {
        let goodbye = peer.expect("DISCONNECT").await.expect("it leaves");
        peer.confirm(&goodbye).await.expect("it waits for that");
        peer.hang_up();
    });
    ended.expect("in order");
}

#[tokio::test]
async fn what_a_broker_writes_is_understood_however_it_is_cut() {
    let listeners =
        [ScriptedListener::tcp().await.expect("a port"), ScriptedListener::ws().await.expect("a port")];
    for listener in &listeners {
        for cut in [1, 2, 3, 5, 16, 61, 200, usize::MAX] {
            tokio::time::timeout(HANG, arrives(listener, cut)).await.expect("no hang");
        }
    }
}
