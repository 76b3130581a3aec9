//! What rustls says, in our words.

use std::io;

use rustls::{AlertDescription as Alert, CertificateError, Error, PeerIncompatible};

use crate::{CertificateFault, Endpoint, TransportError, TransportErrorKind as Kind};

/// Why a client's handshake failed.
pub(super) fn connecting(error: io::Error, endpoint: &Endpoint) -> TransportError {
    let (kind, what) = match of(&error) {
        Some(Error::InvalidMessage(_)) => (
            Kind::NotTls,
            "it does not answer in TLS; is this its TLS port? Without TLS the URL begins with tcp: or ws:",
        ),
        Some(error) => explained(error),
        // Whatever broke off the handshake, it was no TLS.
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => (
                Kind::Handshake,
                "it closed the connection instead of finishing the TLS handshake; is this its TLS port?",
            ),
            _ => return TransportError::from_io(error, "the connection broke during the TLS handshake"),
        },
    };
    TransportError::new(kind, format!("{}: {what}", endpoint.address())).with_source(error)
}

/// Why a server's handshake failed. The client's certificate, or the client, may be the reason.
#[cfg(feature = "server")]
pub(super) fn accepting(error: io::Error) -> TransportError {
    let (kind, what) = match of(&error) {
        Some(Error::InvalidMessage(_)) => (Kind::NotTls, "a client does not speak TLS"),
        Some(Error::NoCertificatesPresented) => {
            (Kind::ClientCertificateRequired, "a client showed no certificate")
        }
        Some(Error::InvalidCertificate(fault)) => {
            (Kind::Certificate { fault: fault_of(fault) }, "a client's certificate was refused")
        }
        Some(Error::AlertReceived(_)) => (Kind::Tls, "a client ended the TLS handshake"),
        Some(Error::PeerIncompatible(_)) => {
            (Kind::TlsVersion, "a client has no TLS version or cipher in common with us")
        }
        Some(_) => (Kind::Tls, "the TLS handshake with a client failed"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            (Kind::Handshake, "a client closed the connection in the middle of the TLS handshake")
        }
        None => return TransportError::from_io(error, "the connection broke during the TLS handshake"),
    };
    TransportError::new(kind, what).with_source(error)
}

/// What a read or a write failed with after the handshake, if it was TLS that failed.
pub(crate) fn later(error: &io::Error) -> Option<(Kind, &'static str)> {
    of(error).map(explained)
}

fn of(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Kind and advice, from a client's point of view.
fn explained(error: &Error) -> (Kind, &'static str) {
    match error {
        Error::InvalidCertificate(fault) => {
            let fault = fault_of(fault);
            (Kind::Certificate { fault }, advice(fault))
        }
        Error::AlertReceived(Alert::CertificateRequired) => (
            Kind::ClientCertificateRequired,
            "it wants a client certificate, and got none; TlsConfig::client_cert_pem gives one",
        ),
        Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError,
        ) => (
            Kind::ClientCertificateRefused,
            "it refused our client certificate, or that there was none; is it signed by whom the broker trusts, and valid?",
        ),
        Error::AlertReceived(Alert::HandshakeFailure) => (
            Kind::Tls,
            "it found nothing in common, or wants a client certificate (TLS 1.2 servers say so in this way)",
        ),
        Error::AlertReceived(Alert::UnrecognisedName) => {
            (Kind::Tls, "it does not know that host name; TlsConfig::server_name says another")
        }
        Error::AlertReceived(Alert::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            (Kind::Tls, "it does not take http/1.1 as ALPN, which WebSocket needs")
        }
        Error::AlertReceived(Alert::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls12NotOffered,
        ) => (Kind::TlsVersion, "it speaks no TLS version that we do; 1.2 and 1.3 are spoken here"),
        Error::AlertReceived(_) => (Kind::Tls, "it ended the TLS connection with an alert"),
        _ => (Kind::Tls, "it broke the rules of TLS, or has nothing in common with us"),
    }
}

fn fault_of(error: &CertificateError) -> CertificateFault {
    match error {
        CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateFault::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateFault::WrongHost
        }
        CertificateError::Revoked => CertificateFault::Revoked,
        _ => CertificateFault::Unusable,
    }
}

fn advice(fault: CertificateFault) -> &'static str {
    match fault {
        CertificateFault::UnknownIssuer => {
            "its certificate is signed by itself, or by an authority that is not trusted; TlsConfig::ca_pem trusts a private one"
        }
        CertificateFault::Expired => {
            "its certificate has expired; renew it, or is the clock of this machine wrong?"
        }
        CertificateFault::NotYetValid => {
            "its certificate is not valid yet; is the clock of this machine wrong?"
        }
        CertificateFault::WrongHost => {
            "its certificate is for another host; is the URL right? TlsConfig::server_name says which name to expect"
        }
        CertificateFault::Revoked => "its certificate has been revoked by its authority",
        CertificateFault::Unusable => {
            "its certificate cannot be a server's: an authority's own (CA:TRUE), one for clients, or one that is malformed"
        }
    }
}
