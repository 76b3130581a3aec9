use std::io::Write;

use stompede_broker::TlsAcceptConfig;

use crate::Outcome;
use crate::args::{self, Broker};

pub(crate) async fn run(options: Broker) -> Outcome {
    let identity = identity(&options)?;
    let mut builder = stompede_broker::Broker::builder().ws(options.ws).tcp(options.tcp);
    if let Some(identity) = identity {
        builder = builder.wss(options.wss, identity.clone()).tls(options.tls, identity);
    }
    let broker = builder.start().await?;
    for url in broker.urls() {
        writeln!(std::io::stdout(), "{url}")?;
    }
    tokio::signal::ctrl_c().await?;
    broker.stop().await;
    Ok(())
}

/// Who the broker is over TLS, and whom it lets in, if it speaks TLS.
fn identity(options: &Broker) -> Result<Option<TlsAcceptConfig>, Box<dyn std::error::Error>> {
    // Clap lets neither come alone.
    let (Some(chain), Some(key)) = (&options.tls_cert, &options.tls_key) else { return Ok(None) };
    let identity = TlsAcceptConfig::from_pem(args::read(chain)?, args::read(key)?)?;
    Ok(Some(match &options.tls_client_ca {
        Some(authorities) => identity.client_ca_pem(args::read(authorities)?)?,
        None => identity,
    }))
}
