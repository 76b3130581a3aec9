//! The bench of the session: messages in and out, receipts, round trips, and what idle sessions take.

pub(crate) mod cpu;
mod echo;
mod facade;
mod idle;
pub(crate) mod ours;
mod peers;
pub(crate) mod raw;
mod server;
pub(crate) mod throughput;
mod work;

use std::process::ExitCode;

use self::echo::record;
pub use self::idle::session_idle;
pub(crate) use self::server::Server;
pub(crate) use self::server::flood_octets;
pub use self::server::session_server;
use self::work::Work;
use crate::args::Options;

/// Runs what the arguments ask for. `server` and `idle` are the paths of programs that call [`session_server`] and
/// [`session_idle`].
pub fn session(args: impl Iterator<Item = String>, server: &str, idle: &str) -> ExitCode {
    let parts: Vec<&str> = Work::ALL.iter().map(|work| work.name()).chain([echo::NAME, idle::NAME]).collect();
    let wires = Wire::ALL.map(Wire::name);
    let options = match Options::read_for(args, &parts, &wires) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let wanted = |name: &str, of: &[&str]| options.wants(name, of);
    let running = Server::start(server);
    for wire in Wire::ALL.into_iter().filter(|wire| wanted(wire.name(), &wires)) {
        let place = running.place(wire);
        for work in Work::ALL.into_iter().filter(|work| wanted(work.name(), &parts)) {
            work.run(place, &options);
        }
        if wanted(echo::NAME, &parts) {
            match options.rounds {
                0 => echo::check(place, &options.flavors),
                rounds => echo::measure(place, &options.flavors, rounds),
            }
        }
    }
    if wanted(idle::NAME, &parts) && wanted(Wire::Tcp.name(), &wires) {
        let place = running.place(Wire::Tcp);
        if options.is_test() { idle::check(idle, place) } else { idle::measure(idle, place) }
    }
    if options.is_test() {
        println!("everything arrived");
    }
    ExitCode::SUCCESS
}

/// What is below.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wire {
    Ws,
    Tcp,
}

impl Wire {
    pub(crate) const ALL: [Self; 2] = [Self::Ws, Self::Tcp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Tcp => "tcp",
        }
    }
}

/// Where the server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) wire: Wire,
    pub(crate) tls: bool,
    pub(crate) port: u16,
}

impl Place {
    /// All kinds, and whether with TLS.
    pub(crate) const KINDS: [(Wire, bool); 4] =
        [(Wire::Tcp, false), (Wire::Ws, false), (Wire::Tcp, true), (Wire::Ws, true)];

    /// The scheme of its URL.
    pub(crate) fn scheme(self) -> &'static str {
        match (self.wire, self.tls) {
            (Wire::Tcp, true) => "tls",
            (Wire::Ws, true) => "wss",
            (wire, false) => wire.name(),
        }
    }

    pub(crate) fn url(self) -> String {
        format!("{}://{}", self.scheme(), self.address())
    }

    pub(crate) fn address(self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// What a subscriber asks the server for.
#[derive(Clone, Copy, Debug)]
struct Flooding {
    messages: usize,
    /// Octets of each body.
    body: usize,
    /// Whether all subscriptions of the connection get some.
    to_all: bool,
    /// Whether they come as binary WebSocket messages.
    binary: bool,
}

impl Flooding {
    /// The headers that say so.
    fn headers(self) -> Vec<(String, String)> {
        let mut headers = vec![("flood", self.messages.to_string()), ("body", self.body.to_string())];
        headers.extend(self.to_all.then(|| ("to", "all".into())));
        headers.extend(self.binary.then(|| ("kind", "binary".into())));
        headers.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

pub(crate) const BENCH: &str = "/queue/bench";
const ECHO: &str = "/echo";

/// Octets of a small body.
pub(crate) const BODY: usize = 128;

/// Receipts that are waited for at a time.
pub(crate) const WINDOW: usize = 4096;
