use std::convert::Infallible;
use std::env::{self, VarError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use stompede::{AckMode, Client, ClientBuilder};

use crate::Outcome;
use crate::reach::Reach;

/// Send to a STOMP broker, listen on one, or run one for development.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Send(Send),
    Listen(Listen),
    Broker(Broker),
}

/// Send one message and wait for the broker's RECEIPT.
#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Where the message goes, for example /queue/a.
    pub(crate) destination: String,
    /// The body, at most 16 MiB; read from standard input to its end if left out or `-`.
    pub(crate) body: Option<String>,
    /// A header as NAME:VALUE; may be given more than once.
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// The `content-type` header.
    #[arg(long)]
    pub(crate) content_type: Option<String>,
    /// Do not wait for the RECEIPT, only until the message is written.
    #[arg(long)]
    pub(crate) no_receipt: bool,
}

/// Subscribe and print messages until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct Listen {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Where messages come from, for example /topic/a.
    pub(crate) destination: String,
    /// A header of SUBSCRIBE as NAME:VALUE; may be given more than once.
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// How messages are acknowledged; except in auto, each is once it is printed.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) ack: Ack,
    /// Do not wait for the broker to confirm the subscription: for brokers that never do, such as Spring's own.
    #[arg(long)]
    pub(crate) no_receipt: bool,
    /// End after this many messages.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Print one JSON object a line: headers, and the body as text, or as hex where it is no UTF-8.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Run the embedded broker until Ctrl-C. It is for development: it keeps everything in memory and lets anybody in.
#[derive(Debug, clap::Args)]
pub(crate) struct Broker {
    /// Where to listen for WebSocket.
    #[arg(long, default_value = "127.0.0.1:61614")]
    pub(crate) ws: String,
    /// Where to listen for TCP.
    #[arg(long, default_value = "127.0.0.1:61613")]
    pub(crate) tcp: String,
    /// A certificate chain in PEM, its own certificate first: listen for TLS too.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Let in over TLS only clients with a certificate of these authorities, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Where to listen for TLS, if there is a certificate.
    #[arg(long, default_value = "127.0.0.1:61615")]
    pub(crate) tls: String,
    /// Where to listen for WebSocket over TLS, if there is a certificate.
    #[arg(long, default_value = "127.0.0.1:61616")]
    pub(crate) wss: String,
}

/// How to reach a broker.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// The broker: ws://, wss://, tcp:// or tls://.
    url: String,
    /// The login.
    #[arg(long)]
    login: Option<String>,
    /// The passcode. Other users of this machine can see it here: rather set it in the environment, as
    /// STOMP_PASSCODE, or in a file.
    #[arg(long, requires = "login", conflicts_with = "passcode_file")]
    passcode: Option<Secret>,
    /// A file whose first line is the passcode. It comes before STOMP_PASSCODE.
    #[arg(long, requires = "login")]
    passcode_file: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
    /// The virtual host; the URL's host name unless given. RabbitMQ's usual one is /.
    #[arg(long)]
    host: Option<String>,
    /// Seconds that connecting may take, and that a RECEIPT may take.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Ack {
    Auto,
    Client,
    ClientIndividual,
}

impl From<Ack> for AckMode {
    fn from(ack: Ack) -> Self {
        match ack {
            Ack::Auto => Self::Auto,
            Ack::Client => Self::Client,
            Ack::ClientIndividual => Self::ClientIndividual,
        }
    }
}

impl Connection {
    pub(crate) async fn connect(self) -> Result<Client, Box<dyn std::error::Error>> {
        Ok(self.builder()?.connect().await?)
    }

    fn builder(self) -> Result<ClientBuilder, Box<dyn std::error::Error>> {
        let limit = Duration::from_secs(self.timeout);
        let mut builder = Client::builder(&self.url)
            // A script wants to hear of an outage; whoever calls it decides.
            .reconnect(stompede::ReconnectPolicy::never())
            .connect_timeout(limit)
            .handshake_timeout(limit)
            .receipt_timeout(limit)
            .disconnect_timeout(limit);
        builder = self.reach.apply(builder)?;
        if let Some(host) = self.host {
            builder = builder.host(host);
        }
        let Some(login) = self.login else { return Ok(builder) };
        let passcode = match (self.passcode, self.passcode_file) {
            (Some(Secret(passcode)), _) => passcode,
            (None, Some(path)) => first_line(&path)?,
            (None, None) => from_environment("STOMP_PASSCODE")?.unwrap_or_default(),
        };
        Ok(builder.credentials(login, passcode))
    }
}

/// What `Debug` must not show.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// Not left to clap: to it an exported variable is an option given, which contradicts `--passcode-file`.
pub(crate) fn from_environment(variable: &str) -> Result<Option<String>, Box<dyn std::error::Error>> {
    match env::var(variable) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        // Not the error's own words: they repeat the value.
        Err(VarError::NotUnicode(_)) => Err(format!("{variable} is not UTF-8").into()),
    }
}

fn first_line(path: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let text = String::from_utf8(read(path)?).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// A file's content, or an error that names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a header is NAME:VALUE".to_owned()),
    }
}

/// Ends a client in order; the outcome of what was done before matters more.
pub(crate) async fn disconnect(client: &Client, outcome: Outcome) -> Outcome {
    let ended = client.disconnect().await;
    outcome?;
    Ok(ended?)
}
