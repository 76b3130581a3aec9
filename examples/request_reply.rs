//! Request and reply over a temporary queue, with a deadline.
//!
//! `cargo run --example request_reply`, or `-- --url URL --login … --passcode … --host …` for a RabbitMQ of yours.

mod common;

use std::time::Duration;

use stompede::{Message, ReplyTo, RequestError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = common::Place::find().await?;
    let service = place.builder().connect().await?;
    let answering = service.clone();
    let questions =
        service.subscribe("/queue/example.questions").confirm().handle(move |question: Message| {
            let client = answering.clone();
            async move {
                let Ok(text) = question.text() else { return };
                if text == "silence" {
                    return;
                }
                // What has no reply-to wants no answer.
                if let Ok(reply) = client.reply(&question) {
                    let _ = reply.text(text.to_uppercase()).await;
                }
            }
        });
    questions.await?;

    let client = place.builder().connect().await?;
    let requests = client.requester(ReplyTo::Temporary).await?;
    let question = client.send("/queue/example.questions").text("how many?");
    let answer = requests.request(question).within(Duration::from_secs(5)).await?;
    println!("{}", answer.text()?);

    let question = client.send("/queue/example.questions").text("silence");
    match requests.request(question).within(Duration::from_millis(200)).await {
        Err(RequestError::TimedOut(within)) => println!("no answer within {within:?}"),
        other => return Err(format!("silence was expected: {other:?}").into()),
    }
    client.disconnect().await?;
    service.disconnect().await?;
    Ok(())
}
