//! Request and reply, with temporary queues and without.

use std::future::IntoFuture;
use std::time::Duration;

use stompede::{Client, ErrorKind, ReplyTo, RequestError, SendError};
use stompede_broker::{Broker, Personality, TestBroker};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(20);

async fn connect(broker: &TestBroker) -> Client {
    Client::builder(broker.ws_url()).connect().await.expect("connected")
}

/// Answers every question with its text in capitals, except for "silence".
async fn oracle(broker: &TestBroker) -> Client {
    let client = connect(broker).await;
    let answering = client.clone();
    let handle = client.subscribe("/queue/questions").handle(move |question| {
        let client = answering.clone();
        async move {
            let text = question.text().expect("text").to_uppercase();
            if text != "SILENCE" {
                client.reply(&question).expect("it can be answered").text(text).await.expect("sent");
            }
        }
    });
    handle.await.expect("subscribed");
    broker.subscribed("/queue/questions", 1).await;
    client
}

#[tokio::test]
async fn every_request_gets_its_own_reply_in_each_way() {
    let ways = [
        (Personality::stompede(), ReplyTo::Temporary),
        (Personality::stompede(), ReplyTo::TemporarySubscribed),
        (Personality::stompede(), ReplyTo::Destination("/topic/answers".to_owned())),
        (Personality::rabbitmq(), ReplyTo::Temporary),
        (Personality::activemq(), ReplyTo::TemporarySubscribed),
        // It confirms no SUBSCRIBE.
        (Personality::spring_simple_broker(), ReplyTo::Destination("/topic/answers".to_owned())),
    ];
    for (personality, way) in ways {
        let broker = TestBroker::start_with(Broker::builder().personality(personality)).await;
        let _oracle = oracle(&broker).await;
        let client = connect(&broker).await;
        let (one, two) = tokio::join!(
            client.requester(way.clone()),
            client.requester(ReplyTo::Destination("/topic/other".to_owned()))
        );
        let (one, two) = (one.expect("ready"), two.expect("ready"));
        let asking = (0..50).map(|n| {
            let (client, requests) = (client.clone(), if n % 2 == 0 { one.clone() } else { two.clone() });
            tokio::spawn(async move {
                let question = client.send("/queue/questions").text(format!("q{n}"));
                let answer = requests.request(question).within(LONG).await.expect("an answer");
                assert_eq!(answer.text(), Ok(format!("Q{n}").as_str()));
            })
        });
        for asked in asking.collect::<Vec<_>>() {
            asked.await.expect("no panic");
        }
        assert_eq!((one.outstanding(), two.outstanding()), (0, 0), "{way:?}");
        client.disconnect().await.expect("in order");
    }
}

#[tokio::test]
async fn no_reply_in_time_is_an_error_and_leaves_nothing_behind() {
    let broker = TestBroker::start().await;
    let _oracle = oracle(&broker).await;
    let client = connect(&broker).await;
    let requests = client.requester(ReplyTo::Temporary).await.expect("ready");
    let ask = || client.send("/queue/questions").text("silence");
    let error = requests.request(ask()).within(Duration::from_millis(50)).await.expect_err("silence");
    assert!(matches!(error, RequestError::TimedOut(_)), "{error}");
    assert_eq!(requests.outstanding(), 0);
    // Given up by whoever asked.
    {
        let asking = requests.request(ask()).into_future();
        assert!(tokio::time::timeout(Duration::from_millis(50), asking).await.is_err());
    }
    assert_eq!(requests.outstanding(), 0);
    let answer = requests.request(client.send("/queue/questions").text("still there?")).within(LONG).await;
    assert_eq!(answer.expect("an answer").text(), Ok("STILL THERE?"));
}

#[tokio::test]
async fn the_end_of_the_connection_ends_the_wait() {
    let broker = TestBroker::start().await;
    let client = connect(&broker).await;
    let requests = client.requester(ReplyTo::Temporary).await.expect("ready");
    let asking = requests.request(client.send("/queue/nobody").text("?")).within(LONG).into_future();
    let hanging_up = async {
        broker.holds("/queue/nobody", 1).await;
        broker.hang_up();
    };
    let (answer, ()) = tokio::join!(asking, hanging_up);
    assert!(matches!(answer, Err(RequestError::Lost(Some(_)))), "{answer:?}");
    // The client comes back, and the requests with it.
    let _oracle = oracle(&broker).await;
    let again = async {
        loop {
            let asked = requests.request(client.send("/queue/questions").text("again?")).within(LONG).await;
            match asked {
                Err(RequestError::Send(_) | RequestError::Lost(_)) => tokio::task::yield_now().await,
                other => return other,
            }
        }
    };
    let answer = tokio::time::timeout(LONG, again).await.expect("in time");
    assert_eq!(answer.expect("an answer").text(), Ok("AGAIN?"));
    client.abort();
    let late = requests.request(client.send("/queue/nobody").text("?")).await;
    assert!(matches!(late, Err(RequestError::Send(_) | RequestError::Lost(None))), "{late:?}");
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_answered() {
    let broker = TestBroker::start().await;
    let client = connect(&broker).await;
    let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
    client.send("/topic/a").text("just so").confirm().await.expect("confirmed");
    let message = inbox.try_next().await.expect("open").expect("a message");
    let error = client.reply(&message).map(drop).expect_err("no reply-to");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("reply-to"), "{error}");
}

#[tokio::test]
async fn a_request_may_have_an_id_of_its_own_and_goes_under_no_other() {
    let broker = TestBroker::start().await;
    let _oracle = oracle(&broker).await;
    let client = connect(&broker).await;
    let requests = client.requester(ReplyTo::Temporary).await.expect("ready");
    let ask = |id: &str, text: &str| client.send("/queue/questions").header("correlation-id", id).text(text);
    let answer = requests.request(ask("mine", "one")).within(LONG).await.expect("an answer");
    assert_eq!((answer.text(), answer.header("correlation-id").as_deref()), (Ok("ONE"), Some("mine")));
    // One of two that wait under the same id would get the answer of the other.
    let (waiting, refused) = tokio::join!(
        requests.request(ask("mine", "silence")).within(Duration::from_millis(100)),
        requests.request(ask("mine", "two"))
    );
    assert!(matches!(waiting, Err(RequestError::TimedOut(_))), "{waiting:?}");
    let elsewhere = ask("other", "three").header("reply-to", "/topic/elsewhere");
    for (refused, name) in [
        (refused, "correlation-id"),
        (requests.request(ask("", "four")).await, "correlation-id"),
        (requests.request(elsewhere).await, "reply-to"),
    ] {
        let Err(RequestError::Send(SendError::NotSent(unsent))) = refused else { panic!("{refused:?}") };
        assert_eq!(unsent.cause.kind(), ErrorKind::InvalidArgument);
        assert!(unsent.cause.to_string().contains(name), "{}", unsent.cause);
    }
    assert_eq!(requests.outstanding(), 0);
    let answer = requests.request(ask("mine", "five")).within(LONG).await.expect("the id is free again");
    assert_eq!(answer.text(), Ok("FIVE"));
}
