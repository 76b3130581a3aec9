//! Heart-beats and limits on time, in virtual time: it passes when nothing else is left to do.

#![expect(clippy::disallowed_methods, reason = "a test may read the time that it has made pass")]

mod common;

use std::time::Duration;

use common::{Raw, broker, header, limited};
use stompede_broker::{Broker, Limit};
use stompede_codec::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

async fn beating(send: Duration, receive: Duration) -> Broker {
    Broker::builder().without_tcp().without_ws().heart_beat(send, receive).start().await.expect("started")
}

/// A client that asked for these heart-beats, and what CONNECTED said to it.
async fn asking(broker: &Broker, version: &str, heart_beat: &str) -> (Raw, String) {
    let mut client = Raw::new(broker);
    client.say(&format!("CONNECT\naccept-version:{version}\nhost:h\nheart-beat:{heart_beat}\n\n\0")).await;
    let connected = client.frame().await;
    assert_eq!(connected.command(), Command::Connected);
    (client, header(&connected, "heart-beat"))
}

#[tokio::test(start_paused = true)]
async fn both_sides_numbers_decide_how_often_the_broker_beats() {
    for (ours, theirs, interval) in [
        ((2000, 0), "0,5000", Some(5000)),
        ((5000, 0), "0,2000", Some(5000)),
        ((0, 0), "0,100", None),
        ((100, 0), "0,0", None),
    ] {
        let broker = beating(Duration::from_millis(ours.0), Duration::from_millis(ours.1)).await;
        let (mut client, offered) = asking(&broker, "1.2", theirs).await;
        assert_eq!(offered, format!("{},{}", ours.0, ours.1));
        let started = Instant::now();
        let mut beats = 0;
        while timeout(60 * SECOND - started.elapsed(), client.chunk())
            .await
            .is_ok_and(|chunk| chunk.as_deref() == Some(b"\n"))
        {
            beats += 1;
        }
        let expected = interval.map_or(0, |interval: u32| 60_000 / (interval * 3 / 4));
        assert!((expected.saturating_sub(1)..=expected).contains(&beats), "{ours:?} {theirs}: {beats}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_as_good_as_a_heart_beat() {
    let broker = beating(SECOND, Duration::ZERO).await;
    let (mut client, _) = asking(&broker, "1.1", "0,1000").await;
    for _ in 0..20 {
        sleep(SECOND / 2).await;
        client.say("SEND\ndestination:/topic/a\nreceipt:r\n\n\0").await;
        let chunk = client.chunk().await.expect("still there");
        assert!(chunk.starts_with(b"RECEIPT"), "no heart-beat is needed: {chunk:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_beyond_the_grace_ends_the_connection() {
    let broker = beating(Duration::ZERO, SECOND).await;
    let (mut client, _) = asking(&broker, "1.2", "500,0").await;
    for _ in 0..10 {
        sleep(SECOND).await;
        client.say("\n").await;
    }
    let last = Instant::now();
    let error = client.frame().await;
    assert_eq!(header(&error, "message"), "heart-beat missed");
    assert_eq!(last.elapsed().as_secs(), 2, "twice the interval");
    assert!(client.try_frame().await.is_none());
    assert_eq!(broker.stats().hits(Limit::HeartBeat), 1);
}

#[tokio::test(start_paused = true)]
async fn part_of_a_frame_is_a_sign_of_life() {
    let broker = beating(Duration::ZERO, SECOND).await;
    let (mut client, _) = asking(&broker, "1.2", "1000,0").await;
    client.say("SEND\ndestination:/topic/a\nreceipt:r\n\n").await;
    for _ in 0..10 {
        sleep(SECOND).await;
        client.say("x").await;
    }
    client.say("\0").await;
    assert_eq!(client.frame().await.command(), Command::Receipt);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_ended_who_promised_nothing() {
    let broker = beating(SECOND, SECOND).await;
    let (mut silent, _) = asking(&broker, "1.2", "0,0").await;
    let mut old = Raw::connected(&broker, "1.0").await;
    sleep(3600 * SECOND).await;
    silent.ask("SEND\ndestination:/topic/a\n\n").await;
    old.ask("SEND\ndestination:/topic/a\n\n").await;
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_of_what_waits_is_ended() {
    // Little enough waits for it that no topic gives it up.
    let broker = limited(|limits| limits.stalled_for = 5 * SECOND).await;
    let mut deaf = Raw::connected(&broker, "1.2").await;
    deaf.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n").await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    let body = "x".repeat(50_000);
    for _ in 0..4 {
        sender.send("/queue/a", &body).await;
    }
    sleep(4 * SECOND).await;
    assert_eq!(broker.stats().connections, 2);
    sleep(3 * SECOND).await;
    assert_eq!((broker.stats().connections, broker.stats().hits(Limit::SlowConsumer)), (1, 1));
    assert_eq!(broker.messages("/queue/a").len(), 4, "what it had is for others now");
    drop(deaf);
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_has_not_stalled() {
    let broker = limited(|limits| limits.stalled_for = 5 * SECOND).await;
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    broker.accept(Box::new(stompede_transport::from_io(far)));
    near.write_all(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0")
        .await
        .expect("the broker reads");
    broker.wait_for_subscriptions("/queue/a", 1, SECOND).await.expect("there it is");
    let mut sender = Raw::connected(&broker, "1.2").await;
    sender.send("/queue/a", &"x".repeat(1_000_000)).await;
    // One frame, which takes half a minute and more on this line.
    let (mut wire, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    while wire.len() < 1_000_000 {
        sleep(2 * SECOND).await;
        let read = near.read(&mut piece).await.expect("the broker is there");
        assert_ne!(read, 0, "ended after {} bytes", wire.len());
        wire.extend_from_slice(&piece[..read]);
    }
    assert!(wire.ends_with(b"x\0"));
    assert_eq!((broker.stats().connections, broker.stats().errors), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_requests_without_reading_is_held_and_then_ended() {
    let broker = limited(|limits| {
        limits.max_outbox_bytes = 10_000;
        limits.stalled_for = 5 * SECOND;
    })
    .await;
    let (mut client, _) = asking(&broker, "1.2", "1000,0").await;
    let asks = "SEND\ndestination:/topic/a\nreceipt:r\n\n\0".repeat(100);
    // Until nothing more is taken: nobody reads, neither here nor there.
    while timeout(SECOND, client.say(&asks)).await.is_ok() {}
    let waiting = broker.connections()[0].waiting_bytes;
    assert!((10_000..20_000).contains(&waiting), "{waiting}");
    sleep(10 * SECOND).await;
    // Heart-beats were missed because we did not look; that is not what it is ended for.
    assert_eq!((broker.stats().hits(Limit::SlowConsumer), broker.stats().hits(Limit::HeartBeat)), (1, 0));
    assert_eq!(broker.stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_until_connect_is_limited_and_counted() {
    let broker = broker().await;
    let mut client = Raw::new(&broker);
    client.say("\n").await;
    sleep(9 * SECOND).await;
    client.say("CONNECT\nhost:").await;
    let error = client.frame().await;
    assert_eq!(header(&error, "message"), "no CONNECT in time");
    assert_eq!(error.body_text(), Ok("no CONNECT within 10s"));
    assert_eq!(broker.stats().hits(Limit::ConnectTime), 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_stalled_reads_why_it_was_ended_if_it_reads_at_last() {
    let broker = limited(|limits| limits.stalled_for = 5 * SECOND).await;
    let mut slow = Raw::connected(&broker, "1.2").await;
    slow.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\n\n").await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    for _ in 0..4 {
        sender.send("/queue/a", &"x".repeat(50_000)).await;
    }
    sleep(5 * SECOND + SECOND / 2).await;
    for _ in 0..4 {
        assert_eq!(slow.body().await.len(), 50_000);
    }
    let error = slow.frame().await;
    assert_eq!((error.command(), header(&error, "message").as_str()), (Command::Error, "slow consumer"));
    assert_eq!(error.body_text(), Ok("nothing of what waits was taken for 5s"));
    assert!(slow.try_frame().await.is_none());
    assert_eq!(broker.stats().hits(Limit::SlowConsumer), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_for_a_topic_reads_why_it_was_ended_if_it_reads_at_last() {
    let broker = limited(|limits| limits.max_outbox_bytes = 100_000).await;
    let mut slow = Raw::connected(&broker, "1.2").await;
    slow.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    let mut sent = 0;
    while broker.stats().errors == 0 {
        sender.send("/topic/a", &"x".repeat(10_000)).await;
        sent += 1;
    }
    assert!(sent > 10, "as much as the limit waited for it: {sent}");
    for _ in 1..sent {
        assert_eq!(slow.body().await.len(), 10_000);
    }
    let error = slow.frame().await;
    assert_eq!((error.command(), header(&error, "message").as_str()), (Command::Error, "slow consumer"));
    assert!(error.body_text_lossy().contains(" of 100000 bytes wait"), "{error}");
    assert!(slow.try_frame().await.is_none());
    assert_eq!(broker.stats().hits(Limit::SlowConsumer), 1);
}
