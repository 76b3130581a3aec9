//! A monitor that notices a stale connection: the broker goes on, but its heart-beats stop.
//!
//! `cargo run --example heartbeats`

use std::sync::Arc;
use std::time::Duration;

use stompede::listeners::HeartbeatMonitor;
use stompede::{Client, HeartBeat, ReconnectPolicy};
use stompede_broker::{Broker, Faults};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::start().await?;
    let monitor = Arc::new(HeartbeatMonitor::new());
    let client = Client::builder(broker.ws_url().ok_or("it listens")?)
        .heart_beat(HeartBeat::every(Duration::from_millis(200)))
        // Else it would come back, and the beats stop again.
        .reconnect(ReconnectPolicy::never())
        .listener("monitor", monitor.clone())
        .connect()
        .await?;
    let mut connected = monitor.watch_connected();
    connected.wait_for(|connected| *connected).await?;
    while monitor.beats() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("healthy: {}, longest gap {:.0?}", monitor.is_healthy(), monitor.longest_gap());

    broker.inject(Faults::new().mute_heart_beats());
    connected.wait_for(|connected| !*connected).await?;
    println!("healthy: {}, time-outs: {}", monitor.is_healthy(), monitor.timeouts());
    match client.closed().await {
        Some(cause) => println!("the connection was given up: {cause}"),
        None => return Err("it should not have ended in order".into()),
    }
    Ok(())
}
