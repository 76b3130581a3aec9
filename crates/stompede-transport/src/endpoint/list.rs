use std::fmt;
use std::str::FromStr;

use super::Endpoint;
use super::parse::{MAX_URL, invalid};
use crate::TransportError;

/// How many URLs a list may hold: far more than a cluster has members that clients connect to.
const MAX_ENDPOINTS: usize = 64;

/// One broker that can be reached in several places: a list of endpoints, as ActiveMQ's own clients write it.
///
/// | written | means |
/// |---|---|
/// | `failover:(tcp://a:61613,tls://b:61614)` | either, beginning with one chosen by chance, as ActiveMQ does it |
/// | `failover:(tcp://a:61613,tcp://b:61613)?randomize=false` | `a` first, `b` when `a` cannot be had |
/// | `failover://(…)`, `failover:tcp://a,tcp://b` | the same with other brackets, or none |
/// | any single URL | that one |
///
/// Each URL is what [`Endpoint`] takes, path, query and credentials included; a literal `,`, `(` or `)` in one is
/// written percent-encoded. Of ActiveMQ's options only `randomize` is understood, and any other is refused by name
/// rather than ignored: delays and attempts are the client's own settings.
///
/// This type only says what was written. Who dials chooses the order.
///
/// ```
/// use stompede_transport::Endpoints;
///
/// let brokers = Endpoints::parse("failover:(ws://one/stomp,wss://two/stomp)?randomize=true")?;
/// assert_eq!((brokers.as_slice().len(), brokers.randomize()), (2, true));
/// assert_eq!(brokers.as_slice()[1].host(), "two");
/// # Ok::<(), stompede_transport::TransportError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoints {
    /// Never empty.
    list: Box<[Endpoint]>,
    randomize: bool,
}

impl Endpoints {
    /// Parses a `failover:` URL, or a single one.
    ///
    /// # Errors
    /// [`InvalidEndpoint`](crate::TransportErrorKind::InvalidEndpoint), with what is wrong and with which of the URLs,
    /// but not the URL.
    pub fn parse(url: &str) -> Result<Self, TransportError> {
        if url.len() > MAX_ENDPOINTS * MAX_URL {
            return Err(invalid("it is far too long"));
        }
        let scheme = "failover:";
        match url.get(..scheme.len()) {
            Some(start) if start.eq_ignore_ascii_case(scheme) => failover(&url[scheme.len()..]),
            _ => Ok(Self::from(Endpoint::parse(url)?)),
        }
    }

    /// Those endpoints, in this order; `None` if there are none, or more than 64.
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Option<Self> {
        let list: Box<[Endpoint]> = endpoints.into_iter().take(MAX_ENDPOINTS + 1).collect();
        (1..=MAX_ENDPOINTS).contains(&list.len()).then_some(Self { list, randomize: false })
    }

    /// Whether to begin with one chosen by chance, so that many clients spread over the brokers.
    ///
    /// True for a `failover:` URL that does not say otherwise, false for everything else.
    pub fn randomize(&self) -> bool {
        self.randomize
    }

    /// The endpoints as they were written; at least one.
    pub fn as_slice(&self) -> &[Endpoint] {
        &self.list
    }
}

impl From<Endpoint> for Endpoints {
    fn from(endpoint: Endpoint) -> Self {
        Self { list: [endpoint].into(), randomize: false }
    }
}

impl FromStr for Endpoints {
    type Err = TransportError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Self::parse(url)
    }
}

/// As [`Endpoint`] shows itself: without passcodes and queries.
impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([endpoint], false) = (&*self.list, self.randomize) {
            return endpoint.fmt(f);
        }
        f.write_str("failover:(")?;
        for (at, endpoint) in self.list.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{endpoint}")?;
        }
        write!(f, ")?randomize={}", self.randomize)
    }
}

/// What stands behind `failover:`.
fn failover(rest: &str) -> Result<Endpoints, TransportError> {
    let (list, options) = match rest.strip_prefix("//").unwrap_or(rest).strip_prefix('(') {
        Some(rest) => {
            rest.split_once(')').ok_or_else(|| invalid("the ( behind failover: is never closed"))?
        }
        // Without brackets a query belongs to the last URL.
        None => (rest, ""),
    };
    let mut endpoints = Vec::new();
    for (at, url) in list.split(',').enumerate() {
        if at == MAX_ENDPOINTS {
            return Err(invalid("its list has more than 64 URLs"));
        }
        let url = url.trim_matches(' ');
        if url.contains(['(', ')']) {
            return Err(invalid("a bracket stands within its list; write %28 and %29 for literal ones"));
        }
        let endpoint = Endpoint::parse(url);
        endpoints
            .push(endpoint.map_err(|error| error.about(&format!("URL {} of the failover list", at + 1)))?);
    }
    let randomize = options_behind(options)?;
    Ok(Endpoints { list: endpoints.into(), randomize })
}

/// Whether to randomize.
fn options_behind(text: &str) -> Result<bool, TransportError> {
    let mut randomize = true;
    let Some(options) = text.strip_prefix('?') else {
        return if text.is_empty() {
            Ok(randomize)
        } else {
            Err(invalid("something other than ? follows the )"))
        };
    };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        randomize = match (name, value) {
            ("randomize", "true") => true,
            ("randomize", "false") => false,
            ("randomize", _) => return Err(invalid("randomize is neither true nor false")),
            _ if UNSUPPORTED.contains(&name) => {
                return Err(invalid(&format!(
                    "the failover option {name} is a setting of the client's here"
                )));
            }
            // Not repeated: it could be the tail of a password.
            _ => {
                return Err(invalid("it has a failover option that is not known; randomize is the only one"));
            }
        };
    }
    Ok(randomize)
}

/// ActiveMQ's other options, to be named when they are refused.
const UNSUPPORTED: [&str; 15] = [
    "backup",
    "backOffMultiplier",
    "initialReconnectDelay",
    "maxCacheSize",
    "maxReconnectAttempts",
    "maxReconnectDelay",
    "nested",
    "priorityBackup",
    "priorityURIs",
    "startupMaxReconnectAttempts",
    "timeout",
    "trackMessages",
    "updateURIsSupported",
    "useExponentialBackOff",
    "warnAfterReconnectAttempts",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportErrorKind;

    fn shown(url: &str) -> String {
        Endpoints::parse(url).unwrap_or_else(|error| panic!("{url}: {error}")).to_string()
    }

    #[test]
    fn lists_are_read_as_brokers_write_them() {
        for (url, expected) in [
            ("failover:(tcp://a,tls://b)", "failover:(tcp://a,tls://b)?randomize=true"),
            ("failover:(tcp://a,tcp://b)?randomize=false", "failover:(tcp://a,tcp://b)?randomize=false"),
            ("failover://(stomp://a, ssl://b)?randomize=true", "failover:(tcp://a,tls://b)?randomize=true"),
            ("FAILOVER:tcp://a,tcp://b", "failover:(tcp://a,tcp://b)?randomize=true"),
            (
                "failover:(ws://a/x?y=1&z,wss://[::1]/x)?",
                "failover:(ws://a/x?***,wss://[::1]/x)?randomize=true",
            ),
            ("failover:(tcp://a)", "failover:(tcp://a)?randomize=true"),
            ("tcp://a", "tcp://a"),
            ("unix:/run/broker.sock", "unix:/run/broker.sock"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
    }

    #[test]
    fn queries_and_credentials_belong_to_their_url() {
        let list = Endpoints::parse("failover:(tcp://u:p%2C%29@a,ws://b/x?y=1)").unwrap();
        let [first, second] = list.as_slice() else { panic!("{list}") };
        assert_eq!(first.credentials().unwrap().passcode(), Some("p,)"));
        assert_eq!(second.path(), "/x?y=1");
        let open = Endpoints::parse("failover:tcp://a,ws://b/x?randomize=false").unwrap();
        assert_eq!((open.as_slice()[1].path(), open.randomize()), ("/x?randomize=false", true));
    }

    #[test]
    fn nonsense_is_refused_and_its_text_kept_out() {
        for (url, hint) in [
            ("failover:", "URL 1 of the failover list"),
            ("failover:()", "URL 1 of the failover list"),
            ("failover:(tcp://a,)", "URL 2 of the failover list"),
            (
                "failover:(tcp://a,tcp://u:s3cret@)",
                "URL 2 of the failover list: the URL is not usable: it has no host",
            ),
            ("failover:(tcp://a", "never closed"),
            ("failover:(tcp://a)x=s3cret", "something other than ?"),
            ("failover:(failover:(tcp://a))", "a bracket stands within"),
            ("failover:(tcp://u:s3(ret@a)", "a bracket stands within"),
            ("failover:(tcp://a)?randomize=s3cret", "neither true nor false"),
            ("failover:(tcp://a)?maxReconnectDelay=s3cret", "the failover option maxReconnectDelay"),
            ("failover:(tcp://a)?s3cret", "not known"),
            ("tcp://a,tcp://b", "no host name has"),
        ] {
            let error = Endpoints::parse(url).expect_err(url);
            assert_eq!(error.kind(), &TransportErrorKind::InvalidEndpoint, "{url}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(hint) && !shown.contains("s3c"), "{url}: {shown}");
        }
    }

    #[test]
    fn a_list_has_its_bounds() {
        let endpoint = Endpoint::parse("tcp://a").unwrap();
        assert!(Endpoints::new(std::iter::repeat_n(endpoint.clone(), 65)).is_none());
        assert!(Endpoints::new([]).is_none());
        assert_eq!(
            Endpoints::new([endpoint.clone(), endpoint]).unwrap().to_string(),
            "failover:(tcp://a,tcp://a)?randomize=false"
        );
        assert!(Endpoints::parse(&format!("failover:({})", vec!["tcp://a"; 65].join(","))).is_err());
    }
}
