use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::TlsStream;
use super::error;
use super::material::{self, add_root, certificates, invalid, provider};
use crate::TransportError;

/// Who a server is, and which clients it takes.
///
/// ```no_run
/// use stompede_transport::server::TlsAcceptConfig;
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = TlsAcceptConfig::from_pem(std::fs::read("server.pem")?, std::fs::read("server.key")?)?
///     .client_ca_pem(std::fs::read("ca.pem")?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TlsAcceptConfig {
    identity: Option<Arc<SingleCertAndKey>>,
    /// Only clients that one of these vouches for; without any, everybody.
    client_roots: RootCertStore,
    stomp: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

impl TlsAcceptConfig {
    /// A certificate chain in PEM, its own certificate first, and its key. Any client is taken.
    ///
    /// # Errors
    /// [`InvalidSetting`](crate::TransportErrorKind::InvalidSetting) if either cannot be read, or they do not belong
    /// together.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TransportError> {
        Self::build(material::identity_pem(chain.as_ref(), key.as_ref())?, RootCertStore::empty())
    }

    /// As [`from_pem`](Self::from_pem), in DER; the key as PKCS #8, PKCS #1 or SEC1.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(
        chain: impl IntoIterator<Item = Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self, TransportError> {
        Self::build(material::identity_der(chain, key.into())?, RootCertStore::empty())
    }

    /// Uses a rustls configuration of the caller's as it is. Where WebSocket is accepted, the ALPN protocol `http/1.1`
    /// is added if it names none.
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        let http = with_http(&config);
        Self { identity: None, client_roots: RootCertStore::empty(), stomp: config, http }
    }

    /// Takes only clients with a certificate from the authorities in this PEM text; may be said many times.
    ///
    /// # Errors
    /// [`InvalidSetting`](crate::TransportErrorKind::InvalidSetting) if there is no certificate in it, or one that
    /// cannot be read; or if this was made of a rustls configuration, which has its own way to say so.
    pub fn client_ca_pem(self, pem: impl AsRef<[u8]>) -> Result<Self, TransportError> {
        self.add_client_roots(certificates(pem.as_ref())?)
    }

    /// As [`client_ca_pem`](Self::client_ca_pem), for one authority in DER.
    ///
    /// # Errors
    /// As [`client_ca_pem`](Self::client_ca_pem).
    pub fn client_ca_der(self, der: impl Into<Vec<u8>>) -> Result<Self, TransportError> {
        self.add_client_roots(vec![CertificateDer::from(der.into())])
    }

    fn add_client_roots(mut self, found: Vec<CertificateDer<'static>>) -> Result<Self, TransportError> {
        let Some(identity) = self.identity else {
            return Err(invalid("a rustls configuration of one's own says itself which clients it takes"));
        };
        found.into_iter().try_for_each(|der| add_root(&mut self.client_roots, der))?;
        Self::build(identity, self.client_roots)
    }

    fn build(identity: Arc<SingleCertAndKey>, client_roots: RootCertStore) -> Result<Self, TransportError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("TLS cannot be set up").with_source(error))?;
        let builder = if client_roots.is_empty() {
            builder.with_no_client_auth()
        } else {
            let roots = Arc::new(client_roots.clone());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|error| invalid("the clients' authorities cannot be used").with_source(error))?;
            builder.with_client_cert_verifier(verifier)
        };
        let stomp = Arc::new(builder.with_cert_resolver(identity.clone()));
        let http = with_http(&stomp);
        Ok(Self { identity: Some(identity), client_roots, stomp, http })
    }
}

/// No certificate and no key.
impl fmt::Debug for TlsAcceptConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptConfig")
            .field("client_authorities", &self.client_roots.len())
            .finish_non_exhaustive()
    }
}

/// Answers the TLS handshake on any byte stream; `http` says whether HTTP, and so WebSocket, is what comes next.
///
/// The caller bounds the time.
///
/// # Errors
/// - [`NotTls`](crate::TransportErrorKind::NotTls) if the client speaks something else.
/// - [`ClientCertificateRequired`](crate::TransportErrorKind::ClientCertificateRequired) and
///   [`Certificate`](crate::TransportErrorKind::Certificate) if the client shows no certificate, or a bad one.
/// - [`TlsVersion`](crate::TransportErrorKind::TlsVersion), [`Tls`](crate::TransportErrorKind::Tls) and
///   [`Handshake`](crate::TransportErrorKind::Handshake) for what else can go wrong.
///
/// # Cancel safety
/// Dropping the future drops the stream.
pub async fn accept_tls_over<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    config: &TlsAcceptConfig,
    http: bool,
) -> Result<TlsStream<IO>, TransportError> {
    let config = if http { &config.http } else { &config.stomp };
    let stream = TlsAcceptor::from(config.clone()).accept(io).await.map_err(error::accepting)?;
    Ok(TlsStream::accepted(stream))
}

fn with_http(config: &Arc<ServerConfig>) -> Arc<ServerConfig> {
    if !config.alpn_protocols.is_empty() {
        return config.clone();
    }
    let mut http = ServerConfig::clone(config);
    http.alpn_protocols = material::alpn_http();
    Arc::new(http)
}
