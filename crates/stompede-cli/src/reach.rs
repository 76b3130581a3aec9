use std::path::PathBuf;

use stompede::{ClientBuilder, Proxy, TlsConfig};

use crate::args::{self, Secret};

/// Whom to trust over TLS, who we are, and through which proxy to go.
#[derive(Debug, clap::Args)]
pub(crate) struct Reach {
    /// Trust these authorities, in PEM, instead of those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Show this certificate to a broker that asks for one: a chain in PEM, its own certificate first.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Take any certificate: for tests on your own machine.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// Go through this HTTP proxy: [LOGIN:PASSCODE@]HOST:PORT. Other users of this machine can see it here: a passcode
    /// rather stands in the environment, as STOMP_PROXY.
    #[arg(long)]
    proxy: Option<Secret>,
}

impl Reach {
    pub(crate) fn apply(self, builder: ClientBuilder) -> Result<ClientBuilder, Box<dyn std::error::Error>> {
        let mut tls = TlsConfig::new();
        if let Some(authorities) = self.ca {
            tls = tls.ca_pem(args::read(&authorities)?)?;
        }
        if let (Some(chain), Some(key)) = (self.cert, self.key) {
            tls = tls.client_cert_pem(args::read(&chain)?, args::read(&key)?)?;
        }
        if self.insecure {
            tls = tls.dangerous().accept_any_certificate();
        }
        let builder = builder.tls(tls);
        let proxy = match self.proxy {
            Some(Secret(proxy)) => Some(proxy),
            None => args::from_environment("STOMP_PROXY")?.filter(|proxy| !proxy.is_empty()),
        };
        Ok(match proxy {
            Some(proxy) => builder.proxy(Proxy::http(proxy)),
            None => builder,
        })
    }
}
