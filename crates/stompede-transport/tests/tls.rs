//! TLS below STOMP and below WebSocket: what is set is what is done.
#![cfg(all(feature = "tls", feature = "server", feature = "ws"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use stompede_test_support::certificates::*;
use stompede_transport::server::{AcceptConfig, TlsAcceptConfig, accept_tls, accept_tls_over, accept_wss};
use stompede_transport::{
    BoxTransport, CertificateFault, Connector, DefaultConnector, Endpoint, Outbound, TlsConfig,
    TransportError, TransportErrorKind as Kind, from_io, tls,
};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpListener;

fn accepting(identity: &Identity) -> TlsAcceptConfig {
    TlsAcceptConfig::from_pem(&identity.chain, &identity.key).unwrap()
}

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig::new().ca_pem(&authority.pem).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn key(pem: &str) -> Vec<u8> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_der().to_vec()
}

/// Both ends of a connection over `scheme`, `tls` or `wss`.
async fn connected(
    scheme: &str,
    server: TlsAcceptConfig,
    client: TlsConfig,
) -> (Result<BoxTransport, TransportError>, Result<BoxTransport, TransportError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint =
        Endpoint::parse(&format!("{scheme}://localhost:{}/ws", listener.local_addr().unwrap().port()));
    let connector = DefaultConnector::new().tls(client);
    let accepted = async {
        let (stream, _) = listener.accept().await.unwrap();
        match scheme {
            "wss" => accept_wss(stream, &server, &AcceptConfig::new()).await,
            _ => accept_tls(stream, &server).await,
        }
    };
    tokio::join!(connector.connect(endpoint.unwrap()), accepted)
}

#[tokio::test]
async fn frames_travel_both_ways_and_both_ends_say_goodbye() {
    let authority = Authority::new("root");
    for scheme in ["tls", "wss"] {
        let (client, server) =
            connected(scheme, accepting(&authority.localhost()), trusting(&authority)).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        let body = Bytes::from(vec![b'y'; 300_000]);
        let item = Outbound::split(Bytes::from_static(b"SEND\n\n"), body);
        let expected = item.clone().into_bytes();
        // More than rustls and the sockets hold, so both must be driven together.
        let (sent, received) = tokio::join!(send(&mut client, item), recv_bytes(&mut server, expected.len()));
        sent.unwrap();
        assert!(received == expected, "{scheme}");
        send(&mut server, whole("MESSAGE\n\n\0")).await.unwrap();
        assert_eq!(recv_bytes(&mut client, 10).await, "MESSAGE\n\n\0");
        close(&mut client).await.unwrap();
        assert_eq!(recv_to_end(&mut server).await, (Bytes::new(), Ok(())), "{scheme}");
        close(&mut server).await.unwrap();
        assert_eq!(recv_to_end(&mut client).await, (Bytes::new(), Ok(())), "{scheme}");
    }
}

#[tokio::test]
async fn a_peer_that_stops_reading_pushes_back_and_can_still_be_read() {
    let authority = Authority::new("root");
    let (client, server) = connected("tls", accepting(&authority.localhost()), trusting(&authority)).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let taken = feed_until_pending(&mut client, 100_000);
    // Sockets of loopback take a few MiB; what matters is that it ends.
    assert!(taken < 500, "{taken} frames of 100,000 bytes were taken");
    send(&mut server, whole("MESSAGE\n\n\0")).await.unwrap();
    assert_eq!(recv_bytes(&mut client, 10).await, "MESSAGE\n\n\0");
    let (flushed, received) = tokio::join!(flush(&mut client), recv_bytes(&mut server, taken * 100_000));
    flushed.unwrap();
    assert!(received.iter().all(|&byte| byte == b'x'));
}

#[tokio::test]
async fn http_is_announced_for_websocket_and_nothing_for_stomp() {
    let authority = Authority::new("root");
    for (scheme, http, expected) in [
        ("tls", false, None),
        ("wss", true, Some(&b"http/1.1"[..])),
        ("wss", false, None),
        ("tls", true, None),
    ] {
        let (near, far) = duplex(64 * 1024);
        let endpoint = Endpoint::parse(&format!("{scheme}://localhost")).unwrap();
        let (client, server) = (trusting(&authority), accepting(&authority.localhost()));
        let (client, server) =
            tokio::join!(tls::connect(near, &endpoint, &client), accept_tls_over(far, &server, http));
        assert_eq!((client.unwrap().alpn(), server.unwrap().alpn()), (expected, expected), "{scheme} {http}");
    }
}

#[tokio::test]
async fn a_server_that_wants_another_protocol_is_told_apart() {
    let authority = Authority::new("root");
    let own = authority.localhost();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![der(&own.chain).into()];
    let mut server =
        builder.with_no_client_auth().with_single_cert(chain, key(&own.key).try_into().unwrap()).unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let (client, _) =
        connected("wss", TlsAcceptConfig::from_rustls(Arc::new(server)), trusting(&authority)).await;
    let error = client.err().unwrap();
    assert_eq!(error.kind(), &Kind::Tls);
    assert!(error.to_string().contains("does not take http/1.1"), "{error}");
}

#[tokio::test]
async fn authorities_and_certificates_may_be_der() {
    let authority = Authority::new("root");
    let (own, theirs) = (authority.client(), authority.localhost());
    let server = TlsAcceptConfig::from_der([der(&theirs.chain)], key(&theirs.key)).unwrap();
    let server = server.client_ca_der(authority.der.clone()).unwrap();
    let client = TlsConfig::new().ca_der(authority.der.clone()).unwrap();
    let client = client.client_cert_der([der(&own.chain)], key(&own.key)).unwrap();
    let (client, server) = connected("wss", server, client).await;
    client.unwrap();
    server.unwrap();
}

#[tokio::test]
async fn the_server_learns_why_a_client_was_not_taken() {
    let (authority, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let mutual = accepting(&authority.localhost()).client_ca_pem(&authority.pem).unwrap();
    let with =
        |identity: &Identity| trusting(&authority).client_cert_pem(&identity.chain, &identity.key).unwrap();
    for (client, expected) in [
        (trusting(&authority), Kind::ClientCertificateRequired),
        (with(&stranger.client()), Kind::Certificate { fault: CertificateFault::UnknownIssuer }),
        (with(&authority.sign(&expired(client()))), Kind::Certificate { fault: CertificateFault::Expired }),
        (trusting(&stranger), Kind::Tls),
    ] {
        let (_, server) = connected("tls", mutual.clone(), client).await;
        let error = server.err().unwrap();
        assert_eq!(error.kind(), &expected, "{error}");
    }
}

#[tokio::test]
async fn a_configuration_of_ones_own_is_used_as_it_is() {
    let authority = Authority::new("root");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der.clone().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let own = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let own = Arc::new(own.with_root_certificates(roots).with_no_client_auth());
    let (client, server) =
        connected("wss", accepting(&authority.localhost()), TlsConfig::from_rustls(own.clone())).await;
    client.unwrap();
    server.unwrap();

    let both = TlsConfig::from_rustls(own).ca_pem(&authority.pem).unwrap();
    let (near, _far) = duplex(1024);
    let error = tls::connect(near, &Endpoint::parse("tls://localhost").unwrap(), &both).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::InvalidSetting);
    assert!(error.to_string().contains("say them there"), "{error}");
}

#[tokio::test]
async fn a_change_after_use_does_not_reach_clones_and_is_not_lost() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let first = trusting(&other);
    let server = accepting(&authority.localhost());
    assert!(connected("tls", server.clone(), first.clone()).await.0.is_err());
    let second = first.clone().ca_pem(&authority.pem).unwrap();
    assert!(connected("tls", server.clone(), second).await.0.is_ok());
    assert!(connected("tls", server, first).await.0.is_err());
}

/// What the operating system trusts, none of it signed what we made here.
#[tokio::test]
async fn by_default_the_operating_system_decides() {
    let authority = Authority::new("root");
    let (client, _) = connected("tls", accepting(&authority.localhost()), TlsConfig::new()).await;
    let error = client.err().unwrap();
    // A machine without any authorities says so instead.
    let expected = [Kind::Certificate { fault: CertificateFault::UnknownIssuer }, Kind::InvalidSetting];
    assert!(expected.contains(error.kind()), "{error}");
    assert!(error.to_string().contains("TlsConfig::ca_pem"), "{error}");
}

#[cfg(feature = "webpki-roots")]
#[tokio::test]
async fn mozillas_authorities_can_be_joined_by_ones_own() {
    let authority = Authority::new("root");
    let server = accepting(&authority.localhost());
    let (client, _) = connected("tls", server.clone(), TlsConfig::new().webpki_roots()).await;
    let unknown = Kind::Certificate { fault: CertificateFault::UnknownIssuer };
    assert_eq!(client.err().unwrap().kind(), &unknown);
    let joined = trusting(&authority).webpki_roots();
    assert!(format!("{joined:?}").contains(" authorities"), "{joined:?}");
    assert!(connected("tls", server, joined).await.0.is_ok());
}

#[test]
fn what_is_no_certificate_or_no_key_is_told_without_repeating_it() {
    let authority = Authority::new("root");
    let (one, other) = (authority.client(), authority.client());
    let config = TlsConfig::new;
    let broken = "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\ns3cret\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let mangled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (outcome, hint) in [
        (config().ca_pem(""), "no certificate in the PEM text"),
        (config().ca_pem(&one.key), "no certificate in the PEM text"),
        (config().ca_pem(mangled), "cannot be read"),
        (config().ca_der(*b"s3cret"), "cannot be read"),
        (config().client_cert_pem(&one.chain, &other.key), "does not belong to the certificate"),
        (config().client_cert_pem(&one.chain, &one.chain), "no private key in the PEM text"),
        (config().client_cert_pem(&one.chain, broken), "cannot be used"),
        (config().client_cert_pem(&one.chain, encrypted), "decrypt it first"),
        (config().client_cert_pem("", &one.key), "no certificate in the PEM text"),
        (config().client_cert_der([], one.key.clone()), "PKCS #8"),
        (config().server_name("no name"), "no host name"),
    ] {
        let error = outcome.expect_err(hint);
        assert_eq!(error.kind(), &Kind::InvalidSetting);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(hint) && !shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn keys_and_certificates_are_not_shown() {
    let authority = Authority::new("root");
    let own = authority.client();
    let client = trusting(&authority).client_cert_pem(&own.chain, &own.key).unwrap();
    let server = accepting(&authority.localhost()).client_ca_pem(&authority.pem).unwrap();
    assert_eq!(
        format!("{client:?}"),
        "TlsConfig { trust: \"1 authorities\", client_cert: true, server_name: None, handshake_timeout: 8s, .. }"
    );
    assert_eq!(format!("{server:?}"), "TlsAcceptConfig { client_authorities: 1, .. }");
}

#[tokio::test]
async fn a_cut_is_not_taken_for_an_end() {
    let authority = Authority::new("root");
    let (near, far) = duplex(64 * 1024);
    let endpoint = Endpoint::parse("tls://localhost").unwrap();
    let (client, server) = (trusting(&authority), accepting(&authority.localhost()));
    let (client, server) =
        tokio::join!(tls::connect(near, &endpoint, &client), accept_tls_over(far, &server, false));
    let (mut client, mut server) = (from_io(client.unwrap()), server.unwrap());
    server.write_all(b"MESSAGE").await.unwrap();
    server.flush().await.unwrap();
    // Without close_notify.
    drop(server);
    assert_eq!(recv_to_end(&mut client).await, (Bytes::from_static(b"MESSAGE"), Err(Kind::Lost)));
}

/// With a paused clock, the limit is what it says, and not the sum of many small ones.
#[tokio::test(start_paused = true)]
async fn a_handshake_of_one_byte_a_second_ends_after_eight() {
    let authority = Authority::new("root");
    let (near, mut far) = duplex(64 * 1024);
    let (mut relay, server_side) = duplex(64 * 1024);
    let config = accepting(&authority.localhost());
    let server = tokio::spawn(async move { accept_tls_over(server_side, &config, false).await.map(drop) });
    let dribble = tokio::spawn(async move {
        let mut hello = vec![0; 4096];
        let len = far.read(&mut hello).await.unwrap();
        relay.write_all(&hello[..len]).await.unwrap();
        while let Ok(byte) = relay.read_u8().await {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if far.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    });
    #[expect(clippy::disallowed_methods, reason = "the paused clock of the test")]
    let start = tokio::time::Instant::now();
    let endpoint = Endpoint::parse("tls://user:s3cret@broker").unwrap();
    let error = tls::connect(near, &endpoint, &trusting(&authority)).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::TimedOut);
    assert_eq!(error.to_string(), "broker:61614: no TLS handshake within 8s; is this its TLS port?");
    assert_eq!(start.elapsed(), Duration::from_secs(8));
    dribble.await.unwrap();
    assert!(server.await.unwrap().is_err());
}
