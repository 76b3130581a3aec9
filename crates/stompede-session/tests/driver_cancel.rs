//! Every public future, dropped at each point where it waits: nothing stays behind, and the session goes on.

#![cfg(feature = "tokio")]

mod common;

use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use common::peer::{Peer, connect, no_task_is_left};
use common::{SECOND, config, header};
use stompede_codec::{Command, Frame};
use stompede_session::{AckMode, Error, Message, Session, Subscription};

/// A name, and what makes the future.
type Call = (&'static str, fn(&Scene) -> Boxed<'_>);
type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What the futures are made from.
struct Scene {
    session: Session,
    inbox: Mutex<Option<Subscription>>,
    message: Message,
}

/// All of them. Whether they succeed is for other tests to say.
const CALLS: &[Call] = &[
    ("send", |scene| Box::pin(async { drop(scene.session.send("/queue/x").await) })),
    ("confirm", |scene| Box::pin(async { drop(scene.session.send("/queue/x").confirm().await) })),
    ("subscribe", |scene| Box::pin(async { drop(scene.session.subscribe("/queue/x").await) })),
    ("subscribe confirmed", |scene| {
        Box::pin(async { drop(scene.session.subscribe("/queue/x").confirm().into_future().await) })
    }),
    ("try_next", |scene| {
        Box::pin(async {
            let mut inbox = Returned::take(scene);
            drop(inbox.inner().try_next().await);
        })
    }),
    ("ack_confirmed", |scene| Box::pin(async { drop(scene.message.ack_confirmed().await) })),
    ("begin", |scene| Box::pin(async { drop(scene.session.begin().await) })),
    ("commit", |scene| {
        Box::pin(async {
            if let Ok(transaction) = scene.session.begin().await {
                drop(transaction.commit().await);
            }
        })
    }),
    ("flush", |scene| Box::pin(async { drop(scene.session.flush().await) })),
    ("closed", |scene| Box::pin(async { drop(scene.session.closed().await) })),
];

/// The calls that end the session, dropped or not.
const ENDS: &[Call] = &[
    ("disconnect", |scene| Box::pin(async { drop(scene.session.disconnect().await) })),
    ("drain", |scene| Box::pin(async { drop(scene.session.drain(SECOND).await) })),
];

/// Puts the subscription back, whatever becomes of the future that uses it.
struct Returned<'a>(&'a Scene, Option<Subscription>);

impl<'a> Returned<'a> {
    fn take(scene: &'a Scene) -> Self {
        Self(scene, scene.inbox.lock().expect("no panic").take())
    }

    fn inner(&mut self) -> &mut Subscription {
        self.1.as_mut().expect("taken")
    }
}

impl Drop for Returned<'_> {
    fn drop(&mut self) {
        *self.0.inbox.lock().expect("no panic") = self.1.take();
    }
}

async fn scene(room: usize) -> (Scene, Peer) {
    let (session, mut peer) = Peer::session(room).await;
    let mut inbox =
        session.subscribe("/queue/a").id("s").ack(AckMode::ClientIndividual).await.expect("subscribed");
    peer.frame().await;
    peer.message("s", "a1").await;
    let message = inbox.try_next().await.expect("open").expect("a message");
    (Scene { session, inbox: Mutex::new(Some(inbox)), message }, peer)
}

/// Polls a future until it has waited so often, and drops it. `true` if it was done before.
async fn drop_after(waits: usize, future: Boxed<'_>, turn: impl AsyncFn()) -> bool {
    let mut future = future;
    for _ in 0..waits {
        let done = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if done {
            return true;
        }
        turn().await;
    }
    false
}

/// Answers what is asked of it, so that a future gets further each time.
async fn serve(peer: Arc<tokio::sync::Mutex<Peer>>) {
    while let Some(frame) = next(&peer).await {
        let mut peer = peer.lock().await;
        if !header(&frame, "receipt").is_empty() {
            peer.receipt(&frame).await;
        }
        if frame.command() == Command::Disconnect {
            return peer.close().await;
        }
    }
}

async fn next(peer: &tokio::sync::Mutex<Peer>) -> Option<Frame> {
    peer.lock().await.try_frame().await
}

/// The session still does all it should: nothing that was dropped is in the way.
async fn goes_on(scene: &Scene) -> Result<(), Error> {
    scene.session.send("/queue/after").confirm().await?;
    scene.session.flush().await?;
    scene.session.disconnect().await
}

#[tokio::test(start_paused = true)]
async fn each_future_dropped_at_each_wait_leaves_nothing_behind() {
    for (name, call) in CALLS {
        // Waits that are answered, up to where the future is done.
        for waits in 1.. {
            let (scene, peer) = scene(64 * 1024).await;
            let peer = Arc::new(tokio::sync::Mutex::new(peer));
            let broker = tokio::spawn(serve(peer));
            let done = drop_after(waits, call(&scene), async || tokio::time::sleep(SECOND / 100).await).await;
            goes_on(&scene).await.unwrap_or_else(|error| unreachable!("{name} after {waits} waits: {error}"));
            broker.await.expect("no panic");
            drop(scene);
            no_task_is_left().await;
            // Some wait for something that does not come here.
            if done || waits == 8 {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_future_dropped_while_nothing_can_be_written_sends_nothing() {
    for (name, call) in CALLS {
        let (scene, mut peer) = scene(1).await;
        // The connection is full, and so is the queue, also for those who await a receipt.
        let full = vec![b'x'; 1_200_000];
        for _ in 0..2 {
            scene.session.send("/queue/full").body(full.clone()).await.expect("queued");
        }
        let done = drop_after(3, call(&scene), async || tokio::time::sleep(SECOND / 100).await).await;
        let mut sent = Vec::new();
        let broker = async {
            loop {
                let Some(frame) = peer.try_frame().await else { return };
                sent.push(frame.command());
                if !header(&frame, "receipt").is_empty() {
                    peer.receipt(&frame).await;
                }
                if frame.command() == Command::Disconnect {
                    return peer.close().await;
                }
            }
        };
        let (after, ()) = tokio::join!(goes_on(&scene), broker);
        after.unwrap_or_else(|error| unreachable!("{name}: {error}"));
        // What waits for room sends nothing. What never waits for room has its frames written, whole.
        let (begin, rest) = sent.split_at(2);
        assert_eq!(begin, [Command::Send, Command::Send], "{name}");
        let waits_for_room = matches!(*name, "send" | "confirm" | "begin" | "commit");
        if waits_for_room {
            assert!(!done, "{name} waits");
            assert_eq!(rest, [Command::Send, Command::Disconnect], "{name}");
        }
        drop(scene);
        no_task_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_end_dropped_at_each_wait_ends_when_the_last_handle_goes() {
    for (name, call) in ENDS {
        for waits in 1..5 {
            let (scene, peer) = scene(64 * 1024).await;
            let broker = tokio::spawn(serve(Arc::new(tokio::sync::Mutex::new(peer))));
            drop_after(waits, call(&scene), async || tokio::time::sleep(SECOND / 100).await).await;
            drop(scene);
            let ended = tokio::time::timeout(60 * SECOND, broker).await;
            ended.unwrap_or_else(|_| unreachable!("{name} after {waits} waits")).expect("no panic");
            no_task_is_left().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connect_dropped_at_each_wait_leaves_nothing_behind() {
    for waits in 1..6 {
        let (ours, mut peer) = Peer::pair(64 * 1024);
        {
            let mut connecting = pin!(connect(config(), ours));
            for _ in 0..waits {
                let done =
                    std::future::poll_fn(|cx| Poll::Ready(connecting.as_mut().poll(cx).is_ready())).await;
                assert!(!done, "nobody answers");
                tokio::time::sleep(SECOND / 100).await;
            }
        }
        while peer.try_frame().await.is_some() {}
        no_task_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_for_a_receipt_does_not_hold_up_the_end() {
    let calls = CALLS
        .iter()
        .filter(|(name, _)| matches!(*name, "confirm" | "ack_confirmed" | "commit" | "subscribe confirmed"));
    for (name, call) in calls {
        let (scene, mut peer) = scene(64 * 1024).await;
        assert!(
            !drop_after(3, call(&scene), async || tokio::time::sleep(SECOND / 100).await).await,
            "{name}"
        );
        // The broker answers nothing but DISCONNECT, which would wait for receipts that are awaited.
        let broker = async {
            loop {
                let frame = peer.frame().await;
                if frame.command() == Command::Disconnect {
                    peer.receipt(&frame).await;
                    return peer.close().await;
                }
            }
        };
        let end = async { tokio::join!(scene.session.disconnect(), broker) };
        let (ended, ()) = tokio::time::timeout(SECOND, end).await.unwrap_or_else(|_| unreachable!("{name}"));
        ended.expect("in order");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_is_dropped_after_it_was_woken_passes_its_room_on() {
    let (session, mut peer) = Peer::session(1).await;
    for _ in 0..2 {
        session.send("/queue/full").body(vec![b'x'; 300_000]).await.expect("queued");
    }
    // The first in line needs all the room that there is going to be.
    let mut first = Box::pin(session.send("/queue/a").body(vec![b'x'; 1_000_000]).into_future());
    let waits = std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending()));
    assert!(waits.await);
    // The second is in a task of its own, so that nothing but its own turn wakes it.
    let handle = session.clone();
    let second = tokio::spawn(async move { handle.send("/queue/a").await });
    tokio::time::sleep(SECOND).await;
    for _ in 0..2 {
        peer.frame().await;
    }
    tokio::time::sleep(SECOND).await;
    assert!(!second.is_finished(), "the first one's turn");
    // It was woken, and is never polled again.
    drop(first);
    tokio::time::sleep(SECOND).await;
    // Awaiting it instead would see its own time limit wake it.
    assert!(second.is_finished(), "the second one's turn");
    second.await.expect("no panic").expect("sent");
}
