//! Messages a second from one publisher to one subscriber of a topic, over TCP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use stompede_broker::Broker;
use stompede_codec::{Decoder, ItemRef, Limits, Version};

use super::running::Running;
use super::{DEADLINE, client, relay};
use crate::flavor::Flavor;
use crate::harness::{self, Contender};
use crate::report::{self, Table};
use crate::tally::Tally;

/// What this part is called on the command line.
pub(crate) const NAME: &str = "through";

/// Prints how many messages go through.
pub(crate) fn measure(rounds: usize) {
    let messages = BLOCKS * BLOCK;
    println!("\nMessages of {BODY} octets through a topic, one publisher, one subscriber, over TCP;");
    println!("{rounds} interleaved rounds of {messages} messages, medians; × is speed\n");
    let columns = [("broker", 34), ("messages/s", 10), ("goal", 9), ("µs/message", 0), ("× relay", 0)];
    let table = Table::begin(&columns, 1);
    let mut all = all();
    let names: Vec<_> = all.iter().map(|through| through.name).collect();
    let mut contenders: Vec<_> =
        all.iter_mut().map(|through| Contender::new(through.name, || through.round(BLOCKS))).collect();
    harness::once(&mut contenders);
    let times = harness::interleave_timed(&mut contenders, rounds);
    drop(contenders);
    for (at, name) in names.into_iter().enumerate() {
        let seconds = times.median(at);
        table.row(&[
            name.into(),
            format!("{:.0}", messages as f64 / seconds),
            if all[at].running.is_some() { "≥ 300000".into() } else { String::new() },
            format!("{:.2}", seconds * 1e6 / messages as f64),
            report::ratio(times.ratio(RELAY, at)),
        ]);
    }
    all.iter().for_each(|through| through.compare(rounds + 1, BLOCKS));
}

/// Sends a few messages through each.
///
/// # Panics
/// If not all of them arrive.
pub(crate) fn check() {
    // More than the window, so that its credits come round.
    let blocks = WINDOW + 2;
    for mut through in all() {
        through.round(blocks);
        through.compare(1, blocks);
    }
}

/// The relay is the ceiling.
fn all() -> [Through; 3] {
    [
        Through::relay("relay of the same octets, a thread"),
        Through::broker("stompede, current-thread runtime", Flavor::CurrentThread),
        Through::broker("stompede, two workers", Flavor::TwoWorkers),
    ]
}

/// Where the relay stands among them.
const RELAY: usize = 0;

/// A publisher, a subscriber, and who is between them.
struct Through {
    name: &'static str,
    publisher: TcpStream,
    subscriber: Subscriber,
    running: Option<Running>,
    block: Block,
}

impl Through {
    fn relay(name: &'static str) -> Self {
        let (publisher, subscriber) = relay::pair();
        Self { name, publisher, subscriber: Subscriber::new(subscriber), running: None, block: Block::new() }
    }

    fn broker(name: &'static str, flavor: Flavor) -> Self {
        let running = Running::start(flavor, Broker::builder());
        let mut subscriber = client::connect(running.address());
        client::subscribe(&mut subscriber, DESTINATION);
        Self {
            name,
            publisher: client::connect(running.address()),
            subscriber: Subscriber::new(subscriber),
            running: Some(running),
            block: Block::new(),
        }
    }

    /// Sends so many blocks; the time until the last message was received.
    ///
    /// # Panics
    /// If what was received is not what was sent, or does not come in time.
    fn round(&mut self, blocks: usize) -> Duration {
        let Self { publisher, subscriber, block, .. } = self;
        let (credit, credits) = sync_channel(WINDOW);
        (0..WINDOW).for_each(|_| credit.send(()).expect("its receiver stands above"));
        let started = harness::now();
        let (tally, time) = thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let tally = subscriber.read(blocks, &credit, started);
                (tally, started.elapsed())
            });
            publish(publisher, block, blocks, &credits);
            reader.join().expect("the subscriber has said why it failed")
        });
        let Tally { frames, body, mark, .. } = tally;
        let expected = (blocks * BLOCK, blocks * BLOCK * BODY, self.block.mark * blocks as u64);
        assert_eq!((frames as usize, body as usize, mark), expected, "{}: what was sent arrives", self.name);
        time
    }

    /// Looks at the broker's own counters.
    ///
    /// # Panics
    /// If they count something else than so many rounds.
    fn compare(&self, rounds: usize, blocks: usize) {
        let Some(running) = &self.running else { return };
        let stats = running.broker().stats();
        let sent = (rounds * blocks * BLOCK) as u64;
        assert_eq!((stats.received, stats.delivered, stats.errors), (sent, sent, 0), "{}", self.name);
    }
}

/// Frames that are written at once.
struct Block {
    wire: Vec<u8>,
    /// What [`Tally::mark`] is for them.
    mark: u64,
}

impl Block {
    fn new() -> Self {
        let mut block = Self { wire: Vec::new(), mark: 0 };
        for n in 0..BLOCK {
            let body = format!("{n:0BODY$}");
            block.mark += body.bytes().last().map_or(0, u64::from);
            let frame = format!("SEND\ndestination:{DESTINATION}\ncontent-length:{BODY}\n\n{body}\0");
            block.wire.extend_from_slice(frame.as_bytes());
        }
        block
    }
}

/// Writes so many blocks, as soon as the subscriber has received enough of those before.
fn publish(socket: &mut TcpStream, block: &Block, blocks: usize, credits: &Receiver<()>) {
    for _ in 0..blocks {
        credits.recv_timeout(DEADLINE).expect("the subscriber receives in time");
        socket.write_all(&block.wire).expect("the broker reads in time");
    }
}

struct Subscriber {
    socket: TcpStream,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Subscriber {
    fn new(socket: TcpStream) -> Self {
        let mut decoder = Decoder::new(Limits::default());
        decoder.set_version(Version::V1_2);
        Self { socket, decoder, buffer: vec![0; 64 * 1024] }
    }

    /// Reads the messages of so many blocks, and gives a credit for each block.
    fn read(&mut self, blocks: usize, credit: &SyncSender<()>, started: Instant) -> Tally {
        let mut tally = Tally::default();
        let mut credited = 0;
        while (tally.frames as usize) < blocks * BLOCK {
            assert!(started.elapsed() < ROUND_DEADLINE, "{tally:?} after {ROUND_DEADLINE:?}");
            let len = self.socket.read(&mut self.buffer).expect("messages come in time");
            assert!(len > 0, "the broker closed after {tally:?}");
            self.decoder.push_slice(&self.buffer[..len]);
            while let Some(item) = self.decoder.next_ref().expect("the broker writes STOMP") {
                if let ItemRef::Frame(frame) = item {
                    let command = frame.command().as_str().as_bytes();
                    assert!(
                        matches!(command, b"MESSAGE" | b"SEND"),
                        "a message, or what the relay passed on"
                    );
                    tally.frame(command, frame.headers().len(), frame.body());
                }
            }
            while credited < tally.frames as usize / BLOCK {
                credited += 1;
                // The publisher may have written its last block and gone.
                let _ = credit.try_send(());
            }
        }
        tally
    }
}

const DESTINATION: &str = "/topic/bench";

/// Octets of a body.
const BODY: usize = 128;

/// Messages of a block: about 46 KiB, as large as a write of a busy client.
const BLOCK: usize = 256;

/// Blocks of a round: half a second and more.
const BLOCKS: usize = 800;

/// Blocks that are on their way at most. The broker ends a subscriber for which 16 MiB wait; these are 4 MiB.
const WINDOW: usize = 64;

/// The longest time of a round, for a debug build on a busy machine.
const ROUND_DEADLINE: Duration = Duration::from_secs(60);
