//! `tcp://` through tokio, and any other byte stream.
//!
//! [`from_io`] makes a transport of anything that tokio can read and write: a Unix socket, a child's pipes, a TLS
//! stream of the caller's.

mod connect;
mod io;

use tokio::net::TcpStream;

pub use connect::TcpConnector;
pub use io::{IoTransport, from_io};

/// A STOMP connection straight over TCP.
pub type TcpTransport = IoTransport<TcpStream>;
