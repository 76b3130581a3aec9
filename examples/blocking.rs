//! The client without async.
//!
//! `cargo run --example blocking`, or `-- --url URL --login … --passcode … --host …` for a broker of yours.

mod common;

use stompede::blocking::Client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Only the broker in this process needs a runtime; the client brings its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let place = runtime.block_on(common::Place::find())?;

    let client = Client::connect(place.builder())?;
    let inbox = client.subscribe("/topic/example.blocking", |subscribe| subscribe.confirm())?;
    for n in 0..3 {
        client.confirm("/topic/example.blocking", |send| send.text(format!("message {n}")))?;
    }
    for message in inbox.take(3) {
        println!("{}", message?.text()?);
    }
    client.disconnect()?;
    Ok(())
}
