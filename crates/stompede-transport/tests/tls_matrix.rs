//! What is accepted and what is refused, and how that shows: each row of the tables in docs/guide/tls.md is tried here,
//! over `tls` and over `wss` (or `tcp` and `ws`), and written as it came out.
#![cfg(all(feature = "tls", feature = "server", feature = "ws", feature = "proxy"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use stompede_test_support::TestProxy;
use stompede_test_support::certificates::*;
use stompede_transport::server::{AcceptConfig, TlsAcceptConfig, accept_tls, accept_wss};
use stompede_transport::{
    BoxTransport, Connector, DefaultConnector, Endpoint, Proxy, TlsConfig, TransportError,
};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The page with the tables.
const PAGE: &str = include_str!("../../../docs/guide/tls.md");

/// A hang costs a row this much; the real limits are 8 seconds.
const LIMIT: Duration = Duration::from_millis(150);

/// No row may take longer, whatever happens in it: a row that has not been cut short ends for a reason of its own.
const ROW_LIMIT: Duration = Duration::from_secs(5);

const ENCRYPTED: [&str; 2] = ["tls", "wss"];
const PLAIN: [&str; 2] = ["tcp", "ws"];

/// Who listens.
#[derive(Clone)]
enum Peer {
    Tls(TlsAcceptConfig),
    /// Says this as soon as it has read something, and then closes.
    Says(&'static [u8]),
    /// Says nothing and waits.
    Hangs,
    /// One byte of an endless handshake record every 20 ms.
    Dribbles,
}

struct Row {
    what: &'static str,
    schemes: [&'static str; 2],
    host: &'static str,
    peer: Peer,
    connector: DefaultConnector,
}

/// How far a client came.
enum Outcome {
    Accepted,
    Connecting(TransportError),
    FirstRead(TransportError),
}

fn row(what: &'static str, peer: Peer, client: TlsConfig) -> Row {
    // Only who hangs is given little time: a busy machine takes its own for a handshake.
    let client = match peer {
        Peer::Hangs | Peer::Dribbles => client.handshake_timeout(LIMIT),
        Peer::Tls(_) | Peer::Says(_) => client,
    };
    let connector = DefaultConnector::new().tls(client);
    Row { what, schemes: ENCRYPTED, host: "localhost", peer, connector }
}

fn serve(identity: &Identity) -> Peer {
    Peer::Tls(TlsAcceptConfig::from_pem(&identity.chain, &identity.key).unwrap())
}

fn trust(authority: &Authority) -> TlsConfig {
    TlsConfig::new().ca_pem(&authority.pem).unwrap()
}

fn server_certificates() -> Vec<Row> {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let below = root.intermediate("intermediate");
    let alone = below.localhost();
    let complete = Identity { chain: alone.chain.clone() + &below.pem, key: alone.key.clone() };
    let own = self_signed(&server(&["localhost"]));
    let mut own_authority = authority("localhost");
    own_authority.subject_alt_names = server(&["localhost"]).subject_alt_names;
    let own_authority = self_signed(&own_authority);
    let mut named_only = server(&[]);
    named_only.distinguished_name.push(DnType::CommonName, "localhost");
    let mut for_clients = server(&["localhost"]);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let sign = |params: &CertificateParams| serve(&root.sign(params));
    let named = |name: &str| trust(&root).server_name(name).unwrap();
    let given = |identity: &Identity| TlsConfig::new().ca_pem(&identity.chain).unwrap();
    let anything = || TlsConfig::new().dangerous().accept_any_certificate();
    let on = |host: &'static str, row: Row| Row { host, ..row };
    vec![
        row("signed by the authority given", serve(&root.localhost()), trust(&root)),
        row("signed by one below it, which is sent along", serve(&complete), trust(&root)),
        row("signed by one below it, which is not sent along", serve(&alone), trust(&root)),
        row("signed by another authority", serve(&stranger.localhost()), trust(&root)),
        row("self-signed", serve(&own), trust(&root)),
        row("self-signed, and itself given as authority", serve(&own), given(&own)),
        row("self-signed as an authority (`CA:TRUE`)", serve(&own_authority), trust(&root)),
        row("self-signed as an authority, and given", serve(&own_authority), given(&own_authority)),
        row("expired", sign(&expired(server(&["localhost"]))), trust(&root)),
        row("not valid yet", sign(&future(server(&["localhost"]))), trust(&root)),
        row("for another host", sign(&server(&["example.org"])), trust(&root)),
        row(
            "for another host, which `server_name` says",
            sign(&server(&["example.org"])),
            named("example.org"),
        ),
        row(
            "for `*.example.org`, and `a.example.org` asked",
            sign(&server(&["*.example.org"])),
            named("a.example.org"),
        ),
        row(
            "for `*.example.org`, and `a.b.example.org` asked",
            sign(&server(&["*.example.org"])),
            named("a.b.example.org"),
        ),
        row("the host only as common name", sign(&named_only), trust(&root)),
        on(
            "127.0.0.1",
            row("for the address, and the URL has it", sign(&server(&["127.0.0.1"])), trust(&root)),
        ),
        on(
            "127.0.0.1",
            row("for the name, and the URL has the address", serve(&root.localhost()), trust(&root)),
        ),
        row("for clients, not for servers", sign(&for_clients), trust(&root)),
        row("expired, with `dangerous()`", sign(&expired(server(&["localhost"]))), anything()),
        row(
            "self-signed and for another host, with `dangerous()`",
            serve(&self_signed(&server(&["example.org"]))),
            anything(),
        ),
    ]
}

/// A server of one TLS version that wants certificates of clients.
fn mutual(
    identity: &Identity,
    clients: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
) -> Peer {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(clients.der.clone().into()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build();
    let builder =
        rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let builder = builder.with_client_cert_verifier(verifier.unwrap());
    let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    Peer::Tls(TlsAcceptConfig::from_rustls(Arc::new(builder.with_single_cert(chain, key).unwrap())))
}

fn client_certificates() -> Vec<Row> {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let (v13, v12) = (&rustls::version::TLS13, &rustls::version::TLS12);
    let wants = |version| mutual(&root.localhost(), &root, version);
    let with = |identity: Identity| trust(&root).client_cert_pem(&identity.chain, &identity.key).unwrap();
    vec![
        row("wanted, and shown", wants(v13), with(root.client())),
        row("wanted, and shown, TLS 1.2", wants(v12), with(root.client())),
        row("not wanted, and set", serve(&root.localhost()), with(root.client())),
        row("wanted, and none set", wants(v13), trust(&root)),
        row("wanted, and none set, TLS 1.2", wants(v12), trust(&root)),
        row("wanted, and of another authority", wants(v13), with(stranger.client())),
        row("wanted, and of another authority, TLS 1.2", wants(v12), with(stranger.client())),
        row("wanted, and expired", wants(v13), with(root.sign(&expired(client())))),
        row("wanted, and one for servers", wants(v13), with(root.localhost())),
    ]
}

fn connections() -> Vec<Row> {
    let root = Authority::new("root");
    let client = || trust(&root);
    let plain = |row: Row| Row { schemes: PLAIN, ..row };
    vec![
        row(
            "TLS to a port that speaks STOMP without",
            Peer::Says(b"ERROR\nmessage:unknown command\n\n\0"),
            client(),
        ),
        row(
            "TLS to a port that speaks HTTP without",
            Peer::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            client(),
        ),
        row("TLS to a port that hangs up", Peer::Says(b""), client()),
        row("TLS to a port that says nothing", Peer::Hangs, client()),
        row("TLS to a port that sends its handshake a byte at a time", Peer::Dribbles, client()),
        row(
            "TLS to a server of old versions (alert `protocol_version`)",
            Peer::Says(PROTOCOL_VERSION),
            client(),
        ),
        row(
            "TLS to a server without a common cipher (alert `handshake_failure`)",
            Peer::Says(HANDSHAKE_FAILURE),
            client(),
        ),
        row(
            "TLS to a server that does not know the name (alert `unrecognized_name`)",
            Peer::Says(UNRECOGNIZED_NAME),
            client(),
        ),
        plain(row("no TLS, to a port that speaks it", serve(&root.localhost()), client())),
    ]
}

const PROTOCOL_VERSION: &[u8] = &[0x15, 0x03, 0x03, 0, 2, 2, 70];
const HANDSHAKE_FAILURE: &[u8] = &[0x15, 0x03, 0x03, 0, 2, 2, 40];
const UNRECOGNIZED_NAME: &[u8] = &[0x15, 0x03, 0x03, 0, 2, 2, 112];

/// A proxy that answers like `peer`; the broker behind it is never reached.
async fn bad_proxy(what: &'static str, peer: Peer) -> Row {
    let limit = if matches!(peer, Peer::Hangs) { LIMIT } else { ROW_LIMIT };
    let proxy = Proxy::http(listen(peer, "tls").await).timeout(limit);
    let connector = DefaultConnector::new().proxy(proxy);
    Row { what, schemes: ENCRYPTED, host: "localhost", peer: Peer::Hangs, connector }
}

async fn proxies() -> (Vec<Row>, [TestProxy; 2]) {
    let root = Authority::new("root");
    let open = TestProxy::start(None).await;
    let closed = TestProxy::start(Some("Basic dXNlcjpzM2NyZXQ=")).await;
    let by = |what, proxy: Proxy| {
        let row = row(what, serve(&root.localhost()), trust(&root));
        Row { connector: row.connector.clone().proxy(proxy), ..row }
    };
    let rows = vec![
        by("lets through", Proxy::http(&open.address)),
        by("wants a login, and gets it", Proxy::http(&closed.address).basic("user", "s3cret")),
        by("wants a login, and gets none", Proxy::http(&closed.address)),
        by("wants a login, and gets another", Proxy::http(&closed.address).basic("user", "wrong")),
        bad_proxy("refuses", Peer::Says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await,
        bad_proxy(
            "cannot reach the broker",
            Peer::Says(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        )
        .await,
        bad_proxy("hangs", Peer::Hangs).await,
        bad_proxy("hangs up", Peer::Says(b"")).await,
        bad_proxy("speaks something else", Peer::Says(b"SSH-2.0-OpenSSH_9.2\r\n")).await,
    ];
    (rows, [open, closed])
}

/// Listens like `peer`, for as long as the runtime lives; where.
async fn listen(peer: Peer, scheme: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, peer.clone(), scheme));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, peer: Peer, scheme: &'static str) {
    let mut request = [0; 4096];
    match peer {
        Peer::Tls(config) => {
            let accepted = match scheme {
                "wss" => accept_wss(stream, &config, &AcceptConfig::new()).await,
                _ => accept_tls(stream, &config).await,
            };
            let Ok(mut transport) = accepted else { return };
            let _ = recv(&mut transport).await;
            let _ = send(&mut transport, whole("CONNECTED\n\n\0")).await;
            let _ = recv(&mut transport).await;
        }
        Peer::Says(text) => {
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(text).await;
        }
        Peer::Hangs => while !matches!(stream.read(&mut request).await, Ok(0) | Err(_)) {},
        Peer::Dribbles => {
            let record = [&[0x16, 0x03, 0x03, 0x40, 0x00][..], &[0; 0x4000]].concat();
            for byte in record {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Connects, sends, and reads the answer.
async fn attempt(row: &Row, scheme: &'static str) -> Outcome {
    let port = listen(row.peer.clone(), scheme).await.split(':').nth(1).unwrap().to_owned();
    let endpoint = Endpoint::parse(&format!("{scheme}://{}:{port}", row.host)).unwrap();
    let mut transport: BoxTransport = match row.connector.connect(endpoint).await {
        Ok(transport) => transport,
        Err(error) => return Outcome::Connecting(error),
    };
    // A server that has refused us may have reset the connection by now; what it said can still be read.
    let _ = send(&mut transport, whole("CONNECT\n\n\0")).await;
    match recv(&mut transport).await {
        Some(Ok(chunk)) if chunk == "CONNECTED\n\n\0" => Outcome::Accepted,
        Some(Ok(chunk)) => panic!("{}: {chunk:?}", row.what),
        Some(Err(error)) => Outcome::FirstRead(error),
        None => panic!("{}: an end without a reason", row.what),
    }
}

async fn line(row: &Row) -> String {
    let mut lines = Vec::new();
    for scheme in row.schemes {
        let outcome = tokio::time::timeout(ROW_LIMIT, attempt(row, scheme)).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("{}: it takes longer than {ROW_LIMIT:?}", row.what));
        let (when, error) = match outcome {
            Outcome::Accepted => ("accepted", None),
            Outcome::Connecting(error) => ("when connecting", Some(error)),
            // Over WebSocket the first read is that of the upgrade.
            Outcome::FirstRead(error) => ("at the first read", Some(error)),
        };
        let Some(error) = error else {
            lines.push((String::new(), format!("| {} | accepted | |", row.what)));
            continue;
        };
        let (kind, text) = (format!("{:?}", error.kind()), advice(&error));
        let shown = format!("| {} | `{kind}` {when} | {text} |", row.what);
        lines.push((kind, shown));
    }
    let [(kind, first), (again, _)] = lines.as_slice() else { unreachable!("there are two schemes") };
    assert_eq!(kind, again, "{}: {:?} differ", row.what, row.schemes);
    first.clone()
}

/// What the error says, without the place, and without rustls's own words.
fn advice(error: &TransportError) -> String {
    let shown = error.to_string();
    let source = error.source().map_or_else(String::new, |source| format!(": {source}"));
    let mut text = shown.strip_suffix(&source).unwrap_or(&shown);
    for prefix in
        ["the connection broke while receiving: ", "the connection broke during the WebSocket upgrade: "]
    {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    // The place that the text is about, and every other address in it.
    let words = text.split(' ').enumerate().filter_map(|(at, word)| {
        let is_place = word.starts_with("localhost:") || word.starts_with("127.0.0.1:");
        match (is_place, at) {
            (false, _) => Some(word),
            (true, 0) => None,
            (true, _) if word.ends_with(':') => Some("HOST:PORT:"),
            (true, _) => Some("HOST:PORT"),
        }
    });
    words.collect::<Vec<_>>().join(" ").replace("within 150ms", "within 8s")
}

async fn table(rows: Vec<Row>) -> String {
    let mut lines = Vec::new();
    for row in &rows {
        lines.push(line(row).await);
    }
    lines.join("\n")
}

fn check(name: &str, table: &str) {
    let begin = format!("<!-- {name} -->\n");
    let Some((_, rest)) = PAGE.split_once(&begin) else { panic!("docs/guide/tls.md has no {begin}") };
    let written: Vec<&str> = rest.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let written = written.join("\n");
    assert!(
        written == table,
        "the table {name} in docs/guide/tls.md should be:\n{table}\n\nand is:\n{written}"
    );
}

#[tokio::test]
async fn server_certificates_are_judged_as_the_page_says() {
    check("server certificates", &table(server_certificates()).await);
}

#[tokio::test]
async fn client_certificates_are_judged_as_the_page_says() {
    check("client certificates", &table(client_certificates()).await);
}

#[tokio::test]
async fn connections_fail_as_the_page_says() {
    check("connections", &table(connections()).await);
}

#[tokio::test]
async fn proxies_are_understood_as_the_page_says() {
    let (rows, _running) = proxies().await;
    check("proxies", &table(rows).await);
}
