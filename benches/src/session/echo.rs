//! Round trips, one at a time.

use std::time::Instant;

use bytes::Bytes;
use hdrhistogram::Histogram;

use super::throughput::on;
use super::{BODY, Place, Wire, ours, raw};
use crate::corpus;
use crate::flavor::Flavor;
use crate::harness::{self, Contender};
use crate::report::{self, Table};

/// What this part is called on the command line.
pub(super) const NAME: &str = "echo";

/// Prints how long a round trip takes.
pub(super) fn measure(place: Place, flavors: &[Flavor], rounds: usize) {
    println!(
        "\nRound trips of {BODY} octets over {}, one at a time; {rounds} interleaved rounds of {ROUND_TRIPS}, medians\n",
        place.wire.name()
    );
    let columns = [
        ("", 2),
        ("client", 28),
        ("p50 µs", 7),
        ("× raw", 6),
        ("goal", 6),
        ("p99 µs", 7),
        ("× raw", 6),
        ("goal", 6),
    ];
    let table = Table::begin(&columns, 2);
    let mut contenders = contenders(place, flavors, ROUND_TRIPS);
    harness::once(&mut contenders);
    let [p50, p99] = harness::interleave_figures(&mut contenders, rounds);
    for (at, contender) in contenders.iter().enumerate() {
        // Raw and ours take turns.
        let raw = at - at % 2;
        let (goal50, goal99) = if at == raw { ("", "") } else { ("≤ 1.12", "≤ 1.3") };
        table.row(&[
            flavors[at / 2].name().into(),
            contender.name.into(),
            format!("{:.1}", p50.median(at) * 1e6),
            report::ratio(p50.ratio(at, raw)),
            goal50.into(),
            format!("{:.1}", p99.median(at) * 1e6),
            report::ratio(p99.ratio(at, raw)),
            goal99.into(),
        ]);
    }
}

/// Sends a few messages there and back.
///
/// # Panics
/// If that takes no time.
pub(super) fn check(place: Place, flavors: &[Flavor]) {
    for (name, [p50, p99]) in harness::once(&mut contenders(place, flavors, 50)) {
        assert!(p50 > SHORTEST && p99 >= p50, "{name}: {p50} {p99}");
    }
}

fn contenders(place: Place, flavors: &[Flavor], messages: usize) -> Vec<Contender<'static, [f64; 2]>> {
    let body = Bytes::from(corpus::json(0, BODY));
    let pair = |&flavor: &Flavor| {
        let (raw_body, body) = (body.clone(), body.clone());
        let raw = Contender::new(raw::name(place.wire), move || {
            let body = raw_body.clone();
            figures(&match place.wire {
                Wire::Ws => on(flavor, raw::ws::round_trips(place, messages, body)),
                Wire::Tcp => on(flavor, raw::tcp::round_trips(place, messages, body)),
            })
        });
        let ours = Contender::new("stompede", move || {
            figures(&on(flavor, ours::round_trips(place, messages, body.clone())))
        });
        [raw, ours]
    };
    flavors.iter().flat_map(pair).collect()
}

/// Seconds that half and 99 of 100 are done in.
fn figures(times: &Histogram<u64>) -> [f64; 2] {
    [0.5, 0.99].map(|quantile| times.value_at_quantile(quantile) as f64 / 1e9)
}

/// Nanoseconds, to three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("0 to 5 digits are possible")
}

/// Notes the time from then until now.
pub(super) fn record(times: &mut Histogram<u64>, started: Instant) {
    times.saturating_record(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
}

/// A tenth of a second and more.
const ROUND_TRIPS: usize = 4000;

/// Nanoseconds that a round trip counts with at most; without bounds a histogram would cut off at 2.
const LONGEST: u64 = 60_000_000_000;

/// Seconds that two system calls on each side take at the very least.
const SHORTEST: f64 = 1e-6;
