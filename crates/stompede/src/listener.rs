use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use stompede_codec::Frame;
use stompede_session::protocol::Connected;
use stompede_session::{Error, Message};

/// Is told what happens to a [`Client`](crate::Client).
///
/// Every method defaults to nothing: implement what matters, as `async fn`.
///
/// Each listener has a task and a bounded queue of its own, so its methods run one after the other, in order, and may
/// take their time: they never hold up heart-beats, receipts or the reading of the connection as such. A listener that
/// falls behind by 256 messages (or 256 KiB) holds up the subscriptions that it listens to, and loses receipts and
/// heart-beats, which are only news. A panic is logged and ends nothing. Any method of the client may be called from
/// here.
///
/// # Order
///
/// For each [`on_connected`](Self::on_connected) there is exactly one [`on_disconnected`](Self::on_disconnected), and
/// nothing comes after it. `on_error` and `on_heartbeat_timeout` come before the `on_disconnected` that follows from it, and `on_receipt` before
/// the `on_disconnected` of an orderly end.
pub trait Listener: Send + Sync + 'static {
    /// The connection is open and logged in.
    fn on_connected(&self, broker: &Connected) -> impl Future<Output = ()> + Send {
        let _ = broker;
        async {}
    }

    /// A message of a subscription made with [`listen`](crate::SubscribeBuilder::listen).
    fn on_message(&self, message: &Message) -> impl Future<Output = ()> + Send {
        let _ = message;
        async {}
    }

    /// A RECEIPT has arrived.
    fn on_receipt(&self, receipt_id: &str) -> impl Future<Output = ()> + Send {
        let _ = receipt_id;
        async {}
    }

    /// The broker has sent ERROR. The connection ends with it.
    fn on_error(&self, frame: &Frame) -> impl Future<Output = ()> + Send {
        let _ = frame;
        async {}
    }

    /// The broker's heart-beat has arrived.
    fn on_heartbeat(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The broker was silent for longer than it promised. The connection ends with it.
    fn on_heartbeat_timeout(&self, silent_for: Duration) -> impl Future<Output = ()> + Send {
        let _ = silent_for;
        async {}
    }

    /// The connection has ended: in order (`None`), or for this reason.
    fn on_disconnected(&self, cause: Option<&Error>) -> impl Future<Output = ()> + Send {
        let _ = cause;
        async {}
    }
}

type Callback<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// [`Listener`] with its futures boxed, so that listeners of different types fit into one list.
pub(crate) trait ErasedListener: Send + Sync {
    fn call<'a>(&'a self, notice: &'a Notice) -> Callback<'a>;
}

/// What a listener is told.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Connected(std::sync::Arc<Connected>),
    Message(Message),
    Receipt(Box<str>),
    Error(Frame),
    HeartBeat,
    HeartBeatTimeout(Duration),
    Disconnected(Option<Error>),
}

impl<L: Listener> ErasedListener for L {
    fn call<'a>(&'a self, notice: &'a Notice) -> Callback<'a> {
        match notice {
            Notice::Connected(broker) => Box::pin(self.on_connected(broker)),
            Notice::Message(message) => Box::pin(self.on_message(message)),
            Notice::Receipt(id) => Box::pin(self.on_receipt(id)),
            Notice::Error(frame) => Box::pin(self.on_error(frame)),
            Notice::HeartBeat => Box::pin(self.on_heartbeat()),
            Notice::HeartBeatTimeout(silent_for) => Box::pin(self.on_heartbeat_timeout(*silent_for)),
            Notice::Disconnected(cause) => Box::pin(self.on_disconnected(cause.as_ref())),
        }
    }
}
