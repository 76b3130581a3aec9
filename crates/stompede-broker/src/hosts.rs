//! Virtual hosts: each has destinations of its own.

use std::sync::{Arc, Mutex};

use crate::router::Router;

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: Arc<str>,
    pub(crate) router: Arc<Mutex<Router>>,
}

#[derive(Debug)]
pub(crate) struct Hosts {
    /// The first is for clients that name none; there is always one.
    hosts: Vec<Host>,
    /// No names were given, so any name means the only host.
    any: bool,
}

impl Hosts {
    pub(crate) fn new(names: &[String], router: impl Fn() -> Router) -> Self {
        let host = |name: &str| Host { name: name.into(), router: Arc::new(Mutex::new(router())) };
        let any = names.is_empty();
        let hosts = if any { vec![host("/")] } else { names.iter().map(|name| host(name)).collect() };
        Self { hosts, any }
    }

    /// The host of that name, or the first where none is named.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<&Host> {
        match name {
            Some(name) if !self.any => self.hosts.iter().find(|host| *host.name == *name),
            _ => self.hosts.first(),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter()
    }
}
