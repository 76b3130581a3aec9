//! The server as the clients see it: a process that ends with its owner.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use super::super::{Place, Wire};
use crate::memory::many_files;

/// A running server.
pub(crate) struct Server {
    process: Child,
    places: Vec<Place>,
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
        let ports = line.split_whitespace().filter_map(|port| port.parse().ok());
        let places: Vec<Place> =
            Place::KINDS.iter().zip(ports).map(|(&(wire, tls), port)| Place { wire, tls, port }).collect();
        assert_eq!(places.len(), Place::KINDS.len(), "it prints its ports and not {line:?}");
        Self { process, places }
    }

    /// Where it listens, without TLS.
    pub(crate) fn place(&self, wire: Wire) -> Place {
        self.find(wire, false)
    }

    /// Where it listens, with TLS.
    pub(crate) fn place_with_tls(&self, wire: Wire) -> Place {
        self.find(wire, true)
    }

    fn find(&self, wire: Wire, tls: bool) -> Place {
        let place = self.places.iter().find(|place| (place.wire, place.tls) == (wire, tls));
        *place.unwrap_or_else(|| unreachable!("there is one of each kind"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
