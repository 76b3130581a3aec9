//! CONNECT: versions, logins, virtual hosts, heart-beats.

use std::sync::{Arc, Mutex};

use stompede_codec::{Command, Frame, Version};

use crate::access::Login;
use crate::broker::Shared;
use crate::heartbeat::{Agreed, Offer};
use crate::personality::Greeting;
use crate::refusal::Refusal;
use crate::requests::check_body;
use crate::router::Router;
use crate::{Limit, hosts};

/// What CONNECT came to.
pub(crate) struct Welcome {
    pub(crate) version: Version,
    pub(crate) connected: Frame,
    pub(crate) beats: Agreed,
    pub(crate) login: Option<Box<str>>,
    pub(crate) host: Arc<str>,
    pub(crate) router: Arc<Mutex<Router>>,
}

/// Why there is no welcome.
pub(crate) struct Unwelcome {
    pub(crate) refusal: Refusal,
    /// The ERROR lists the versions that would have been fine.
    pub(crate) lists_versions: bool,
}

impl From<Refusal> for Unwelcome {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, lists_versions: false }
    }
}

/// Judges a CONNECT or STOMP frame.
pub(crate) fn welcome(connect: &Frame, shared: &Shared, session: u64) -> Result<Welcome, Unwelcome> {
    let version = choose_version(connect).map_err(|refusal| Unwelcome { refusal, lists_versions: true })?;
    check_body(connect, version, &shared.settings.personality)?;
    let client = offer(connect, version)?;
    let (host, router) = choose_host(connect, shared)?;
    let login = check_login(connect, shared)?;
    let Greeting { server, session: prefix, heart_beat, .. } = &shared.settings.personality.greeting;
    let ours = heart_beat.to(client, shared.settings.heart_beat);
    let mut connected = Frame::new(Command::Connected);
    if version > Version::V1_0 {
        connected = connected.with_header("version", version.as_str());
        if let Some(server) = server {
            connected = connected.with_header("server", server);
        }
        connected = connected.with_header("heart-beat", format!("{},{}", ours.sends, ours.wants));
    }
    if let Some(prefix) = prefix {
        connected = connected.with_header("session", format!("{prefix}{session}"));
    }
    let beats = ours.agree(client);
    Ok(Welcome { version, connected, beats, login, host, router })
}

/// The highest version that both speak; no `accept-version` means a client of 1.0.
fn choose_version(connect: &Frame) -> Result<Version, Refusal> {
    let Some(accepted) = connect.header("accept-version") else { return Ok(Version::V1_0) };
    let common =
        Version::ALL.into_iter().rev().find(|ours| accepted.split(',').any(|one| one == ours.as_str()));
    common.ok_or_else(|| Refusal::new("version mismatch", "supported versions are 1.0,1.1,1.2"))
}

/// No header is `0,0`, and STOMP 1.0 has no heart-beats.
fn offer(connect: &Frame, version: Version) -> Result<Offer, Refusal> {
    let text = connect.header("heart-beat").filter(|_| version > Version::V1_0);
    let Some(text) = text else { return Ok(Offer::default()) };
    Offer::parse(&text).ok_or_else(|| {
        Refusal::new("bad heart-beat", format!("heart-beat is two numbers with a comma, not {text:?}"))
    })
}

fn choose_host(connect: &Frame, shared: &Shared) -> Result<(Arc<str>, Arc<Mutex<Router>>), Refusal> {
    let wanted = connect.header("host");
    let found = shared.hosts.find(wanted.as_deref());
    found.map(|hosts::Host { name, router }| (name.clone(), router.clone())).ok_or_else(|| {
        let text = format!("there is no virtual host {:?}", wanted.unwrap_or_default());
        Refusal::limit(Limit::Login, "unknown virtual host", text)
    })
}

fn check_login(connect: &Frame, shared: &Shared) -> Result<Option<Box<str>>, Refusal> {
    let [login, passcode, host] = ["login", "passcode", "host"].map(|name| connect.header(name));
    let who = Login { login: login.as_deref(), passcode: passcode.as_deref(), host: host.as_deref() };
    if shared.settings.access.lets_in(&who) {
        return Ok(who.login.map(Box::from));
    }
    let text = match who.login {
        Some(login) => format!("login {login:?} or its passcode is wrong"),
        None => "a login and a passcode are needed".to_owned(),
    };
    Err(Refusal::limit(Limit::Login, "login refused", text))
}
