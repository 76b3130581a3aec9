//! Publishing at least once, next to publishing that is confirmed and no more.

use bytes::Bytes;
use stompede_session::{Config, Guarantee, SendPolicy, Session, WhileOffline};
use stompede_transport::DefaultConnector;

use crate::args::Options;
use crate::corpus;
use crate::flavor::Flavor;
use crate::session::cpu::Sample;
use crate::session::ours;
use crate::session::throughput::{self, Client};
use crate::session::{BODY, Place, WINDOW};

/// What this part is called on the command line.
pub(super) const NAME: &str = "outbox";

/// Measures it, or does a little of it.
///
/// # Panics
/// If a message is not confirmed.
pub(super) fn run(place: Place, options: &Options) {
    let messages = if options.is_test() { 2 * WINDOW } else { MESSAGES };
    let title = format!("Publish {BODY} octets over {}, {WINDOW} receipts outstanding", place.wire.name());
    throughput::run(&title, options, |flavor| clients(place, flavor, messages));
}

fn clients(place: Place, flavor: Flavor, messages: usize) -> Vec<Client> {
    let body: Bytes = corpus::json(0, BODY).into();
    let client = |name, guarantee, while_offline| {
        let body = body.clone();
        let mut policy = SendPolicy::default();
        (policy.guarantee, policy.while_offline) = (guarantee, while_offline);
        Client::new(flavor, name, move || confirm(place, policy.clone(), messages, body.clone()))
    };
    vec![
        client("at most once", Guarantee::AtMostOnce, WhileOffline::Fail),
        client("at most once, queue", Guarantee::AtMostOnce, WhileOffline::Queue),
        client("at least once", Guarantee::AtLeastOnce, WhileOffline::Fail).goal("≥ 0.5"),
        client("at least once, queue", Guarantee::AtLeastOnce, WhileOffline::Queue).goal("≥ 0.5"),
    ]
}

/// Sends messages and waits for their receipts, as many at a time as the window has room for.
async fn confirm(place: Place, policy: SendPolicy, messages: usize, body: Bytes) -> Sample {
    let mut config = Config::for_url(&place.url()).expect("the URL of a server");
    config.sending = policy;
    let session = Session::connect(config, DefaultConnector::new()).await.expect("the server answers");
    ours::confirm_window(&session, messages, body).await
}

/// A tenth of a second and more.
const MESSAGES: usize = 100_000;
