//! Lets a test program do to a broker what only its parent can: kill it, start it again, keep it from running.
//!
//! Over loopback, one word a connection: `kill`, `start`, `freeze` or `thaw`, a line feed, and the answer is `ok` once
//! that is done, or why it could not be.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::RabbitMq;
use crate::failure::Failure;
use crate::process;

/// Whoever connects has its word ready.
const WORD_LIMIT: Duration = Duration::from_secs(5);

/// More than the longest word.
const MAX_WORD: u64 = 16;

/// How long one round of waiting for a connection takes, at the most, before the end is looked for.
const ROUND: Duration = Duration::from_millis(200);

/// Runs `during`, and meanwhile obeys whoever speaks to the address that it is given. A frozen broker is thawed afterwards;
/// one that was killed stays so.
pub(crate) fn controlled<T>(
    broker: &mut RabbitMq,
    during: impl FnOnce(SocketAddr) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Failure::io("listening for control"))?;
    listener.set_nonblocking(true).map_err(Failure::io("listening for control"))?;
    let address = listener.local_addr().map_err(Failure::io("listening for control"))?;
    let over = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, &over, |word| obey(broker, word)));
        let result = {
            let _over = Over(&over);
            during(address)
        };
        let served = server.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What went wrong with `during` says more.
        result.and_then(|result| served.map(|()| result))
    });
    broker.thaw();
    result
}

/// Says that it is over, also when it ends in a panic: the server must not wait for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn obey(broker: &mut RabbitMq, word: &str) -> Result<(), Failure> {
    match word {
        "kill" => broker.kill(),
        "start" => broker.start_again()?,
        "freeze" => broker.freeze(),
        "thaw" => broker.thaw(),
        _ => return Err(Failure::Check(format!("{word:?} is no word for a broker"))),
    }
    println!("   RabbitMQ: {word}");
    Ok(())
}

fn serve(
    listener: &TcpListener,
    over: &AtomicBool,
    mut obey: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    while !over.load(Ordering::Acquire) {
        let accepted = process::poll_until(ROUND, || match listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(Failure::io("accepting for control")(error)),
        })?;
        let Some(mut stream) = accepted else { continue };
        // Whoever says nothing, or goes before the answer, harms nobody but itself.
        let Ok(word) = read_word(&stream) else { continue };
        let answer = obey(&word).map_or_else(|failure| failure.to_string(), |()| "ok".to_owned());
        let _ = writeln!(stream, "{answer}");
    }
    Ok(())
}

fn read_word(stream: &TcpStream) -> io::Result<String> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(WORD_LIMIT))?;
    let mut word = String::new();
    BufReader::new(stream.take(MAX_WORD)).read_line(&mut word)?;
    Ok(word.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves while `during` runs; gives what was obeyed.
    fn served(during: impl FnOnce(SocketAddr)) -> Vec<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (over, mut words) = (AtomicBool::new(false), Vec::new());
        thread::scope(|scope| {
            let server = scope.spawn(|| {
                serve(&listener, &over, |word| {
                    words.push(word.to_owned());
                    if word == "bad" { Err(Failure::Check("no".to_owned())) } else { Ok(()) }
                })
            });
            let _over = Over(&over);
            during(address);
            drop(_over);
            server.join().unwrap().unwrap();
        });
        words
    }

    fn say(address: SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn each_word_is_obeyed_and_answered() {
        let words = served(|address| {
            assert_eq!(say(address, "kill\n"), "ok\n");
            assert_eq!(say(address, "bad\n"), "no\n");
        });
        assert_eq!(words, ["kill", "bad"]);
    }

    #[test]
    fn a_caller_that_says_nothing_or_goes_at_once_stops_nobody() {
        let words = served(|address| {
            drop(TcpStream::connect(address).unwrap());
            let mut goes = TcpStream::connect(address).unwrap();
            goes.write_all(b"start\n").unwrap();
            drop(goes);
            assert_eq!(say(address, "thaw\n"), "ok\n");
        });
        assert_eq!(words, ["", "start", "thaw"]);
    }
}
