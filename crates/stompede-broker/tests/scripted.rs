//! The scripted peer: against this broker, against itself, and when it is disappointed.
#![cfg(feature = "scripted")]

mod common;

use std::time::Duration;

use stompede_broker::scripted::{ScriptError, ScriptedListener, ScriptedPeer};
use stompede_broker::{TestBroker, Version};
use stompede_transport::{Connector, DefaultConnector, Endpoint};

/// Both ends of a script.
fn pair() -> (ScriptedPeer, ScriptedPeer) {
    let (peer, transport) = ScriptedPeer::in_memory();
    (peer, ScriptedPeer::over(Box::new(transport)))
}

async fn dialled(url: &str) -> ScriptedPeer {
    let endpoint = Endpoint::parse(url).expect("a URL");
    ScriptedPeer::over(DefaultConnector::new().connect(endpoint).await.expect("it listens"))
}

#[tokio::test]
async fn it_plays_a_client_against_a_broker() -> Result<(), ScriptError> {
    let broker = TestBroker::start().await;
    for url in [broker.tcp_url(), broker.ws_url()] {
        let mut client = dialled(url).await;
        client.send("CONNECT\naccept-version:1.2\nhost:h\n\n\0").await?;
        client.expect("CONNECTED\nversion:1.2\nsession:*").await?;
        client.send("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0SEND\ndestination:/topic/a\n\na:b\0").await?;
        client.expect("MESSAGE\nsubscription:s\n\na:b").await?;
        client.send("DISCONNECT\nreceipt:bye\n\n\0").await?;
        client.expect("RECEIPT\nreceipt-id:bye").await?;
        client.end().await?;
    }
    Ok(())
}

#[tokio::test]
async fn it_plays_a_broker_at_a_socket() -> Result<(), Box<dyn std::error::Error>> {
    for listener in [ScriptedListener::tcp().await?, ScriptedListener::ws().await?] {
        let (peer, mut client) = tokio::join!(listener.accept(), dialled(listener.url()));
        let mut peer = peer?;
        client.send("CONNECT\naccept-version:1.1\nhost:h\nlogin:me\n\n\0").await?;
        let connect = peer.greet(Version::V1_1).await?;
        assert_eq!(connect.header("login").as_deref(), Some("me"));
        client.expect("CONNECTED\nversion:1.1").await?;
        client.send("SEND\ndestination:/queue/a\nreceipt:a\\cb\n\nx\0").await?;
        let send = peer.expect("SEND\ndestination:/queue/a\nreceipt:a:b\n\nx").await?;
        peer.confirm(&send).await?;
        client.expect("RECEIPT\nreceipt-id:a:b").await?;
        // What no broker would do: half a frame, and away.
        peer.send("MESSAGE\ndest").await?;
        peer.hang_up();
        client.end().await?;
    }
    Ok(())
}

#[tokio::test]
async fn heart_beats_are_passed_over_unless_they_are_asked_for() -> Result<(), ScriptError> {
    let (mut peer, mut client) = pair();
    client.send("\n\nSEND\ndestination:/queue/a\n\n\0\n").await?;
    peer.heart_beat().await?;
    peer.expect("SEND").await?;
    peer.heart_beat().await?;
    client.close().await?;
    peer.end().await
}

#[tokio::test]
async fn a_failure_shows_what_both_sides_said() -> Result<(), ScriptError> {
    let (mut peer, mut client) = pair();
    client.send("CONNECT\naccept-version:1.2\nlogin:me\npasscode:s3cret\n\n\0").await?;
    peer.greet(Version::V1_2).await?;
    peer.send("MESSAGE\nhalf").await?;
    client.send("\nSUBSCRIBE\nid:1\ndestination:/queue/b\n\n\0").await?;
    let error = peer.expect("SUBSCRIBE\nid:*\ndestination:/queue/a").await.unwrap_err();
    let shown = format!("{error:?}");
    assert_eq!(
        shown,
        "expected SUBSCRIBE id=* destination=\"/queue/a\"\n\
         but there was SUBSCRIBE id=\"1\" destination=\"/queue/b\"\n\
         so far (< came, > was sent):\n  \
           < CONNECT accept-version=\"1.2\" login=\"me\" passcode=\"***\"\n  \
           > CONNECTED version=\"1.2\"\n  \
           > \"MESSAGE\\nhalf\" (12 bytes)\n  \
           < (heart-beat)\n  \
           < SUBSCRIBE id=\"1\" destination=\"/queue/b\"\n"
    );
    assert!(!shown.contains("s3cret"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_way_to_be_disappointed_has_its_words() -> Result<(), ScriptError> {
    let (peer, mut client) = pair();
    let mut peer = peer.within(Duration::from_secs(3));
    let words = |error: ScriptError| error.to_string().lines().nth(1).map(String::from).unwrap_or_default();
    assert_eq!(words(peer.frame().await.unwrap_err()), "but there was nothing for 3s");
    client.send("\n").await?;
    assert_eq!(
        words(peer.within(Duration::from_secs(1)).frame().await.unwrap_err()),
        "but there was nothing for 1s"
    );

    let (peer, mut client) = pair();
    client.send("SEND\nhalf").await?;
    assert_eq!(
        words(peer.within(Duration::from_secs(1)).frame().await.unwrap_err()),
        "but there was nothing more for 1s, in the middle of a frame"
    );

    let (mut peer, mut client) = pair();
    client.send("SEND\n\n\0").await?;
    assert_eq!(words(peer.end().await.unwrap_err()), "but there was SEND");
    client.send("SEND\nhalf").await?;
    client.hang_up();
    assert_eq!(
        words(peer.heart_beat().await.unwrap_err()),
        "but there was the end, in the middle of a frame"
    );
    assert!(peer.send("x").await.is_err(), "nobody is there");

    let (mut peer, mut client) = pair();
    client.send("GET / HTTP/1.1\r\n\r\n").await?;
    assert!(words(peer.frame().await.unwrap_err()).starts_with("but there was what is not STOMP: "));
    let (peer, _client) = pair();
    let mut peer = peer.within(Duration::from_secs(1));
    let flood = peer.send(vec![b'\n'; 100_000]).await.and(peer.send("more").await);
    assert_eq!(words(flood.unwrap_err()), "but there was nothing was taken for 1s");
    Ok(())
}

#[tokio::test]
async fn a_long_story_keeps_its_end() -> Result<(), ScriptError> {
    let (mut peer, mut client) = pair();
    for n in 0..150 {
        client.send(format!("SEND\nn:{n}\n\n\0")).await?;
        peer.frame().await?;
    }
    let transcript = peer.transcript();
    assert!(
        transcript.starts_with("  (50 earlier)\n  < SEND n=\"50\"\n")
            && transcript.ends_with("  < SEND n=\"149\"\n")
    );
    Ok(())
}
