//! What is sent arrives, byte for byte.

use crate::mode::{Mode, next, next_text, put};

pub(crate) async fn text(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/text");
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    put(&client, &queue, "héllo wörld, 你好 \u{1f980}\r\nsecond line\n").await;
    let message = next(&mut inbox).await;
    assert_eq!(message.text(), Ok("héllo wörld, 你好 \u{1f980}\r\nsecond line\n"));
    assert_eq!(message.header("content-type").as_deref(), Some("text/plain"));
}

pub(crate) async fn empty_body(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/empty");
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    client.send(&queue).header("k", "v").confirm().await.expect("confirmed");
    let message = next(&mut inbox).await;
    assert!(message.body().is_empty());
    assert_eq!(message.header("k").as_deref(), Some("v"));
}

/// In its default setting RabbitMQ puts this into WebSocket text frames, which is no UTF-8.
pub(crate) async fn one_mib_of_every_byte(mode: Mode) {
    let body: Vec<u8> = (0..=255).cycle().take(1024 * 1024).collect();
    let client = mode.connect().await;
    let queue = mode.unique("/queue/binary");
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    client.send(&queue).body(body.clone()).confirm().await.expect("confirmed");
    assert_eq!(next(&mut inbox).await.body(), &body);
}

pub(crate) async fn headers_with_colon_backslash_lf_and_cr(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/headers");
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    let values =
        ["a:b", "back\\slash", "two\nlines", "cr\rhere", "\\n is no line end", "", " kept ", ":\\\n\r"];
    let mut send = client.send(&queue);
    for (n, value) in values.iter().enumerate() {
        send = send.header(format!("k{n}"), value);
    }
    send.header("na:me", "v").confirm().await.expect("confirmed");
    let message = next(&mut inbox).await;
    for (n, value) in values.iter().enumerate() {
        assert_eq!(message.header(&format!("k{n}")).as_deref(), Some(*value), "k{n}");
    }
    assert_eq!(message.header("na:me").as_deref(), Some("v"));
}

pub(crate) async fn ten_thousand_messages_in_order(mode: Mode) {
    let client = mode.connect_in_haste().await;
    let queue = mode.unique("/queue/many");
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    let (sender, to) = (client.clone(), queue.clone());
    let sending = tokio::spawn(async move {
        for n in 0..10_000 {
            sender.send(&to).text(n.to_string()).await.expect("handed over");
        }
    });
    for n in 0..10_000 {
        assert_eq!(next_text(&mut inbox).await, n.to_string());
    }
    sending.await.expect("no panic");
    client.disconnect().await.expect("in order");
}
