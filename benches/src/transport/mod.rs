//! The bench of the transports: bytes in, frames out, and what idle connections take.

mod buffers;
mod idle;
mod ours;
mod raw;

use std::process::ExitCode;

use bytes::Bytes;

use crate::args::Options;
use crate::corpus;
use crate::flavor::Flavor;
use crate::session::throughput::{self, Client};
use crate::session::{BENCH, BODY, Place, Server, Wire};

pub use self::idle::transport_idle;

/// Runs what the arguments ask for. `server` and `idle` are the paths of programs that call
/// [`session_server`](crate::session_server) and [`transport_idle`].
pub fn transport(args: impl Iterator<Item = String>, server: &str, idle: &str) -> ExitCode {
    let options = match Options::read_for(args, &PARTS, &WIRES) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let wanted = |name: &str, of: &[&str]| options.wants(name, of);
    let running = Server::start(server);
    let small = if options.is_test() { 100 } else { 1 };
    for wire in Wire::ALL.into_iter().filter(|wire| wanted(wire.name(), &WIRES)) {
        let place = running.place(wire);
        if wanted(RECEIVE, &PARTS) {
            let title = format!("Receive {BODY} octets over {}", wire.name());
            throughput::run(&title, &options, |flavor| receive(place, flavor, SMALL / small));
        }
        if wanted(SEND, &PARTS) {
            let title = format!("Send {BODY} octets over {}", wire.name());
            throughput::run(&title, &options, |flavor| send(place, flavor, SMALL / small));
        }
    }
    if wanted(buffers::NAME, &PARTS) && wanted(Wire::Ws.name(), &WIRES) {
        buffers::run(running.place(Wire::Ws), idle, &options);
    }
    if wanted(idle::NAME, &PARTS) {
        let wires = Wire::ALL.into_iter().filter(|wire| wanted(wire.name(), &WIRES));
        let places: Vec<Place> =
            wires.flat_map(|wire| [running.place(wire), running.place_with_tls(wire)]).collect();
        if options.is_test() { idle::check(idle, &places) } else { idle::measure(idle, &places) }
    }
    if options.is_test() {
        println!("everything arrived");
    }
    ExitCode::SUCCESS
}

fn receive(place: Place, flavor: Flavor, messages: usize) -> Vec<Client> {
    let flood = Flood::new(messages, BODY, false);
    match place.wire {
        Wire::Ws => vec![
            Client::new(flavor, "raw, 16 KiB buffer", move || raw::ws::receive(place, flood, Some(BUFFER))),
            Client::new(flavor, "raw as it is, 128 KiB", move || raw::ws::receive(place, flood, None)),
            Client::new(flavor, "stompede", move || ours::receive(place, flood, BUFFER)).goal("≥ 0.85"),
        ],
        Wire::Tcp => vec![
            Client::new(flavor, "raw, 16 KiB buffer", move || raw::tcp::receive(place, flood)),
            Client::new(flavor, "stompede", move || ours::receive(place, flood, BUFFER)).goal("≥ 0.9"),
        ],
    }
}

fn send(place: Place, flavor: Flavor, messages: usize) -> Vec<Client> {
    let ours = |name, queue| Client::new(flavor, name, move || ours::send(place, messages, queue));
    match place.wire {
        Wire::Ws => vec![
            Client::new(flavor, "raw, one flush", move || raw::ws::send(place, messages)),
            ours("stompede, flush behind 256", 256).goal("≥ 0.85"),
            ours("stompede, flush behind 16", 16),
            // Far slower, so there is less of it.
            Client::new(flavor, "raw, flush behind each", move || raw::ws::send_each(place, messages / 10)),
        ],
        Wire::Tcp => vec![
            Client::new(flavor, "raw, one flush", move || raw::tcp::send(place, messages)),
            ours("stompede, flush behind 256", 256),
            ours("stompede, flush behind 16", 16),
        ],
    }
}

/// Messages that the server is asked for, and what they come to.
#[derive(Clone, Copy, Debug)]
struct Flood {
    messages: usize,
    /// Octets of a body.
    body: usize,
    binary: bool,
    /// Octets of all frames.
    octets: usize,
}

impl Flood {
    fn new(messages: usize, body: usize, binary: bool) -> Self {
        let octets = crate::session::flood_octets("0", messages, body);
        Self { messages, body, binary, octets }
    }

    /// What brings it.
    fn subscribe(self) -> String {
        let Self { messages, body, .. } = self;
        let kind = if self.binary { "kind:binary\n" } else { "" };
        format!("SUBSCRIBE\nid:0\ndestination:{BENCH}\nflood:{messages}\nbody:{body}\n{kind}\n\0")
    }
}

const CONNECT: &str = "CONNECT\naccept-version:1.2\nhost:localhost\n\n\0";

/// A frame to be sent.
fn frame() -> Bytes {
    let body = corpus::json(0, BODY);
    let head = format!("SEND\ndestination:{BENCH}\ncontent-length:{}\n\n", body.len());
    [head.as_bytes(), &body, b"\0"].concat().into()
}

/// The last frame: its answer comes when all before it have been counted.
fn last(messages: usize) -> String {
    format!("SEND\ndestination:{BENCH}\nexpect:{messages}\nreceipt:last\n\n\0")
}

const RECEIVE: &str = "receive";
const SEND: &str = "send";
const PARTS: [&str; 4] = [RECEIVE, SEND, buffers::NAME, idle::NAME];
const WIRES: [&str; 2] = ["ws", "tcp"];

/// Messages of a round: a tenth of a second and more.
const SMALL: usize = 400_000;

/// What ours reads at a time by default.
const BUFFER: usize = 16 * 1024;

/// What ours lets wait before it writes, over WebSocket.
const WRITE_BUFFER: usize = 64 * 1024;
