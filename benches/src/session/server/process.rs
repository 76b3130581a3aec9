//! The server as the clients see it: a process that ends with its owner.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::memory::many_files;

/// A running server.
pub(crate) struct Server {
    process: Child,
    tcp: u16,
    ws: u16,
}

impl Server {
    /// Starts `program`, which calls [`session_server`](super::session_server).
    ///
    /// # Panics
    /// If it does not start.
    pub(crate) fn start(program: &str) -> Self {
        let mut command = many_files(program);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process can be started");
        let mut line = String::new();
        let output = process.stdout.take().expect("it was asked for");
        BufReader::new(output).read_line(&mut line).expect("the server says where it listens");
        let ports =
            line.trim().split_once(' ').and_then(|(tcp, ws)| Some((tcp.parse().ok()?, ws.parse().ok()?)));
        let (tcp, ws) = ports.unwrap_or_else(|| unreachable!("it prints two ports and not {line:?}"));
        Self { process, tcp, ws }
    }

    /// The port for a transport.
    pub(crate) fn port(&self, transport: super::super::Wire) -> u16 {
        match transport {
            super::super::Wire::Tcp => self.tcp,
            super::super::Wire::Ws => self.ws,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
