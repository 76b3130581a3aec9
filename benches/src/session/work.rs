//! What is measured in messages a second.

use bytes::Bytes;

use super::throughput::{self, Client};
use super::{BODY, Flooding, Place, WINDOW, Wire, facade, ours, peers, raw};
use crate::args::Options;
use crate::corpus;
use crate::flavor::Flavor;

/// A kind of work, as it is named on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Work {
    Consume,
    Publish,
    Confirm,
    Bodies,
    Subscriptions,
    Listeners,
}

impl Work {
    pub(super) const ALL: [Self; 6] =
        [Self::Consume, Self::Publish, Self::Confirm, Self::Bodies, Self::Subscriptions, Self::Listeners];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::Publish => "publish",
            Self::Confirm => "confirm",
            Self::Bodies => "bodies",
            Self::Subscriptions => "subscriptions",
            Self::Listeners => "listeners",
        }
    }

    /// Measures it, or does a little of it.
    ///
    /// # Panics
    /// If a client does not find what is there.
    pub(super) fn run(self, place: Place, options: &Options) {
        let wire = place.wire.name();
        let small = if options.is_test() { 100 } else { 1 };
        let run = |title: String, clients: fn(Place, Flavor, usize) -> Vec<Client>| {
            throughput::run(&title, options, |flavor| clients(place, flavor, small));
        };
        match self {
            Self::Consume => run(format!("Consume {BODY} octets over {wire}"), consume),
            Self::Publish => run(format!("Publish {BODY} octets over {wire}"), publish),
            Self::Confirm => {
                run(format!("Publish {BODY} octets over {wire}, {WINDOW} receipts outstanding"), confirm);
            }
            Self::Bodies => {
                run(format!("Consume 4 KiB over {wire}"), |place, flavor, part| {
                    pair(place, flavor, KIB_4 / part, 4 * 1024)
                });
                run(format!("Consume 1 MiB over {wire}"), |place, flavor, part| {
                    pair(place, flavor, MIB_1 / part, 1024 * 1024)
                });
                run(format!("Publish 4 KiB over {wire}"), |place, flavor, part| {
                    publish_pair(place, flavor, KIB_4 / part, 4 * 1024)
                });
                run(format!("Publish 1 MiB over {wire}"), |place, flavor, part| {
                    publish_pair(place, flavor, MIB_1 / part, 1024 * 1024)
                });
            }
            Self::Subscriptions => {
                run(format!("Consume {BODY} octets over {wire}, one connection"), subscriptions);
            }
            Self::Listeners => {
                run(
                    format!("Consume {BODY} octets over {wire}, through the facade"),
                    |place, flavor, part| facade::clients(place, flavor, flooding(SMALL / part, BODY)),
                );
            }
        }
    }
}

fn consume(place: Place, flavor: Flavor, part: usize) -> Vec<Client> {
    let mut clients = pair(place, flavor, SMALL / part, BODY);
    // The slower ones have less to do, so that the rounds stay short.
    let flooding = flooding(SMALL / part / 5, BODY);
    match place.wire {
        // It has no other runtime.
        Wire::Ws if flavor == Flavor::CurrentThread => {
            clients.push(Client::local("wstomp", move || peers::wstomp(place, flooding)));
        }
        Wire::Ws => {}
        Wire::Tcp => {
            clients.push(Client::new(flavor, "async-stomp", move || peers::async_stomp(place, flooding)));
            clients.push(Client::new(flavor, "iridium-stomp", move || peers::iridium_stomp(place, flooding)));
        }
    }
    clients
}

fn publish(place: Place, flavor: Flavor, part: usize) -> Vec<Client> {
    publish_pair(place, flavor, SMALL / part, BODY)
}

fn confirm(place: Place, flavor: Flavor, part: usize) -> Vec<Client> {
    let body = body(BODY);
    // Fewer: they are slower, and each takes a slot.
    let messages = (SMALL / part / 4).max(2 * WINDOW);
    let raw_body = body.clone();
    let raw = match place.wire {
        Wire::Ws => Client::new(flavor, raw::name(place.wire), move || {
            raw::ws::confirm(place, messages, raw_body.clone())
        }),
        Wire::Tcp => Client::new(flavor, raw::name(place.wire), move || {
            raw::tcp::confirm(place, messages, raw_body.clone())
        }),
    };
    let by_tasks = body.clone();
    vec![
        raw,
        Client::new(flavor, "stompede, a task each", move || {
            ours::confirm_by_tasks(place, messages, by_tasks.clone())
        })
        .goal("≥ 0.6"),
        Client::new(flavor, "stompede, FuturesUnordered", move || {
            ours::confirm_unordered(place, messages, body.clone())
        })
        .goal("≥ 0.6"),
    ]
}

fn subscriptions(place: Place, flavor: Flavor, part: usize) -> Vec<Client> {
    let (many, messages) = (SUBSCRIPTIONS / part, SMALL / part);
    let flooding = flooding(messages, BODY);
    vec![
        Client::new(flavor, "one", move || ours::consume(place, flooding)),
        Client::new(flavor, "10,000, all to one", move || ours::consume_beside(place, many - 1, flooding))
            .goal("≤ 1.3"),
        Client::new(flavor, "10,000 in turn, one task", move || ours::consume_in_turn(place, many, flooding))
            .goal("≤ 1.3"),
        Client::new(flavor, "10,000 in turn, a task each", move || {
            ours::consume_by_tasks(place, many, flooding)
        }),
    ]
}

/// The measure and ours.
fn pair(place: Place, flavor: Flavor, messages: usize, body: usize) -> Vec<Client> {
    let flooding = flooding(messages, body);
    let raw = match place.wire {
        Wire::Ws => Client::new(flavor, raw::name(place.wire), move || raw::ws::consume(place, flooding)),
        Wire::Tcp => Client::new(flavor, raw::name(place.wire), move || raw::tcp::consume(place, flooding)),
    };
    let goal = match (place.wire, flavor, body) {
        (Wire::Ws, Flavor::CurrentThread, BODY) => "≥ 0.5",
        (Wire::Ws, Flavor::TwoWorkers, BODY) => "≥ 0.42",
        (Wire::Tcp, Flavor::CurrentThread, BODY) => "≥ 3.5 M/s",
        (Wire::Tcp, Flavor::TwoWorkers, BODY) => "",
        _ => "≥ 0.85",
    };
    vec![raw, Client::new(flavor, "stompede", move || ours::consume(place, flooding)).goal(goal)]
}

fn publish_pair(place: Place, flavor: Flavor, messages: usize, octets: usize) -> Vec<Client> {
    let body = body(octets);
    let raw_body = body.clone();
    let raw = match place.wire {
        Wire::Ws => Client::new(flavor, raw::name(place.wire), move || {
            raw::ws::publish(place, messages, raw_body.clone())
        }),
        Wire::Tcp => Client::new(flavor, raw::name(place.wire), move || {
            raw::tcp::publish(place, messages, raw_body.clone())
        }),
    };
    let goal = match (flavor, octets) {
        (Flavor::CurrentThread, BODY) => "≥ 0.7",
        (Flavor::TwoWorkers, BODY) => "≥ 0.6",
        _ => "≥ 0.85",
    };
    vec![
        raw,
        Client::new(flavor, "stompede", move || ours::publish(place, messages, body.clone())).goal(goal),
    ]
}

/// Small messages are text, as brokers send them. Large ones are binary: checking text would be the larger part of
/// what the measure does with them.
fn flooding(messages: usize, body: usize) -> Flooding {
    Flooding { messages, body, to_all: false, binary: body > BODY }
}

fn body(octets: usize) -> Bytes {
    corpus::json(0, octets).into()
}

/// Messages of a round: a tenth of a second and more.
const SMALL: usize = 400_000;
const KIB_4: usize = 60_000;
const MIB_1: usize = 300;

const SUBSCRIPTIONS: usize = 10_000;
