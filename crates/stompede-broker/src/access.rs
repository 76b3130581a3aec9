//! Who is let in.

use std::collections::HashMap;
use std::fmt;

/// What a client said in CONNECT, for a closure to judge. `Debug` does not show the passcode.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Login<'a> {
    /// The `login` header.
    pub login: Option<&'a str>,
    /// The `passcode` header.
    pub passcode: Option<&'a str>,
    /// The `host` header: the virtual host.
    pub host: Option<&'a str>,
}

/// Who is let in.
#[derive(Default)]
pub(crate) struct Access {
    table: HashMap<String, String>,
    check: Option<Check>,
    anonymous: bool,
}

type Check = Box<dyn Fn(&Login<'_>) -> bool + Send + Sync>;

impl Access {
    pub(crate) fn add(&mut self, login: String, passcode: String) {
        self.table.insert(login, passcode);
    }

    pub(crate) fn check_with(&mut self, check: Check) {
        self.check = Some(check);
    }

    pub(crate) fn allow_anonymous(&mut self) {
        self.anonymous = true;
    }

    pub(crate) fn lets_in(&self, who: &Login<'_>) -> bool {
        let anybody = self.table.is_empty() && self.check.is_none();
        let is_known = || {
            let right = who.login.and_then(|login| self.table.get(login));
            right.is_some_and(|right| Some(right.as_str()) == who.passcode)
        };
        let is_anonymous = who.login.is_none() && who.passcode.is_none();
        anybody
            || self.anonymous && is_anonymous
            || is_known()
            || self.check.as_ref().is_some_and(|check| check(who))
    }
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passcode = self.passcode.map(|_| "***");
        f.debug_struct("Login")
            .field("login", &self.login)
            .field("passcode", &passcode)
            .field("host", &self.host)
            .finish()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("logins", &self.table.keys())
            .field("check", &self.check.is_some())
            .field("anonymous", &self.anonymous)
            .finish()
    }
}
