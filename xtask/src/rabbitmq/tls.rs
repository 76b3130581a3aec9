//! Certificates for the brokers of our own and for those who talk to them, made on the spot.

use std::fs;
use std::io;
use std::path::PathBuf;

use stompede_test_support::certificates::Authority;

use super::config::Scratch;

/// An authority, and a server and a client that it vouches for. Dropping it removes the files.
#[derive(Debug)]
pub(crate) struct TlsFiles(Scratch);

impl TlsFiles {
    /// Makes and writes all of them, for `localhost` and 127.0.0.1.
    pub(crate) fn create() -> io::Result<Self> {
        let files = Self(Scratch::create()?);
        let root = Authority::new("stompede tests");
        let (server, client) = (root.loopback(), root.client());
        fs::write(files.ca(), &root.pem)?;
        fs::write(files.server_cert(), server.chain)?;
        fs::write(files.server_key(), server.key)?;
        fs::write(files.client_cert(), client.chain)?;
        fs::write(files.client_key(), client.key)?;
        Ok(files)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    pub(super) fn server_cert(&self) -> PathBuf {
        self.0.path().join("server.pem")
    }

    pub(super) fn server_key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }

    pub(crate) fn client_cert(&self) -> PathBuf {
        self.0.path().join("client.pem")
    }

    pub(crate) fn client_key(&self) -> PathBuf {
        self.0.path().join("client.key")
    }
}
