//! STOMP over `wss://`, with an authority of one's own and a client certificate. The certificates are made on the spot, and
//! so is the broker; against one of yours, only the files and the URL are others.
//!
//! `cargo run --example secure_websocket`

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use stompede::{Client, HeartBeat, TlsConfig, TransportErrorKind};
use stompede_broker::{Broker, TlsAcceptConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What an administrator does with openssl: an authority, and two who are vouched for.
    let (root_key, mut root) = (KeyPair::generate()?, CertificateParams::new([])?);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = root.self_signed(&root_key)?.pem();
    let authority = Issuer::new(root, root_key);
    let signed = |name: &str| {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([name.to_owned()])?.signed_by(&key, &authority)?;
        Ok::<_, rcgen::Error>((certificate.pem(), key.serialize_pem()))
    };
    let ((broker_pem, broker_key), (client_pem, client_key)) = (signed("127.0.0.1")?, signed("me")?);

    let identity = TlsAcceptConfig::from_pem(broker_pem, broker_key)?.client_ca_pem(&ca_pem)?;
    let broker = Broker::builder().wss("127.0.0.1:0", identity).start().await?;
    let url = broker.wss_url().ok_or("it listens")?;

    // What an application does: whom it trusts, who it is, and how patient it is.
    let tls = TlsConfig::new().ca_pem(&ca_pem)?;
    let settings = Client::builder(url)
        .heart_beat(HeartBeat::every(Duration::from_secs(10)))
        .connect_timeout(Duration::from_secs(30))
        .reconnect_attempts_max(5)
        .tls(tls.clone().client_cert_pem(client_pem, client_key)?);
    let client = settings.connect().await?;
    println!("connected to {url}");
    client.send("/queue/secrets").text("for the broker's eyes only").confirm().await?;
    client.disconnect().await?;

    // Without its certificate nobody lets us in, and the error says so.
    let error = Client::builder(url).tls(tls).connect().await.err().ok_or("it wants a certificate")?;
    println!("without a certificate: {error}");
    let kind = error.transport().map(|error| error.kind());
    assert_eq!(kind, Some(&TransportErrorKind::ClientCertificateRequired));
    broker.stop().await;
    Ok(())
}
