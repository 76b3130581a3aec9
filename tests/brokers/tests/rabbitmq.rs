//! RabbitMQ lets us in: what every other test against it builds on.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use stompede_real_brokers::RabbitMq;

/// RabbitMQ answers CONNECT within milliseconds; this only keeps a silent broker from hanging the test.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Sends CONNECT over TCP and gives the frame that comes back, without its NUL.
fn connect(login: &str, passcode: &str, host: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(RabbitMq::from_env().tcp_address())?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let frame = format!("CONNECT\naccept-version:1.2\nhost:{host}\nlogin:{login}\npasscode:{passcode}\n\n\0");
    stream.write_all(frame.as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        if byte == [0] {
            return String::from_utf8(answer).map_err(io::Error::other);
        }
        answer.push(byte[0]);
    }
}

#[test]
fn every_account_gets_in_on_its_virtual_host() {
    for (login, passcode, host) in
        [("guest", "guest", "/"), ("guest", "guest", "lab"), ("lab", "labpass", "lab"), ("ro", "ropass", "/")]
    {
        let answer = connect(login, passcode, host).unwrap();
        assert!(answer.starts_with("CONNECTED\n"), "{login} on {host}: {answer}");
        assert!(answer.contains("\nserver:RabbitMQ/"), "{login} on {host}: {answer}");
    }
}

#[test]
fn a_wrong_passcode_and_a_foreign_virtual_host_are_refused() {
    for (login, passcode, host) in [("guest", "wrong", "/"), ("lab", "labpass", "/")] {
        let answer = connect(login, passcode, host).unwrap();
        assert!(answer.starts_with("ERROR\n"), "{login} on {host}: {answer}");
        assert!(answer.contains("\nmessage:Bad CONNECT"), "{login} on {host}: {answer}");
    }
}
