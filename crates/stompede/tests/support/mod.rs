//! A listener that holds every callback to the grammar in the documentation of `Listener`.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

use std::sync::Mutex;
use std::time::Duration;

use stompede::{Connected, Endpoint, Error, Frame, Listener, Message, SubscriptionId};
use tokio::sync::Notify;

/// Far more than anything here takes: a hang fails instead of hanging.
pub(crate) const HANG: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Word {
    Connecting,
    Connected,
    Message,
    Ended,
    Receipt,
    Send,
    HeartBeat,
    Error,
    Timeout,
    Disconnecting,
    Disconnected,
    Reconnecting,
    Closed,
}

/// Where a word may be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Start,
    Connecting,
    Greeted,
    Refused,
    Open,
    Leaving,
    Failed,
    Disconnected,
    /// After it, messages that were received before, or a subscription that ended: there must be another attempt.
    Lost,
    Waiting,
    Closed,
}

/// The place after `word`, if the word may be said there; `again` if there was a connection before.
fn next(place: Place, word: Word, again: bool) -> Option<Place> {
    use Word as W;
    let life = matches!(word, W::Message | W::Ended | W::Receipt | W::Send | W::HeartBeat);
    Some(match (place, word) {
        (Place::Start | Place::Waiting, W::Connecting) => Place::Connecting,
        // A listener that comes while the connection is open.
        (Place::Start, W::Connected) => Place::Open,
        (Place::Connecting, W::Send) => Place::Greeted,
        (Place::Connecting | Place::Greeted, W::Connected) => Place::Open,
        (Place::Connecting | Place::Greeted, W::Error) => Place::Refused,
        // The next host.
        (Place::Connecting | Place::Greeted | Place::Refused, W::Connecting) => Place::Connecting,
        (
            Place::Connecting | Place::Greeted | Place::Refused | Place::Disconnected | Place::Lost,
            W::Reconnecting,
        ) => Place::Waiting,
        (
            Place::Connecting | Place::Greeted | Place::Refused | Place::Disconnected | Place::Waiting,
            W::Closed,
        ) => Place::Closed,
        (Place::Disconnected, W::Message | W::Ended) => Place::Lost,
        (
            Place::Lost | Place::Waiting | Place::Connecting | Place::Greeted | Place::Refused,
            W::Message | W::Ended,
        ) if again => place,
        (Place::Open | Place::Leaving | Place::Failed, _) if life => place,
        (Place::Open, W::Disconnecting) => Place::Leaving,
        (Place::Open | Place::Leaving, W::Error | W::Timeout) => Place::Failed,
        (Place::Open | Place::Leaving | Place::Failed, W::Disconnected) => Place::Disconnected,
        _ => return None,
    })
}

#[derive(Debug, Default)]
pub(crate) struct Checker {
    words: Mutex<Vec<Word>>,
    said: Notify,
}

impl Checker {
    fn say(&self, word: Word) {
        self.words.lock().expect("no panic").push(word);
        self.said.notify_one();
    }

    pub(crate) fn words(&self) -> Vec<Word> {
        self.words.lock().expect("no panic").clone()
    }

    /// Waits until this word has been said this many times.
    pub(crate) async fn wait_for(&self, word: Word, count: usize) {
        let waited = tokio::time::timeout(HANG, async {
            while self.words().iter().filter(|said| **said == word).count() < count {
                self.said.notified().await;
            }
        });
        assert!(waited.await.is_ok(), "{word:?} is not said {count} times: {:?}", self.words());
    }

    /// Waits for the last word and judges all of them.
    pub(crate) async fn check(&self) -> Vec<Word> {
        self.wait_for(Word::Closed, 1).await;
        let words = self.words();
        judge(&words).expect("the grammar holds");
        words
    }
}

/// Whether these are all words of one client, in order.
pub(crate) fn judge(words: &[Word]) -> Result<(), String> {
    let (mut place, mut again) = (Place::Start, false);
    for (at, word) in words.iter().enumerate() {
        place = next(place, *word, again).ok_or_else(|| format!("{word:?} at {at} in {words:?}"))?;
        again |= *word == Word::Connected;
    }
    if place == Place::Closed { Ok(()) } else { Err(format!("ends at {place:?}: {words:?}")) }
}

impl Listener for Checker {
    async fn on_connecting(&self, _: &Endpoint) {
        self.say(Word::Connecting);
    }

    async fn on_connected(&self, _: &Connected) {
        self.say(Word::Connected);
    }

    async fn on_message(&self, _: &Message) {
        self.say(Word::Message);
    }

    async fn on_subscription_ended(&self, _: SubscriptionId, _: &str, _: &Error) {
        self.say(Word::Ended);
    }

    async fn on_receipt(&self, _: &str) {
        self.say(Word::Receipt);
    }

    async fn on_error(&self, _: &Frame) {
        self.say(Word::Error);
    }

    async fn on_send(&self, _: &Frame) {
        self.say(Word::Send);
    }

    async fn on_heartbeat(&self, _: Duration) {
        self.say(Word::HeartBeat);
    }

    async fn on_heartbeat_timeout(&self, _: Duration) {
        self.say(Word::Timeout);
    }

    async fn on_disconnecting(&self) {
        self.say(Word::Disconnecting);
    }

    async fn on_disconnected(&self, _: Option<&Error>) {
        self.say(Word::Disconnected);
    }

    async fn on_reconnecting(&self, _: &Error, _: u32, _: Duration) {
        self.say(Word::Reconnecting);
    }

    async fn on_closed(&self, _: Option<&Error>) {
        self.say(Word::Closed);
    }
}
