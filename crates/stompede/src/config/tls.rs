use serde::Deserialize;

use super::{Secret, named};
use crate::{Error, TlsConfig, TransportError};

/// Whom to trust over TLS, and who we are, in PEM; each is the text itself or where it stands, such as
/// `{ "file": "/etc/ssl/ca.pem" }`.
///
/// Certificates are always verified: a file cannot switch that off.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsSettings {
    /// See [`TlsConfig::ca_pem`].
    #[serde(default, deserialize_with = "named::ca")]
    pub ca: Option<Secret>,
    /// See [`TlsConfig::client_cert_pem`]; together with `key`.
    #[serde(default, deserialize_with = "named::cert")]
    pub cert: Option<Secret>,
    /// The key of `cert`.
    #[serde(default, deserialize_with = "named::key")]
    pub key: Option<Secret>,
    /// See [`TlsConfig::server_name`].
    #[serde(default, deserialize_with = "named::server_name")]
    pub server_name: Option<String>,
}

impl TlsSettings {
    pub(super) fn read(&self) -> Result<TlsConfig, Error> {
        let named =
            |name: &'static str| move |error: TransportError| Error::invalid(format!("{name}: {error}"));
        let mut tls = TlsConfig::new();
        if let Some(ca) = &self.ca {
            tls = tls.ca_pem(ca.read("tls.ca")?).map_err(named("tls.ca"))?;
        }
        tls = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => tls
                .client_cert_pem(cert.read("tls.cert")?, key.read("tls.key")?)
                .map_err(named("tls.cert"))?,
            (None, None) => tls,
            (Some(_), None) => return Err(Error::invalid("tls.key: a certificate needs its key")),
            (None, Some(_)) => return Err(Error::invalid("tls.cert: a key needs its certificate")),
        };
        match &self.server_name {
            Some(name) => tls.server_name(name).map_err(named("tls.server_name")),
            None => Ok(tls),
        }
    }
}
