//! Every public call made while there is no connection: what it says, that it ends, and what of it goes out later. The
//! same for futures that are dropped meanwhile.

#![cfg(feature = "tokio")]

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod scene;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use calls::{Call, RESTORED, WAITS, calls, under_way};
use common::peer::{Peer, no_task_is_left};
use common::{SECOND, header};
use scene::{Scene, handing_out, serve};
use stompede_session::{Config, Guarantee, Session, SessionState, WhileOffline};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How messages are treated, in the order of the columns below.
const POLICIES: [(Guarantee, WhileOffline); 4] = [
    (Guarantee::AtMostOnce, WhileOffline::Fail),
    (Guarantee::AtMostOnce, WhileOffline::Queue),
    (Guarantee::AtLeastOnce, WhileOffline::Fail),
    (Guarantee::AtLeastOnce, WhileOffline::Queue),
];

/// What was written with what the scene itself does at its end.
fn and_goes_on(wire: &[&str]) -> Vec<String> {
    wire.iter().chain(&["SEND /queue/after", "DISCONNECT"]).map(|one| (*one).to_owned()).collect()
}

/// Runs each call under each policy; those that wait, or those that do not.
async fn for_each(waits: bool, run: impl AsyncFn(&Call, usize, Scene, &str)) {
    for call in calls() {
        for (at, policy) in POLICIES.into_iter().enumerate() {
            if (call.offline[at] == WAITS) == waits {
                run(&call, at, Scene::new(policy).await, &format!("{} under {policy:?}", call.name)).await;
            }
        }
    }
}

/// Less than the first attempt to reconnect takes.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn what_can_be_answered_offline_is_answered_at_once() {
    for_each(false, async |call, at, scene, name| {
        let answer =
            timeout(MOMENT, (call.make)(&scene)).await.unwrap_or_else(|_| unreachable!("{name} waits"));
        assert_eq!(answer, call.offline[at], "{name}");
        if call.ends {
            return scene.over().await;
        }
        let broker = scene.comes_back();
        scene.goes_on().await.unwrap_or_else(|error| unreachable!("{name}: {error}"));
        assert_eq!(broker.await.expect("no panic"), and_goes_on(call.wire[at]), "{name}");
        scene.over().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_answered_when_the_connection_comes_back() {
    for_each(true, async |call, at, scene, name| {
        let (answer, broker) = {
            let mut waiting = (call.make)(&scene);
            assert!(timeout(MOMENT, &mut waiting).await.is_err(), "{name} waits");
            let broker = scene.comes_back();
            (timeout(60 * SECOND, waiting).await.unwrap_or_else(|_| WAITS.into()), broker)
        };
        assert_eq!(answer, call.back, "{name}");
        if let SessionState::Closed(_) = scene.session.state() {
            // It has ended the session itself, in order.
            assert_eq!(broker.await.expect("no panic"), ["DISCONNECT"], "{name}");
            return scene.over().await;
        }
        scene.goes_on().await.unwrap_or_else(|error| unreachable!("{name}: {error}"));
        assert_eq!(broker.await.expect("no panic"), and_goes_on(call.wire[at]), "{name}");
        scene.over().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_answered_when_the_session_ends() {
    for_each(true, async |call, _, scene, name| {
        {
            let mut waiting = (call.make)(&scene);
            assert!(timeout(MOMENT, &mut waiting).await.is_err(), "{name} waits");
            scene.session.abort();
            let answer = timeout(2 * SECOND, waiting).await.unwrap_or_else(|_| WAITS.into());
            assert_eq!(answer, call.ended, "{name}");
        }
        scene.over().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_offline_leaves_nothing_behind_that_should_not_be() {
    for polls in 1..=3 {
        for_each(true, async |call, at, scene, name| {
            {
                let mut waiting = (call.make)(&scene);
                for _ in 0..polls {
                    let pending = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
                    assert!(pending, "{name} waits");
                    tokio::time::sleep(MOMENT).await;
                }
            }
            let broker = scene.comes_back();
            scene.goes_on().await.unwrap_or_else(|error| unreachable!("{name}: {error}"));
            assert_eq!(broker.await.expect("no panic"), and_goes_on(call.dropped[at]), "{name}");
            scene.over().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_ends_or_goes_on_with_the_next_connection() {
    for call in under_way() {
        for (at, policy) in POLICIES.into_iter().enumerate() {
            for dropped in [false, true] {
                let name = format!("{} under {policy:?}", call.name);
                let (scene, mut peer) = Scene::connected(policy).await;
                let (mut answer, broker) = {
                    let mut waiting = (call.make)(&scene);
                    assert!(timeout(MOMENT, &mut waiting).await.is_err(), "{name} waits for its RECEIPT");
                    assert!(!header(&peer.frame().await, "receipt").is_empty(), "{name}");
                    drop(peer);
                    scene.is_offline().await;
                    let told = timeout(MOMENT, &mut waiting).await;
                    let told = told.unwrap_or_else(|_| WAITS.into());
                    assert_eq!(told, call.offline[at], "{name}");
                    let waiting = Some(waiting).filter(|_| told == WAITS && !dropped);
                    let broker = scene.comes_back();
                    match waiting {
                        Some(waiting) => (timeout(60 * SECOND, waiting).await.ok(), broker),
                        None => (None, broker),
                    }
                };
                scene.goes_on().await.unwrap_or_else(|error| unreachable!("{name}: {error}"));
                let wire = if dropped { call.dropped[at] } else { call.wire[at] };
                assert_eq!(broker.await.expect("no panic"), and_goes_on(wire), "{name}, dropped: {dropped}");
                if call.offline[at] == WAITS && !dropped {
                    assert_eq!(answer.take().as_deref(), Some(call.back), "{name}");
                }
                scene.over().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_made_offline_and_never_polled_does_nothing() {
    for waits in [true, false] {
        for_each(waits, async |call, _, scene, name| {
            drop((call.make)(&scene));
            let broker = scene.comes_back();
            scene.goes_on().await.unwrap_or_else(|error| unreachable!("{name}: {error}"));
            assert_eq!(broker.await.expect("no panic"), and_goes_on(RESTORED), "{name}");
            scene.over().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_dropped_offline_ends_the_session() {
    for policy in POLICIES {
        let scene = Scene::new(policy).await;
        let Scene { session, inbox, message, transaction, give, dials, .. } = scene;
        let watched = session.state_changes();
        drop(session);
        drop((inbox, transaction));
        // A message keeps no session open.
        tokio::time::sleep(MOMENT).await;
        assert!(matches!(*watched.borrow(), SessionState::Closed(None)), "{policy:?}");
        let dialed = dials.load(Ordering::SeqCst);
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(dials.load(Ordering::SeqCst), dialed);
        drop((message, give));
        no_task_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_connect_waits_for_a_broker_if_asked_to_and_may_be_dropped() {
    for comes in [true, false] {
        let (give, take) = mpsc::channel(1);
        let dials = Arc::default();
        let mut config = Config::for_url("tcp://broker.example").expect("a URL");
        config.reconnect.retry_initial_connect = true;
        {
            let mut connecting = pin!(Session::connect(config, handing_out(take, Arc::clone(&dials))));
            assert!(timeout(10 * SECOND, &mut connecting).await.is_err(), "nothing listens");
            assert!(dials.load(Ordering::SeqCst) > 3);
            if comes {
                let (ours, peer) = Peer::pair(1024);
                give.try_send(ours).expect("room");
                let broker = tokio::spawn(serve(peer));
                let session = timeout(60 * SECOND, connecting).await.expect("in time").expect("connected");
                session.disconnect().await.expect("in order");
                assert_eq!(broker.await.expect("no panic"), ["DISCONNECT"]);
            }
        }
        let dialed = dials.load(Ordering::SeqCst);
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(dials.load(Ordering::SeqCst), dialed);
        no_task_is_left().await;
    }
}
