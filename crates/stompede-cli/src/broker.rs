use std::io::Write;

use crate::Outcome;
use crate::args::Broker;

pub(crate) async fn run(options: Broker) -> Outcome {
    let broker = stompede_broker::Broker::builder().ws(options.ws).tcp(options.tcp).start().await?;
    for url in [broker.ws_url(), broker.tcp_url()].into_iter().flatten() {
        writeln!(std::io::stdout(), "{url}")?;
    }
    tokio::signal::ctrl_c().await?;
    broker.stop().await;
    Ok(())
}
