use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::material::{self, add_root, certificates, invalid, provider};
use super::verify::AnyCertificate;
use crate::net::STAGE_TIMEOUT;
use crate::{Endpoint, TransportError, TransportErrorKind as Kind};

/// Whom to trust, and who we are, for `tls` and `wss`.
///
/// ```no_run
/// use stompede_transport::{DefaultConnector, TlsConfig};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = TlsConfig::new()
///     .ca_pem(std::fs::read("ca.pem")?)?
///     .client_cert_pem(std::fs::read("client.pem")?, std::fs::read("client.key")?)?;
/// let connector = DefaultConnector::new().tls(tls);
/// # Ok(())
/// # }
/// ```
///
/// Certificates are read once, those of the operating system at the first connection. A clone shares them.
#[derive(Clone)]
pub struct TlsConfig {
    trust: Trust,
    identity: Option<Arc<SingleCertAndKey>>,
    own: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
    handshake_timeout: Duration,
    built: Arc<OnceLock<Result<Built, TransportError>>>,
}

/// Who may vouch for a server.
#[derive(Clone)]
enum Trust {
    Platform,
    Roots(RootCertStore),
    Anything,
}

/// Made once; the two share their sessions' tickets no more than their ALPN.
#[derive(Clone)]
struct Built {
    stomp: Arc<ClientConfig>,
    http: Arc<ClientConfig>,
}

impl TlsConfig {
    /// The defaults: whom the operating system trusts, no client certificate, 8 seconds for the handshake.
    ///
    /// On Linux that is the distribution's bundle (`ca-certificates`), or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    pub fn new() -> Self {
        Self {
            trust: Trust::Platform,
            identity: None,
            own: None,
            server_name: None,
            handshake_timeout: STAGE_TIMEOUT,
            built: Arc::default(),
        }
    }

    /// Uses a rustls configuration of the caller's as it is, its crypto provider included.
    ///
    /// For `wss` the ALPN protocol `http/1.1` is added if it names none. Together with roots, certificates or
    /// [`dangerous`](Self::dangerous) settings from here it is refused when connecting, as it would silently win.
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self { own: Some(config), ..Self::new() }
    }

    /// Trusts the authorities in this PEM text, and no longer those of the operating system; may be said many times.
    ///
    /// # Errors
    /// [`InvalidSetting`](Kind::InvalidSetting) if there is no certificate in it, or one that cannot be read.
    pub fn ca_pem(self, pem: impl AsRef<[u8]>) -> Result<Self, TransportError> {
        let found = certificates(pem.as_ref())?;
        self.add_roots(|roots| found.into_iter().try_for_each(|der| add_root(roots, der)))
    }

    /// Trusts this authority, a certificate in DER, and no longer those of the operating system; may be said many
    /// times.
    ///
    /// # Errors
    /// [`InvalidSetting`](Kind::InvalidSetting) if it cannot be read.
    pub fn ca_der(self, der: impl Into<Vec<u8>>) -> Result<Self, TransportError> {
        self.add_roots(|roots| add_root(roots, CertificateDer::from(der.into())))
    }

    /// Trusts the authorities of Mozilla's list as of this build, and no longer those of the operating system; together
    /// with [`ca_pem`](Self::ca_pem), both.
    #[cfg(feature = "webpki-roots")]
    #[must_use]
    pub fn webpki_roots(mut self) -> Self {
        let mut roots = self.roots();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        self.trust = Trust::Roots(roots);
        self.rebuilt()
    }

    /// Shows this certificate to a server that asks for one: a chain in PEM, its own certificate first, and its key.
    ///
    /// # Errors
    /// [`InvalidSetting`](Kind::InvalidSetting) if either cannot be read, or they do not belong together.
    pub fn client_cert_pem(
        mut self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TransportError> {
        self.identity = Some(material::identity_pem(chain.as_ref(), key.as_ref())?);
        Ok(self.rebuilt())
    }

    /// As [`client_cert_pem`](Self::client_cert_pem), in DER; the key as PKCS #8, PKCS #1 or SEC1.
    ///
    /// # Errors
    /// As [`client_cert_pem`](Self::client_cert_pem).
    pub fn client_cert_der(
        mut self,
        chain: impl IntoIterator<Item = Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self, TransportError> {
        self.identity = Some(material::identity_der(chain, key.into())?);
        Ok(self.rebuilt())
    }

    /// The name to ask for (SNI), and that the certificate must have, instead of the URL's host.
    ///
    /// # Errors
    /// [`InvalidSetting`](Kind::InvalidSetting) if it is neither a host name nor an IP address.
    pub fn server_name(mut self, name: &str) -> Result<Self, TransportError> {
        let parsed = ServerName::try_from(name.to_owned());
        self.server_name =
            Some(parsed.map_err(|_| invalid("the server name is no host name and no IP address"))?);
        Ok(self)
    }

    /// How long the handshake may take; 8 seconds unless set.
    #[must_use]
    pub fn handshake_timeout(mut self, within: Duration) -> Self {
        self.handshake_timeout = within;
        self
    }

    /// What makes the connection no safer than one without TLS.
    pub fn dangerous(self) -> Dangerous {
        Dangerous(self)
    }

    fn add_roots(
        mut self,
        add: impl FnOnce(&mut RootCertStore) -> Result<(), TransportError>,
    ) -> Result<Self, TransportError> {
        let mut roots = self.roots();
        add(&mut roots)?;
        self.trust = Trust::Roots(roots);
        Ok(self.rebuilt())
    }

    fn roots(&self) -> RootCertStore {
        match &self.trust {
            Trust::Roots(roots) => roots.clone(),
            Trust::Platform | Trust::Anything => RootCertStore::empty(),
        }
    }

    /// To be built anew: a clone may have been used already.
    fn rebuilt(mut self) -> Self {
        self.built = Arc::default();
        self
    }

    /// The configuration, with `http/1.1` as ALPN or without any.
    pub(super) fn client(&self, http: bool) -> Result<Arc<ClientConfig>, TransportError> {
        let built = self.built.get_or_init(|| self.build()).clone()?;
        Ok(if http { built.http } else { built.stomp })
    }

    fn build(&self) -> Result<Built, TransportError> {
        let stomp = match &self.own {
            Some(own) => {
                if !matches!(self.trust, Trust::Platform) || self.identity.is_some() {
                    return Err(invalid(
                        "a rustls configuration of one's own has its roots and its certificate; say them there",
                    ));
                }
                own.clone()
            }
            None => Arc::new(self.configured()?),
        };
        let http = match stomp.alpn_protocols.as_slice() {
            [] => {
                let mut http = ClientConfig::clone(&stomp);
                http.alpn_protocols = material::alpn_http();
                Arc::new(http)
            }
            _ => stomp.clone(),
        };
        Ok(Built { stomp, http })
    }

    fn configured(&self) -> Result<ClientConfig, TransportError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("TLS cannot be set up").with_source(error))?;
        let builder = match &self.trust {
            Trust::Platform => {
                let verifier = Verifier::new(provider).map_err(no_platform_roots)?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            Trust::Roots(roots) => builder.with_root_certificates(roots.clone()),
            Trust::Anything => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            }
        };
        Ok(match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.clone()),
            None => builder.with_no_client_auth(),
        })
    }

    /// The name that the certificate of `endpoint` must have.
    pub(super) fn name_for(&self, endpoint: &Endpoint) -> Result<ServerName<'static>, TransportError> {
        if let Some(name) = &self.server_name {
            return Ok(name.clone());
        }
        ServerName::try_from(endpoint.host().to_owned()).map_err(|error| {
            let context = "the URL's host is nothing that a certificate can be for; TlsConfig::server_name says another";
            TransportError::new(Kind::InvalidEndpoint, context).with_source(error)
        })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.handshake_timeout
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// No certificate and no key, not even a name from them.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = match &self.trust {
            _ if self.own.is_some() => "as the rustls configuration says".to_owned(),
            Trust::Platform => "the operating system's authorities".to_owned(),
            Trust::Roots(roots) => format!("{} authorities", roots.len()),
            Trust::Anything => "anybody".to_owned(),
        };
        f.debug_struct("TlsConfig")
            .field("trust", &trust)
            .field("client_cert", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// Settings that give up what TLS is for; made by [`TlsConfig::dangerous`].
#[derive(Debug)]
#[must_use = "nothing is changed before one of its methods"]
pub struct Dangerous(TlsConfig);

impl Dangerous {
    /// Takes any certificate: expired, for another host, self-made by whoever sits between.
    ///
    /// For tests on one's own machine. For a private authority there is [`TlsConfig::ca_pem`].
    #[must_use]
    pub fn accept_any_certificate(self) -> TlsConfig {
        let Self(mut config) = self;
        config.trust = Trust::Anything;
        config.rebuilt()
    }
}

fn no_platform_roots(error: rustls::Error) -> TransportError {
    let advice = "the operating system names no authorities to trust; install ca-certificates, give them with \
                  TlsConfig::ca_pem, or use the feature webpki-roots";
    invalid(advice).with_source(error)
}
