//! What TLS and the proxy are for.

use stompede::transport::CertificateFault;
use stompede::{Error, TlsConfig, TransportErrorKind};

use crate::mode::Mode;

fn kind(error: &Error) -> Option<&TransportErrorKind> {
    error.transport().map(|error| error.kind())
}

/// Nobody has told the operating system of this authority.
pub(crate) async fn an_unknown_authority_is_refused(mode: Mode) {
    let error = mode.with_tls(TlsConfig::new()).connect().await.expect_err("refused");
    let unknown = TransportErrorKind::Certificate { fault: CertificateFault::UnknownIssuer };
    assert_eq!(kind(&error), Some(&unknown), "{error}");
}

pub(crate) async fn a_missing_client_certificate_is_told(mode: Mode) {
    let error = mode.nameless().connect().await.expect_err("refused");
    assert_eq!(kind(&error), Some(&TransportErrorKind::ClientCertificateRequired), "{error}");
}

pub(crate) async fn the_proxy_passes_on(mode: Mode) {
    let before = mode.proxied();
    let client = mode.connect().await;
    assert_eq!(mode.proxied(), before + 1);
    client.disconnect().await.expect("in order");
}
