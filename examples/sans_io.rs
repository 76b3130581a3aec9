//! The protocol driven by hand: a blocking `TcpStream`, a loop, and no runtime on the client's side.
//!
//! `cargo run --example sans_io`, or against a broker of yours: `cargo run --example sans_io -- tcp://127.0.0.1:61613`

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use stompede_codec::{Command, Frame};
use stompede_session::protocol::{Delivery, Event, Inbox, Input, Machine, Output, SubscribeRequest};
use stompede_session::{AckMode, Config};

/// A machine, its socket, and what it told us.
struct Client {
    machine: Machine,
    socket: TcpStream,
    deadline: Option<Instant>,
    over: bool,
}

impl Client {
    fn connect(config: Config) -> Result<Self, Box<dyn Error>> {
        let mut machine = Machine::new(config)?;
        machine.start(now());
        let Output::Dial(endpoint) = machine.poll_output() else { return Err("it dials first".into()) };
        let socket = TcpStream::connect((endpoint.host(), endpoint.port().unwrap_or(61613)))?;
        machine.handle_input(Input::Opened { now: now() });
        Ok(Self { machine, socket, deadline: None, over: false })
    }

    /// One turn: carry out what the machine wants, write, wait for bytes or for the time it named.
    fn turn(&mut self) -> Result<(), Box<dyn Error>> {
        self.drain();
        while let Some(mut item) = self.machine.poll_transmit(now()) {
            self.socket.write_all(&item.copy_to_bytes(item.remaining()))?;
        }
        // The socket has it all: any write counts as a heart-beat.
        self.machine.handle_input(Input::Flushed { now: now() });
        self.drain();
        if self.over {
            return Ok(());
        }
        let wait = self.deadline.map(|at| at.saturating_duration_since(now()));
        self.socket.set_read_timeout(Some(wait.unwrap_or(HOUR).max(Duration::from_millis(1))))?;
        let mut buffer = [0; 16 * 1024];
        let input = match self.socket.read(&mut buffer) {
            Ok(0) => Input::Closed { now: now(), error: None },
            Ok(len) => Input::Received { now: now(), bytes: Bytes::copy_from_slice(&buffer[..len]) },
            // Some systems say the one, some the other.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Input::Timer { now: now() }
            }
            Err(error) => Input::Closed { now: now(), error: Some(error.into()) },
        };
        self.machine.handle_input(input);
        self.drain();
        Ok(())
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll_output() {
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
                Output::Event(Event::Closed(cause)) => {
                    println!("closed: {cause:?}");
                    self.over = true;
                }
                Output::Event(Event::Connected(broker)) => {
                    println!("connected to {}: STOMP {}", broker.host(), broker.version());
                }
                Output::Event(event) => println!("{event:?}"),
                // It is over with this socket: in order, or at once.
                Output::Close => drop(self.socket.shutdown(std::net::Shutdown::Write)),
                Output::Abandon => drop(self.socket.shutdown(std::net::Shutdown::Both)),
                Output::Dial(_) => unreachable!("one connection only"),
            }
        }
    }

    fn until(&mut self, done: impl Fn(&Machine) -> bool) -> Result<(), Box<dyn Error>> {
        while !done(&self.machine) {
            self.turn()?;
            if self.over {
                return Err("the session ended too early".into());
            }
        }
        Ok(())
    }
}

/// Takes what waits for a subscription. A task would give its own waker; a loop just looks.
fn take(inbox: &Inbox) -> VecDeque<Delivery> {
    let mut taken = VecDeque::new();
    match inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken) {
        Poll::Ready(_) | Poll::Pending => taken,
    }
}

fn talk(url: &str) -> Result<(), Box<dyn Error>> {
    let mut config = Config::for_url(url)?;
    config.host = Some("/".into());
    (config.login, config.passcode) = (Some("guest".into()), Some("guest".into()));
    let mut client = Client::connect(config)?;
    client.until(|machine| machine.connected().is_some())?;

    let mut request = SubscribeRequest::new("/queue/by-hand");
    request.ack = AckMode::ClientIndividual;
    let id = client.machine.subscribe(request)?;
    let inbox = client.machine.inbox(id).ok_or("it was just made")?;
    for text in ["one", "two", "three"] {
        let send = Frame::new(Command::Send).with_header("destination", "/queue/by-hand").with_body(text);
        client.machine.send(&send)?;
    }
    let mut received = 0;
    while received < 3 {
        client.turn()?;
        for delivery in take(&inbox) {
            let Delivery::Message { frame, ticket } = delivery else { continue };
            println!("received {:?}", frame.body_text_lossy());
            client.machine.settle(&ticket, &frame, stompede_session::protocol::Settle::new(true))?;
            received += 1;
        }
        client.machine.handle_input(Input::Taken { now: now() });
    }
    client.machine.disconnect(now());
    while !client.over {
        client.turn()?;
    }
    match client.machine.closed() {
        Some(Some(error)) => Err(error.clone().into()),
        _ => Ok(()),
    }
}

#[allow(clippy::disallowed_methods, reason = "whoever drives the protocol has the clock")]
fn now() -> Instant {
    Instant::now()
}

/// A machine that waits for nothing still has to hear of bytes.
const HOUR: Duration = Duration::from_secs(3600);

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(url) = std::env::args().nth(1) {
        return talk(&url);
    }
    // The embedded broker lives on a runtime of its own; the client knows nothing of it.
    let runtime = tokio::runtime::Runtime::new()?;
    let broker = runtime.block_on(stompede_broker::Broker::start())?;
    talk(broker.tcp_url().ok_or("it listens on no TCP port")?)
}
