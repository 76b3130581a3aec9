//! An outbox behind the session: slow, failing, and as a file is, in that it outlives the session.

#![cfg(feature = "tokio")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use common::peer::{Peer, connect, no_task_is_left};
use common::{SECOND, header};
use stompede_codec::{Command, Decoder, Encoder, Frame, Item, Limits, Version};
use stompede_session::{
    Config, ErrorKind, Guarantee, Outbox, OutboxFuture, OutboxId, ReconnectPolicy, SendError, Session, Stored,
};
use tokio::sync::watch;

const ROOM: usize = 64 * 1024;

/// Lines of a file: each an id and the bytes of a frame, in the order in which they were written.
#[derive(Default)]
struct Disk {
    lines: Mutex<Vec<(String, Bytes)>>,
    /// Everything that was asked, in short.
    asked: Mutex<Vec<String>>,
    busy: watch::Sender<bool>,
    full: AtomicBool,
    read_only: AtomicBool,
}

impl Disk {
    fn lines(&self) -> MutexGuard<'_, Vec<(String, Bytes)>> {
        self.lines.lock().expect("no panic")
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The bodies of what is there.
    fn bodies(&self) -> Vec<String> {
        self.lines().iter().map(|(_, bytes)| read(bytes).body_text_lossy().into_owned()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.lines().iter().map(|(id, _)| id.clone()).collect()
    }

    /// Nothing that is asked from here on ends before [`let_go`](Self::let_go).
    fn hold(&self) {
        self.busy.send_replace(true);
    }

    fn let_go(&self) {
        self.busy.send_replace(false);
    }

    async fn ready(&self, asked: String) {
        self.asked.lock().expect("no panic").push(asked);
        self.busy.subscribe().wait_for(|busy| !busy).await.expect("the disk is there");
    }
}

fn read(bytes: &Bytes) -> Frame {
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(Version::V1_2);
    decoder.push(bytes.clone());
    match decoder.next() {
        Ok(Some(Item::Frame(frame))) => frame,
        other => unreachable!("what was written is a frame: {other:?}"),
    }
}

impl Outbox for Disk {
    fn load(&self) -> OutboxFuture<'_, Vec<Stored>> {
        Box::pin(async move {
            self.ready("load".to_owned()).await;
            if self.full.load(Ordering::Relaxed) {
                return Err("no such file".into());
            }
            let lines = self.lines().clone();
            lines.iter().map(|(id, bytes)| Ok(Stored::new(id.parse()?, read(bytes)))).collect()
        })
    }

    fn append<'a>(&'a self, messages: &'a [Stored]) -> OutboxFuture<'a, ()> {
        Box::pin(async move {
            self.ready(format!("append {}", messages.len())).await;
            if self.full.load(Ordering::Relaxed) {
                return Err("no space left on device".into());
            }
            for Stored { id, frame, .. } in messages {
                let mut bytes = BytesMut::new();
                Encoder::new(Version::V1_2).encode(frame, &mut bytes)?;
                self.lines().push((id.to_string(), bytes.freeze()));
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, ids: &'a [OutboxId]) -> OutboxFuture<'a, ()> {
        Box::pin(async move {
            self.ready(format!("remove {}", ids.len())).await;
            if self.read_only.load(Ordering::Relaxed) {
                return Err("read-only file system".into());
            }
            let ids: Vec<_> = ids.iter().map(OutboxId::to_string).collect();
            self.lines().retain(|(id, _)| !ids.contains(id));
            Ok(())
        })
    }
}

fn config(disk: &Arc<Disk>) -> Config {
    let mut config = common::config();
    config.sending.guarantee = Guarantee::AtLeastOnce;
    config.sending.duplicate_header = Some("unique".to_owned());
    config.outbox = Some(disk.clone());
    config
}

async fn session(disk: &Arc<Disk>) -> (Session, Peer) {
    Peer::session_with(config(disk), ROOM, "").await
}

/// The peer sees nothing for a second.
async fn silence(peer: &mut Peer) {
    let frame = tokio::time::timeout(SECOND, peer.frame()).await;
    assert!(frame.is_err(), "nothing may be written yet: {frame:?}");
}

async fn goodbye(session: Session, mut peer: Peer) {
    let (ended, ()) = tokio::join!(session.disconnect(), peer.goodbye());
    ended.expect("in order, and nothing was sent before");
    no_task_is_left().await;
}

fn not_sent(error: &SendError) -> (ErrorKind, String) {
    let SendError::NotSent(unsent) = error else { unreachable!("it was not sent: {error:?}") };
    (unsent.cause.kind(), unsent.cause.to_string())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_it_is_kept_and_its_receipt_takes_it_out() {
    let disk = Arc::new(Disk::default());
    let (session, mut peer) = session(&disk).await;
    disk.hold();
    let (confirmed, ()) = tokio::join!(session.send("/queue/a").text("one").confirm(), async {
        silence(&mut peer).await;
        disk.let_go();
        let frame = peer.frame().await;
        assert_eq!(disk.bodies(), ["one"]);
        assert_eq!(header(&frame, "unique"), disk.ids()[0]);
        assert!(!read(&disk.lines()[0].1).headers().contains("receipt"), "that is of this session");
        peer.receipt(&frame).await;
    });
    confirmed.expect("confirmed");
    goodbye(session, peer).await;
    assert!(disk.bodies().is_empty());
    assert_eq!(disk.asked(), ["load", "append 1", "remove 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_not_sent_and_the_cause_is_told() {
    let disk = Arc::new(Disk::default());
    let (session, mut peer) = session(&disk).await;
    disk.full.store(true, Ordering::Relaxed);
    let confirming = session.send("/queue/a").text("one").confirm().await.expect_err("the disk is full");
    let sending = session.send("/queue/a").text("one").await.expect_err("the disk is full");
    for error in [confirming, sending] {
        let (kind, text) = not_sent(&error);
        assert_eq!(kind, ErrorKind::OutboxFailed);
        assert!(text.ends_with("no space left on device"), "{text}");
        let SendError::NotSent(unsent) = error else { unreachable!("looked at above") };
        assert_eq!(unsent.frame.body_text(), Ok("one"), "it comes back");
    }
    silence(&mut peer).await;
    disk.full.store(false, Ordering::Relaxed);
    session.send("/queue/a").text("two").await.expect("there is room again");
    let frame = peer.frame().await;
    assert_eq!(frame.body_text(), Ok("two"));
    peer.receipt(&frame).await;
    goodbye(session, peer).await;
    assert!(disk.bodies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_send_waits_until_it_is_kept_and_dropped_before_it_is_never_sent() {
    let disk = Arc::new(Disk::default());
    let (session, mut peer) = session(&disk).await;
    disk.hold();
    let sending = session.send("/queue/a").text("one").into_future();
    let confirming = session.send("/queue/a").text("one").confirm();
    let dropped = tokio::time::timeout(SECOND, async { tokio::join!(sending, confirming) }).await;
    assert!(dropped.is_err(), "they wait for the disk: {dropped:?}");
    disk.let_go();
    silence(&mut peer).await;
    assert!(disk.bodies().is_empty(), "they were kept meanwhile, and taken out again");
    assert_eq!(disk.asked(), ["load", "append 2", "remove 2"]);
    goodbye(session, peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_holds_a_send_for_its_time_only() {
    let disk = Arc::new(Disk::default());
    let (session, mut peer) = session(&disk).await;
    disk.hold();
    for within in [5, 120] {
        let sent = session.send("/queue/a").text("x").deadline(within * SECOND).await;
        assert_eq!(not_sent(&sent.expect_err("it hangs")).0, ErrorKind::OutboxFailed);
    }
    let confirmed = session.send("/queue/a").text("x").deadline(5 * SECOND).confirm().await;
    assert_eq!(not_sent(&confirmed.expect_err("it hangs")).0, ErrorKind::ReceiptTimedOut);
    disk.let_go();
    silence(&mut peer).await;
    goodbye(session, peer).await;
    assert!(disk.bodies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn messages_go_out_in_the_order_in_which_they_were_handed_over() {
    let disk = Arc::new(Disk::default());
    let (session, mut peer) = session(&disk).await;
    disk.hold();
    let send = |n: usize| session.send("/queue/a").text(n.to_string()).confirm();
    let all = async { tokio::join!(send(0), send(1), send(2), send(3)) };
    let (all, ()) = tokio::join!(all, async {
        silence(&mut peer).await;
        disk.let_go();
        for n in 0..4 {
            let frame = peer.frame().await;
            assert_eq!(frame.body_text(), Ok(&*n.to_string()));
            assert!(disk.bodies().contains(&n.to_string()), "kept before it was written");
            peer.receipt(&frame).await;
        }
    });
    let (a, b, c, d) = all;
    [a, b, c, d].into_iter().for_each(|confirmed| assert!(confirmed.is_ok(), "{confirmed:?}"));
    assert_eq!(disk.asked()[..2], ["load", "append 4"], "together");
    goodbye(session, peer).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_process_sends_what_the_last_one_left_in_order_and_under_the_same_ids() {
    let disk = Arc::new(Disk::default());
    let (first, mut peer) = session(&disk).await;
    for n in 0..5 {
        first.send("/queue/a").text(n.to_string()).await.expect("kept");
    }
    // Two were written, one of them was confirmed. Then the process dies.
    let frames = [peer.frame().await, peer.frame().await];
    peer.receipt(&frames[0]).await;
    first.send("/queue/a").text("5").await.expect("kept, and the RECEIPT before it has been read");
    tokio::time::sleep(SECOND).await;
    first.abort();
    no_task_is_left().await;
    assert_eq!(disk.bodies(), ["1", "2", "3", "4", "5"]);
    let ids = disk.ids();
    assert_eq!(header(&frames[1], "unique"), ids[0]);

    let (second, mut peer) = session(&disk).await;
    second.send("/queue/a").text("6").await.expect("kept");
    for n in 1..=6 {
        let frame = peer.frame().await;
        assert_eq!(frame.body_text(), Ok(&*n.to_string()));
        if let Some(id) = ids.get(n - 1) {
            assert_eq!(header(&frame, "unique"), *id);
        }
        peer.receipt(&frame).await;
    }
    goodbye(second, peer).await;
    assert!(disk.bodies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_leaves_what_was_kept_to_the_next_one() {
    let disk = Arc::new(Disk::default());
    let (give, take) = tokio::sync::mpsc::channel(2);
    let take = Mutex::new(take);
    let connector = move |_: stompede_transport::Endpoint| {
        let next = take.lock().expect("no panic").try_recv();
        let none =
            || stompede_transport::TransportError::new(stompede_transport::TransportErrorKind::Refused, "");
        async move { next.map_err(|_| none()) }
    };
    let (ours, mut peer) = Peer::pair(ROOM);
    give.try_send(ours).expect("room");
    let mut config = config(&disk);
    config.reconnect = ReconnectPolicy::default();
    let (session, ()) = tokio::join!(Session::connect(config, connector), peer.welcome());
    let session = session.expect("connected");
    let confirming = session.send("/queue/a").text("one").confirm();
    let (confirmed, mut next) = tokio::join!(confirming, async {
        let first = peer.frame().await;
        let (ours, mut next) = Peer::pair(ROOM);
        give.try_send(ours).expect("room");
        drop(peer);
        next.welcome().await;
        let again = next.frame().await;
        assert_eq!(header(&again, "unique"), header(&first, "unique"));
        next.receipt(&again).await;
        next
    });
    confirmed.expect("confirmed");
    let (ended, ()) = tokio::join!(session.disconnect(), next.goodbye());
    ended.expect("in order");
    assert_eq!(disk.asked(), ["load", "append 1", "remove 1"], "it was kept once");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_leaves_what_is_kept_and_says_so() {
    let disk = Arc::new(Disk::default());
    let (session, mut peer) = session(&disk).await;
    let confirming = session.send("/queue/a").text("kept").confirm();
    let unkept = session.send("/queue/a").text("too late").confirm();
    let (kept, unkept, ()) = tokio::join!(confirming, unkept, async {
        peer.frame().await;
        session.abort();
    });
    assert!(matches!(kept, Err(SendError::Unknown(_))), "{kept:?}");
    // Which of the two had been kept by then is no matter: nobody is told NotSent of one that stays.
    let stays: usize =
        [&kept, &unkept].into_iter().filter(|sent| matches!(sent, Err(SendError::Unknown(_)))).count();
    no_task_is_left().await;
    assert_eq!(disk.bodies().len(), stays);

    let disk = Arc::new(Disk::default());
    let (session, _peer) = self::session(&disk).await;
    disk.hold();
    let (unsent, ()) = tokio::join!(session.send("/queue/a").text("x").confirm(), async {
        tokio::time::sleep(SECOND).await;
        session.abort();
        disk.let_go();
    });
    assert_eq!(not_sent(&unsent.expect_err("it was not kept yet")).0, ErrorKind::Closed);
    no_task_is_left().await;
    assert!(disk.bodies().is_empty(), "it was kept after all, and taken out again");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_forgotten_is_asked_again_and_counts_until_then() {
    let disk = Arc::new(Disk::default());
    let mut config = config(&disk);
    config.sending.outbox.messages = 1;
    let (session, mut peer) = Peer::session_with(config, ROOM, "").await;
    disk.read_only.store(true, Ordering::Relaxed);
    let (confirmed, ()) = tokio::join!(session.send("/queue/a").text("one").confirm(), async {
        let frame = peer.frame().await;
        peer.receipt(&frame).await;
    });
    confirmed.expect("the RECEIPT is what counts");
    tokio::time::sleep(3 * SECOND).await;
    let full = session.send("/queue/a").text("two").await.expect_err("full");
    assert_eq!(not_sent(&full).0, ErrorKind::OutboxFull);
    assert!(disk.asked().iter().filter(|asked| *asked == "remove 1").count() >= 3, "{:?}", disk.asked());
    let (ended, ()) = tokio::join!(session.disconnect(), async {
        silence(&mut peer).await;
        disk.read_only.store(false, Ordering::Relaxed);
        peer.goodbye().await;
    });
    ended.expect("once it is forgotten");
    assert!(disk.bodies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_read_or_hangs_fails_the_connect() {
    let disk = Arc::new(Disk::default());
    disk.full.store(true, Ordering::Relaxed);
    let (ours, _peer) = Peer::pair(ROOM);
    let failed = connect(config(&disk), ours).await.expect_err("it cannot be read");
    assert_eq!(failed.kind(), ErrorKind::OutboxFailed);
    assert!(failed.to_string().ends_with("no such file"), "{failed}");
    disk.hold();
    let (ours, _peer) = Peer::pair(ROOM);
    let hung = connect(config(&disk), ours).await.expect_err("it hangs");
    assert_eq!(hung.kind(), ErrorKind::OutboxFailed);
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_not_kept_go_past_it() {
    let disk = Arc::new(Disk::default());
    let (session, mut peer) = session(&disk).await;
    disk.hold();
    let transaction = session.begin().await.expect("begun");
    transaction.send("/queue/a").text("x").await.expect("sent");
    for command in [Command::Begin, Command::Send] {
        assert_eq!(peer.frame().await.command(), command);
    }
    transaction.abort();
    assert_eq!(peer.frame().await.command(), Command::Abort);
    goodbye(session, peer).await;

    let mut useless = config(&disk);
    useless.sending.guarantee = Guarantee::AtMostOnce;
    let (ours, _peer) = Peer::pair(ROOM);
    let refused = connect(useless, ours).await.expect_err("it would keep nothing");
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn an_id_reads_back_and_nothing_else_does() {
    let text = "00000000000000ff-12";
    assert_eq!(text.parse::<OutboxId>().expect("an id").to_string(), text);
    for other in [
        "",
        "ff-12",
        "00000000000000ff-012",
        "00000000000000ff-",
        "-12",
        "00000000000000FF-1",
        "+0000000000000ff-1",
    ] {
        assert_eq!(
            other.parse::<OutboxId>().expect_err("no id").kind(),
            ErrorKind::InvalidArgument,
            "{other}"
        );
    }
}
