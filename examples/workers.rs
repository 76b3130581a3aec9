//! Competing workers: two clients share a queue, acknowledge what they have done, and shut down without losing anything.
//!
//! `cargo run --example workers`, or `-- --url URL --login … --passcode … --host …` for a broker of yours.

mod common;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use stompede::{AckMode, Message, process};
use tokio::sync::Semaphore;

const JOBS: u32 = 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = common::Place::find().await?;
    let (finished, stop) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut workers = Vec::new();
    for name in ["left", "right"] {
        let client = place.builder().connect().await?;
        let jobs = client.subscribe("/queue/example.jobs").ack(AckMode::ClientIndividual);
        let jobs = jobs.header("prefetch-count", "4").await?;
        let (counted, stop) = (finished.clone(), stop.clone());
        let work = process(jobs, 2, move |job: Message| {
            let counted = counted.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                println!("{name}: {}", job.text()?);
                counted.add_permits(1);
                Ok::<_, std::str::Utf8Error>(())
            }
        });
        let stopped = async move { drop(stop.acquire().await) };
        workers.push((client, tokio::spawn(work.attempts(3).until(stopped).into_future())));
    }
    let boss = place.builder().connect().await?;
    for n in 0..JOBS {
        boss.send("/queue/example.jobs").text(format!("job {n}")).confirm().await?;
    }
    finished.acquire_many(JOBS).await?.forget();
    stop.add_permits(2);
    for (client, worker) in workers {
        println!("{:?}", worker.await??);
        client.disconnect().await?;
    }
    boss.disconnect().await?;
    Ok(())
}
