use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stompede_codec::Frame;
use stompede_session::protocol::{Connected, SubscriptionId};
use stompede_session::{Error, Message};
use stompede_transport::Endpoint;

/// Is told what happens to a [`Client`](crate::Client).
///
/// Every method defaults to nothing: implement what matters, as `async fn`. It is registered under a name as an `Arc`, so
/// that the caller keeps a handle: [`ClientBuilder::listener`](crate::ClientBuilder::listener),
/// [`Client::set_listener`](crate::Client::set_listener).
///
/// Each listener has a task and a bounded queue of its own, so its methods run one after the other, in order, and may
/// take their time: they never hold up heart-beats, receipts or what does not pass through listeners. A panic is logged
/// and ends nothing. Any method of the client may be called from here.
///
/// # A listener that is slow
///
/// One that falls behind by 256 messages (or 256 KiB) holds up the subscriptions made with
/// [`listen`](crate::SubscribeBuilder::listen), and with them the other listeners, because no message is dropped; the log
/// says so after 5 s. It loses what is only news: receipts, heart-beats, sent frames. What happens to the messages that
/// still come is a setting of the subscription:
///
/// - In the ack modes the broker is asked to send no more than the subscription's
///   [`window`](crate::SubscribeBuilder::window), and keeps the rest.
/// - In ack mode auto they wait in the client, up to its [`overflow_bytes`](crate::ClientBuilder::overflow_bytes) (16 MiB).
///   When that is full too, nothing more is read, for no subscription, until there is room: heart-beats are still sent, a
///   silent broker is not given up, and who waits for a receipt gets [`Stalled`](crate::ErrorKind::Stalled).
/// - With [`when_full`](crate::SubscribeBuilder::when_full) they are dropped instead, which
///   [`Message::gap`](crate::Message::gap) tells.
///
/// When the session ends, what its queues still hold goes to all listeners at once, whatever the bounds: nobody waits for a
/// stuck one to hear of the end. A listener that has heard it is let go.
///
/// # Order
///
/// What one listener hears follows this grammar; `{ }` is any number of times, `[ ]` once or not at all:
///
/// ```text
/// client      := attempt { on_reconnecting attempt } on_closed
/// attempt     := { on_connecting [ on_send ] } ( open | [ on_error ] )
/// open        := on_connected { life } [ leaving ] [ failure ] on_disconnected
/// leaving     := on_disconnecting { life }
/// failure     := ( on_error | on_heartbeat_timeout ) { life }
/// life        := on_message | on_receipt | on_send | on_heartbeat | on_subscription_ended
/// ```
///
/// The first `on_send` is CONNECT; `leaving` is somebody calling `disconnect()`; the `life` after it, and after a failure,
/// is what was under way. For each [`on_connected`](Self::on_connected) there is exactly one
/// [`on_disconnected`](Self::on_disconnected), and after it no receipt of that connection; no message either if it is the
/// last, while messages that were received before a connection was lost, and
/// subscriptions that ended with it, may be told after it. `on_receipt` of
/// DISCONNECT comes before the `on_disconnected` of an orderly end. [`on_closed`](Self::on_closed) is the last word. A
/// listener that is registered while the connection is open begins with `on_connected`.
///
/// What users of stomp.py look for in `on_error`, such as "connection refused" or "unauthorized", is no frame of the
/// broker: it is the error of [`connect`](crate::ClientBuilder::connect) and the cause that `on_disconnected` and
/// `on_closed` are given.
pub trait Listener: Send + Sync + 'static {
    /// An attempt to connect begins: name look-up, TCP, WebSocket upgrade, CONNECT.
    fn on_connecting(&self, endpoint: &Endpoint) -> impl Future<Output = ()> + Send {
        let _ = endpoint;
        async {}
    }

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

    /// A subscription made with [`listen`](crate::SubscribeBuilder::listen) or
    /// [`handle`](crate::SubscribeBuilder::handle) has ended for a reason of its own, after its last message, and the client
    /// goes on: the broker will not have it, or not any more, or its consumer fell behind further than
    /// [`when_full`](crate::SubscribeBuilder::when_full) allows.
    ///
    /// What ends because the client ends, or because it was unsubscribed, is not told here. Nor is a stream: its own error
    /// says it.
    fn on_subscription_ended(
        &self,
        subscription: SubscriptionId,
        destination: &str,
        cause: &Error,
    ) -> impl Future<Output = ()> + Send {
        let _ = (subscription, destination, cause);
        async {}
    }

    /// A RECEIPT has arrived.
    fn on_receipt(&self, receipt_id: &str) -> impl Future<Output = ()> + Send {
        let _ = receipt_id;
        async {}
    }

    /// The broker has sent ERROR. The connection ends with it.
    ///
    /// Only what the broker says in a frame comes here. That no connection could be had, or that it was lost, is told
    /// by the cause of [`on_disconnected`](Self::on_disconnected) and [`on_closed`](Self::on_closed).
    fn on_error(&self, frame: &Frame) -> impl Future<Output = ()> + Send {
        let _ = frame;
        async {}
    }

    /// A frame of ours is on its way: CONNECT and DISCONNECT too, heart-beats not.
    ///
    /// To change a frame before it is sent is the business of an [`Interceptor`](crate::Interceptor).
    fn on_send(&self, frame: &Frame) -> impl Future<Output = ()> + Send {
        let _ = frame;
        async {}
    }

    /// The broker's heart-beat has arrived. Nothing had arrived for `gap` before it.
    fn on_heartbeat(&self, gap: Duration) -> impl Future<Output = ()> + Send {
        let _ = gap;
        async {}
    }

    /// The broker was silent for longer than it promised. The connection ends with it.
    fn on_heartbeat_timeout(&self, silent_for: Duration) -> impl Future<Output = ()> + Send {
        let _ = silent_for;
        async {}
    }

    /// An orderly end has been asked for: DISCONNECT follows once the receipts in flight are there.
    fn on_disconnecting(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The connection has ended: in order (`None`), or for this reason.
    fn on_disconnected(&self, cause: Option<&Error>) -> impl Future<Output = ()> + Send {
        let _ = cause;
        async {}
    }

    /// There is no connection, for this reason, and the next attempt begins after `delay`. `attempt` counts from 1 since
    /// the last stable connection.
    ///
    /// "Connection refused" and "unauthorized" are told here as well, as the cause, where the client goes on trying.
    fn on_reconnecting(
        &self,
        cause: &Error,
        attempt: u32,
        delay: Duration,
    ) -> impl Future<Output = ()> + Send {
        let _ = (cause, attempt, delay);
        async {}
    }

    /// The client is closed, in order (`None`) or for this reason, and does not come back. This is the last call.
    fn on_closed(&self, cause: Option<&Error>) -> impl Future<Output = ()> + Send {
        let _ = cause;
        async {}
    }
}

type Callback<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// [`Listener`] with its futures boxed, so that listeners of different types fit into one list.
pub(crate) trait ErasedListener: Send + Sync {
    fn call<'a>(&'a self, notice: &'a Notice) -> Callback<'a>;

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// What a listener is told.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Connecting(Endpoint),
    Connected(Arc<Connected>),
    Message(Message),
    SubscriptionEnded { subscription: SubscriptionId, destination: Arc<str>, cause: Error },
    Receipt(Box<str>),
    Error(Frame),
    Send(Frame),
    HeartBeat(Duration),
    HeartBeatTimeout(Duration),
    Disconnecting,
    Disconnected(Option<Error>),
    Reconnecting { cause: Error, attempt: u32, delay: Duration },
    Closed(Option<Error>),
}

impl<L: Listener> ErasedListener for L {
    fn call<'a>(&'a self, notice: &'a Notice) -> Callback<'a> {
        match notice {
            Notice::Connecting(endpoint) => Box::pin(self.on_connecting(endpoint)),
            Notice::Connected(broker) => Box::pin(self.on_connected(broker)),
            Notice::Message(message) => Box::pin(self.on_message(message)),
            Notice::SubscriptionEnded { subscription, destination, cause } => {
                Box::pin(self.on_subscription_ended(*subscription, destination, cause))
            }
            Notice::Receipt(id) => Box::pin(self.on_receipt(id)),
            Notice::Error(frame) => Box::pin(self.on_error(frame)),
            Notice::Send(frame) => Box::pin(self.on_send(frame)),
            Notice::HeartBeat(gap) => Box::pin(self.on_heartbeat(*gap)),
            Notice::HeartBeatTimeout(silent_for) => Box::pin(self.on_heartbeat_timeout(*silent_for)),
            Notice::Disconnecting => Box::pin(self.on_disconnecting()),
            Notice::Disconnected(cause) => Box::pin(self.on_disconnected(cause.as_ref())),
            Notice::Reconnecting { cause, attempt, delay } => {
                Box::pin(self.on_reconnecting(cause, *attempt, *delay))
            }
            Notice::Closed(cause) => Box::pin(self.on_closed(cause.as_ref())),
        }
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
