//! Certificates and keys, read from PEM or DER. Errors never repeat what was given.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::TransportError;
pub(super) use crate::error::invalid_setting as invalid;

/// More than any bundle of authorities has; Mozilla's has about 150.
const MAX_CERTIFICATES: usize = 2000;

/// Always named, never the process-wide one: that panics where two crates bring one each.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// All certificates of a PEM text; other things in it are skipped.
/// What is offered and chosen below a WebSocket.
pub(super) fn alpn_http() -> Vec<Vec<u8>> {
    vec![b"http/1.1".to_vec()]
}

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(MAX_CERTIFICATES).collect();
    let found = found.map_err(|error| invalid("the certificates are not PEM").with_source(error))?;
    if found.is_empty() {
        return Err(invalid(
            "there is no certificate in the PEM text; one begins with -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(found)
}

pub(super) fn add_root(
    roots: &mut RootCertStore,
    der: CertificateDer<'static>,
) -> Result<(), TransportError> {
    roots.add(der).map_err(|error| invalid("an authority's certificate cannot be read").with_source(error))
}

/// A chain, its own certificate first, and the key that belongs to it.
pub(super) fn identity_pem(chain: &[u8], key: &[u8]) -> Result<Arc<SingleCertAndKey>, TransportError> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        // Not even the reader's words: what it stumbled over is a secret.
        let encrypted = key.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
        invalid(if encrypted {
            "the private key is encrypted; decrypt it first, for example with openssl pkey"
        } else {
            "there is no private key in the PEM text; one begins with -----BEGIN PRIVATE KEY-----"
        })
    })?;
    identity(certificates(chain)?, key)
}

pub(super) fn identity_der(
    chain: impl IntoIterator<Item = Vec<u8>>,
    key: Vec<u8>,
) -> Result<Arc<SingleCertAndKey>, TransportError> {
    let key = PrivateKeyDer::try_from(key)
        .map_err(|_| invalid("the private key is not PKCS #8, PKCS #1 or SEC1 in DER"))?;
    identity(chain.into_iter().map(CertificateDer::from).collect(), key)
}

fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<SingleCertAndKey>, TransportError> {
    if chain.is_empty() {
        return Err(invalid("there is no certificate to go with the private key"));
    }
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        invalid("the private key cannot be used, or does not belong to the certificate; the chain begins with its own")
            .with_source(error)
    })?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}

/// Stands in the first line of an encrypted PKCS #8 key, and in the second of an older one.
const ENCRYPTED: &[u8] = b"ENCRYPTED";
