/// The variable with the address for STOMP over TCP.
const TCP: &str = "STOMPEDE_RABBITMQ_TCP";

/// The variable with the address for STOMP over WebSocket.
const WS: &str = "STOMPEDE_RABBITMQ_WS";

/// The variable with the address of a RabbitMQ that answers in binary WebSocket messages.
const WS_BINARY: &str = "STOMPEDE_RABBITMQ_WS_BINARY";

/// The variable with the address of a RabbitMQ that takes credentials from the upgrade.
const WS_BASIC: &str = "STOMPEDE_RABBITMQ_WS_BASIC";

/// The variables with the addresses for both over TLS.
const TLS: [&str; 2] = ["STOMPEDE_RABBITMQ_TLS", "STOMPEDE_RABBITMQ_WSS"];

/// The same of the RabbitMQ that answers in binary messages; over TLS it lets in only who shows a certificate.
const TLS_MUTUAL: [&str; 2] = ["STOMPEDE_RABBITMQ_TLS_MUTUAL", "STOMPEDE_RABBITMQ_WSS_MUTUAL"];

/// The variable with the file of the authority that vouches for all of them.
const CA: &str = "STOMPEDE_RABBITMQ_CA";

/// The variables with the files of a client's certificate and of its key.
const CLIENT: [&str; 2] = ["STOMPEDE_RABBITMQ_CLIENT_CERT", "STOMPEDE_RABBITMQ_CLIENT_KEY"];

/// The variable with the address that a RabbitMQ is killed and started through.
const CONTROL: &str = "STOMPEDE_RABBITMQ_CONTROL";

/// A running RabbitMQ.
///
/// Its accounts: `guest`/`guest` may do everything on the virtual hosts `/` and `lab`; `lab`/`labpass` may
/// do everything on `lab` and nothing else; `ro`/`ropass` may read and configure on `/`, but not write.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RabbitMq {
    /// The address for STOMP over TCP, `tcp://127.0.0.1:PORT`.
    pub tcp_url: String,
    /// The address for STOMP over WebSocket, `ws://127.0.0.1:PORT/ws`.
    pub ws_url: String,
    /// The address of a second one with `web_stomp.ws_frame = binary`.
    pub ws_binary_url: String,
    /// The address of a third one with `web_stomp.use_http_auth = true`.
    pub ws_basic_url: String,
    /// The addresses for STOMP over TLS, and over WebSocket over TLS.
    pub tls_urls: [String; 2],
    /// The same of the second one, which asks clients for certificates.
    pub tls_mutual_urls: [String; 2],
    /// The authority that vouches for all of them, in PEM.
    pub ca: String,
    /// A client's certificate and its key, in PEM.
    pub client: [String; 2],
}

impl RabbitMq {
    /// Reads from the environment where the broker is.
    ///
    /// # Panics
    /// If the environment does not say so: a test against a broker must not pass without one.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            tcp_url: variable(TCP),
            ws_url: variable(WS),
            ws_binary_url: variable(WS_BINARY),
            ws_basic_url: variable(WS_BASIC),
            tls_urls: TLS.map(variable),
            tls_mutual_urls: TLS_MUTUAL.map(variable),
            ca: file(CA),
            client: CLIENT.map(file),
        }
    }

    /// Host and port of the address for TCP, as [`std::net::TcpStream::connect`] takes them.
    ///
    /// # Panics
    /// If the address does not start with `tcp://`.
    #[must_use]
    pub fn tcp_address(&self) -> &str {
        self.tcp_url.strip_prefix("tcp://").expect("STOMPEDE_RABBITMQ_TCP is tcp://HOST:PORT")
    }
}

/// A running RabbitMQ that may be killed, and started again.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ControlledRabbitMq {
    /// The address for STOMP over TCP, `tcp://127.0.0.1:PORT`.
    pub tcp_url: String,
    /// The address for STOMP over WebSocket, `ws://127.0.0.1:PORT/ws`.
    pub ws_url: String,
    /// Host and port of whoever started it: a connection that says `kill`, `start`, `freeze` or `thaw` and a line feed
    /// is answered with `ok` once that is done, or why it could not be.
    pub control: String,
}

impl ControlledRabbitMq {
    /// Reads from the environment where the broker is.
    ///
    /// # Panics
    /// If the environment does not say so: a test against a broker must not pass without one.
    #[must_use]
    pub fn from_env() -> Self {
        Self { tcp_url: variable(TCP), ws_url: variable(WS), control: variable(CONTROL) }
    }
}

#[expect(clippy::panic, reason = "the caller is a test, and this is how a test fails")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run cargo xtask test --full"))
}

#[expect(clippy::panic, reason = "the caller is a test, and this is how a test fails")]
fn file(name: &str) -> String {
    let path = variable(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {path}: {error}"))
}
