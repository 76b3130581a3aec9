//! Several hosts: raced, and some whose settings cannot work.

#![cfg(feature = "tokio")]

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::peer::{Peer, no_task_is_left};
use common::{SECOND, header};
use stompede_session::protocol::Attempt;
use stompede_session::{
    BeforeConnect, Config, Error, ErrorKind, HostOrder, Postponed, ReconnectPolicy, Session, SessionState,
};
use stompede_transport::memory::MemoryTransport;
use stompede_transport::{BoxTransport, Endpoint, TransportError, TransportErrorKind};

/// What a host does with a dial.
enum Host {
    Answers(Option<MemoryTransport>),
    AnswersAfter(Duration, Option<MemoryTransport>),
    Refuses,
    /// Never answers; counts as given up once its dial is dropped.
    Hangs,
    Misused(TransportErrorKind),
}

/// The hosts by name, and who was dialled and given up, in order.
#[derive(Clone, Default)]
struct Net {
    hosts: Arc<Mutex<HashMap<String, Host>>>,
    told: Arc<Mutex<Vec<String>>>,
}

struct OnDrop(Net, String);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.tell(format!("{} given up", self.1));
    }
}

impl Net {
    fn host(&self, name: &str, host: Host) {
        self.hosts.lock().expect("no panic").insert(name.to_owned(), host);
    }

    /// A host that answers once, and the broker's end.
    fn answers(&self, name: &str) -> Peer {
        let (ours, peer) = Peer::pair(64 * 1024);
        self.host(name, Host::Answers(Some(ours)));
        peer
    }

    fn tell(&self, what: String) {
        self.told.lock().expect("no panic").push(what);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().expect("no panic"))
    }

    fn take(&self, name: &str) -> Result<(Duration, Option<MemoryTransport>), TransportErrorKind> {
        match self.hosts.lock().expect("no panic").get_mut(name) {
            Some(Host::Answers(once)) => once.take().map(|t| (Duration::ZERO, Some(t))),
            Some(Host::AnswersAfter(after, once)) => once.take().map(|t| (*after, Some(t))),
            Some(Host::Hangs) => Some((Duration::MAX, None)),
            Some(Host::Misused(kind)) => return Err(kind.clone()),
            Some(Host::Refuses) | None => None,
        }
        .ok_or(TransportErrorKind::Refused)
    }

    async fn dial(self, endpoint: Endpoint) -> Result<BoxTransport, TransportError> {
        let name = endpoint.host().trim_end_matches(".example").to_owned();
        self.tell(name.clone());
        let (after, transport) =
            self.take(&name).map_err(|kind| TransportError::new(kind, format!("{name} says no")))?;
        let given_up = OnDrop(self, name);
        tokio::time::sleep(after).await;
        std::mem::forget(given_up);
        let Some(transport) = transport else { return std::future::pending().await };
        Ok(Box::new(transport))
    }

    async fn connect(&self, config: Config) -> Result<Session, Error> {
        let net = self.clone();
        Session::connect(config, move |endpoint: Endpoint| net.clone().dial(endpoint)).await
    }
}

/// Hosts a, b and c.
fn config(order: HostOrder) -> Config {
    let mut config = common::config();
    config.endpoint = "tcp://a.example".parse().expect("a URL");
    config.failover = ["b", "c"].map(|name| format!("tcp://{name}.example").parse().expect("a URL")).to_vec();
    config.host_order = order;
    config
}

#[allow(clippy::disallowed_methods, reason = "the paused clock, to see how long something took")]
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

fn host(session: &Session) -> String {
    session.connected().expect("open").host().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_costs_its_head_start_and_no_more() {
    let (net, start) = (Net::default(), now());
    net.host("a", Host::Hangs);
    let mut peer = net.answers("b");
    let (session, ()) = tokio::join!(net.connect(config(HostOrder::Raced)), peer.welcome());
    let session = session.expect("connected");
    assert_eq!((host(&session).as_str(), start.elapsed()), ("b.example", Duration::from_millis(250)));
    assert_eq!(net.told(), ["a", "b", "a given up"], "and c was not bothered");
    let (ended, ()) = tokio::join!(session.disconnect(), peer.goodbye());
    ended.expect("in order");
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_that_is_open_wins_and_not_the_first_that_began() {
    let (net, start) = (Net::default(), now());
    for (name, after) in [("a", 3000), ("b", 1000), ("c", 2000)] {
        let (ours, _) = Peer::pair(1024);
        net.host(name, Host::AnswersAfter(Duration::from_millis(after), Some(ours)));
    }
    let (ours, mut peer) = Peer::pair(1024);
    net.host("b", Host::AnswersAfter(SECOND, Some(ours)));
    let (session, ()) = tokio::join!(net.connect(config(HostOrder::Raced)), peer.welcome());
    assert_eq!(host(&session.expect("connected")), "b.example");
    assert_eq!(start.elapsed(), Duration::from_millis(1250));
    let told = net.told();
    assert_eq!(told[..3], ["a", "b", "c"]);
    assert!(
        told[3..].contains(&"a given up".to_owned()) && told[3..].contains(&"c given up".to_owned()),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_is_followed_at_once() {
    let (net, start) = (Net::default(), now());
    let mut peer = net.answers("c");
    let (session, ()) = tokio::join!(net.connect(config(HostOrder::Raced)), peer.welcome());
    assert_eq!(host(&session.expect("connected")), "c.example");
    assert_eq!((start.elapsed(), net.told()), (Duration::ZERO, vec!["a".into(), "b".into(), "c".into()]));
}

#[tokio::test(start_paused = true)]
async fn healthy_means_connected_so_the_others_are_raced_again() {
    let net = Net::default();
    let (mut hangs_up, mut answers) = (net.answers("a"), net.answers("c"));
    net.host("b", Host::Hangs);
    let connecting = net.connect(config(HostOrder::Raced));
    let (session, ()) = tokio::join!(connecting, async {
        hangs_up.frame().await;
        drop(hangs_up);
        answers.welcome().await;
    });
    assert_eq!(host(&session.expect("connected")), "c.example");
    assert_eq!(net.told(), ["a", "b", "c", "b given up"], "and not a again");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_one_race_and_is_bounded() {
    let (net, start) = (Net::default(), now());
    let failed = net.connect(config(HostOrder::Raced)).await.expect_err("nobody is there");
    assert_eq!(
        (failed.kind(), net.told()),
        (ErrorKind::DialFailed, vec!["a".into(), "b".into(), "c".into()])
    );
    assert!(failed.to_string().contains("c says no"), "{failed}");

    for name in ["a", "b", "c"] {
        net.host(name, Host::Hangs);
    }
    let hung = net.connect(config(HostOrder::Raced)).await.expect_err("nobody answers");
    assert_eq!((hung.kind(), start.elapsed()), (ErrorKind::ConnectTimedOut, 10 * SECOND));
    let mut told = net.told();
    told[3..].sort();
    assert_eq!(told, ["a", "b", "c", "a given up", "b given up", "c given up"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_followed_by_a_race_of_all() {
    let net = Net::default();
    let mut config = config(HostOrder::Raced);
    config.reconnect = ReconnectPolicy::default();
    let mut peer = net.answers("a");
    let (session, ()) = tokio::join!(net.connect(config), peer.welcome());
    let session = session.expect("connected");
    assert_eq!(net.told(), ["a"]);
    net.host("a", Host::Hangs);
    let mut next = net.answers("b");
    drop(peer);
    next.welcome().await;
    let mut state = session.state_changes();
    state.wait_for(|state| matches!(state, SessionState::Connected(_))).await.expect("again");
    assert_eq!(
        (host(&session).as_str(), net.told()),
        ("b.example", vec!["a".into(), "b".into(), "a given up".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn each_of_them_is_asked_for_and_the_winner_says_what_was_given_for_it() {
    let net = Net::default();
    net.host("a", Host::Hangs);
    let mut peer = net.answers("elsewhere");
    let mut config = config(HostOrder::Raced);
    config.before_connect = Some(BeforeConnect::new(|mut attempt: Attempt| async move {
        attempt.passcode = Some(format!("for {}", attempt.endpoint.host()));
        match attempt.endpoint.host() {
            "a.example" => Ok(attempt),
            "b.example" => Err(Postponed::later("no token for b")),
            _ => {
                attempt.endpoint = "tcp://elsewhere.example".parse()?;
                Ok(attempt)
            }
        }
    }));
    let (session, connect) = tokio::join!(net.connect(config), async {
        let connect = peer.frame().await;
        peer.say("CONNECTED\nversion:1.2\n\n\0").await;
        connect
    });
    assert_eq!(host(&session.expect("connected")), "elsewhere.example");
    assert_eq!(header(&connect, "passcode"), "for c.example");
    assert_eq!(net.told(), ["a", "elsewhere", "a given up"]);
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_may_end_a_race_for_good() {
    let net = Net::default();
    net.host("a", Host::Hangs);
    let mut config = config(HostOrder::Raced);
    config.before_connect = Some(BeforeConnect::new(|attempt: Attempt| async move {
        if attempt.endpoint.host() == "b.example" { Err(Postponed::stop("closed")) } else { Ok(attempt) }
    }));
    let ended = net.connect(config).await.expect_err("for good");
    assert_eq!((ended.kind(), net.told()), (ErrorKind::NotPrepared, vec!["a".into(), "a given up".into()]));
    no_task_is_left().await;
}

const MISUSED: [TransportErrorKind; 3] = [
    TransportErrorKind::UnsupportedScheme,
    TransportErrorKind::InvalidEndpoint,
    TransportErrorKind::InvalidSetting,
];

#[tokio::test(start_paused = true)]
async fn a_host_whose_settings_cannot_work_is_skipped() {
    for order in [HostOrder::Listed, HostOrder::Raced] {
        for kind in MISUSED {
            let net = Net::default();
            net.host("a", Host::Misused(kind));
            let mut config = config(order);
            config.reconnect = ReconnectPolicy::default();
            let mut peer = net.answers("b");
            let (session, ()) = tokio::join!(net.connect(config), peer.welcome());
            let session = session.expect("connected");
            // Both others are down when the connection is lost: that is no end, and b comes back.
            net.host("b", Host::Refuses);
            let mut state = session.state_changes();
            drop(peer);
            state
                .wait_for(|state| matches!(state, SessionState::Reconnecting { attempt: 3, .. }))
                .await
                .expect("on");
            let mut back = net.answers("b");
            back.welcome().await;
            state.wait_for(|state| matches!(state, SessionState::Connected(_))).await.expect("again");
            assert_eq!(host(&session), "b.example");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_if_no_host_can_work_it_is_the_end() {
    for order in [HostOrder::Listed, HostOrder::Raced] {
        let net = Net::default();
        let mut config = config(order);
        (config.reconnect, config.reconnect.retry_initial_connect) = (ReconnectPolicy::default(), true);
        for (name, kind) in ["a", "b", "c"].into_iter().zip(MISUSED) {
            net.host(name, Host::Misused(kind));
        }
        let ended = net.connect(config).await.expect_err("no host can work");
        assert_eq!(
            (ended.kind(), net.told()),
            (ErrorKind::DialFailed, vec!["a".into(), "b".into(), "c".into()])
        );
        no_task_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_before_each_attempt_has_a_second_chance() {
    for mended in [true, false] {
        let net = Net::default();
        net.host("typo", Host::Misused(TransportErrorKind::UnsupportedScheme));
        let mut config = common::config();
        (config.reconnect, config.reconnect.retry_initial_connect) = (ReconnectPolicy::default(), true);
        config.before_connect = Some(BeforeConnect::new(move |mut attempt: Attempt| async move {
            let host = if mended && attempt.number > 0 { "right" } else { "typo" };
            attempt.endpoint = format!("tcp://{host}.example").parse()?;
            Ok(attempt)
        }));
        let mut peer = net.answers("right");
        if mended {
            let (session, ()) = tokio::join!(net.connect(config), peer.welcome());
            assert_eq!(host(&session.expect("connected")), "right.example");
        } else {
            let ended = net.connect(config).await.expect_err("it does not learn");
            assert_eq!(
                (ended.kind(), net.told()),
                (ErrorKind::DialFailed, vec!["typo".into(), "typo".into()])
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_written_are_a_matter_of_their_host() {
    let net = Net::default();
    let mut config = config(HostOrder::Listed);
    config.before_connect = Some(BeforeConnect::new(|mut attempt: Attempt| async move {
        if attempt.endpoint.host() == "a.example" {
            attempt.headers.push(("token".into(), "two\nlines".into()));
        }
        Ok(attempt)
    }));
    let (_unused, mut peer) = (net.answers("a"), net.answers("b"));
    let (session, ()) = tokio::join!(net.connect(config), peer.welcome());
    assert_eq!(host(&session.expect("connected")), "b.example");
}
