//! How does a client log in with a token that expires? `before_connect` is asked before each attempt and gets a new one.
//!
//! `cargo run --example token_refresh`

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stompede::{Attempt, Client, Guarantee, SendPolicy};
use stompede_broker::{Broker, Login};

/// Gives out tokens. Only the newest is good; the broker asks here too.
#[derive(Default)]
struct Tokens(AtomicU32);

impl Tokens {
    async fn fetch(&self) -> std::io::Result<String> {
        Ok(self.newest())
    }

    fn expire(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn newest(&self) -> String {
        format!("token {}", self.0.load(Ordering::Relaxed))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tokens = Arc::<Tokens>::default();
    let known = tokens.clone();
    let check = move |who: &Login<'_>| who.passcode == Some(known.newest().as_str());
    let broker = Broker::builder().check_login(check).start().await?;

    let source = tokens.clone();
    let builder = Client::builder(broker.ws_url().ok_or("it listens for no WebSocket")?).login("orders");
    let builder = builder.before_connect(move |mut attempt: Attempt| {
        let source = source.clone();
        async move {
            // With `?` a token server that is down is a failed attempt: the next one comes when the policy says.
            let token = source.fetch().await?;
            println!("attempt {} with {token}", attempt.number);
            attempt.passcode = Some(token);
            Ok(attempt)
        }
    });
    let mut policy = SendPolicy::default();
    policy.guarantee = Guarantee::AtLeastOnce;
    let client = builder.sending(policy).connect().await?;
    for _ in 0..3 {
        // The old token is refused from here on, and a refused login would end the session.
        tokens.expire();
        broker.hang_up();
        // Waits for the next connection.
        client.send("/queue/orders").text("still here").confirm().await?;
    }
    client.disconnect().await?;
    Ok(())
}
