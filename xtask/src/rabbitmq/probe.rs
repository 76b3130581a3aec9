//! Asking a broker whether it is up: a port that accepts is not yet a broker that lets one in.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Loopback answers at once; a broker in the middle of its start may take longer for a login.
const LIMIT: Duration = Duration::from_secs(5);

/// A CONNECTED or ERROR frame is a few hundred bytes.
const MAX_ANSWER: usize = 16 * 1024;

const CONNECT: &[u8] = b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0";

/// Connects to a loopback port.
pub(super) fn tcp(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT)
}

/// Asks epmd for the nodes it knows; it answers with its own port first.
pub(super) fn epmd(port: u16) -> io::Result<()> {
    /// A length of one byte, and `n` for NAMES.
    const NAMES: [u8; 3] = [0, 1, b'n'];
    let mut stream = tcp(port)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(&NAMES)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if u32::from_be_bytes(answer) == u32::from(port) { Ok(()) } else { Err(io::Error::other("not an epmd")) }
}

/// Logs in and gives the version that the broker names, `3.10.8` for `server:RabbitMQ/3.10.8`.
pub(super) fn stomp(port: u16) -> io::Result<String> {
    let mut stream = tcp(port)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(CONNECT)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    while !answer.contains(&0) && answer.len() < MAX_ANSWER {
        match stream.read(&mut chunk)? {
            0 => break,
            n => answer.extend_from_slice(&chunk[..n]),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    version(&answer).ok_or_else(|| io::Error::other(format!("answered CONNECT with {answer:?}")))
}

fn version(answer: &str) -> Option<String> {
    let headers = answer.strip_prefix("CONNECTED\n")?;
    let (headers, _) = headers.split_once("\n\n")?;
    let server = headers.lines().find_map(|line| line.strip_prefix("server:"));
    Some(server.and_then(|server| server.split_once('/')).map_or("?", |(_, version)| version).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_gives_the_version() {
        let answer = "CONNECTED\nserver:RabbitMQ/3.10.8\nsession:s\nversion:1.2\n\n\0\n";
        assert_eq!(version(answer).as_deref(), Some("3.10.8"));
    }

    #[test]
    fn a_nameless_broker_is_up_all_the_same() {
        assert_eq!(version("CONNECTED\nversion:1.2\n\n\0").as_deref(), Some("?"));
    }

    #[test]
    fn an_error_or_half_a_frame_is_not_up() {
        assert_eq!(version("ERROR\nmessage:Bad CONNECT\n\n\0"), None);
        assert_eq!(version("CONNECTED\nserver:RabbitMQ/3.10.8\n"), None);
        assert_eq!(version(""), None);
    }
}
