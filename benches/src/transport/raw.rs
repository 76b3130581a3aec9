//! What is below: a socket and a buffer, and tokio-tungstenite with the buffers that ours has.

use super::{BUFFER, CONNECT, Flood, WRITE_BUFFER, frame, last};

pub(super) mod tcp {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
    use tokio::net::TcpStream;

    use super::{BUFFER, CONNECT, Flood, WRITE_BUFFER, frame, last};
    use crate::session::Place;
    use crate::session::cpu::{Sample, Stopwatch};

    async fn connect(place: Place) -> (TcpStream, Vec<u8>) {
        let mut io = TcpStream::connect(place.address()).await.expect("the server listens");
        io.set_nodelay(true).expect("an open socket");
        io.write_all(CONNECT.as_bytes()).await.expect("the server reads");
        let mut buffer = vec![0; BUFFER];
        expect(&mut io, &mut buffer, b"CONNECTED").await;
        (io, buffer)
    }

    async fn expect(io: &mut TcpStream, buffer: &mut [u8], command: &[u8]) {
        let read = io.read(buffer).await.expect("the server writes");
        assert!(buffer.starts_with(command), "{}", String::from_utf8_lossy(&buffer[..read]));
    }

    /// Reads until all has come.
    pub(in crate::transport) async fn receive(place: Place, flood: Flood) -> Sample {
        let (mut io, mut buffer) = connect(place).await;
        let stopwatch = Stopwatch::start();
        io.write_all(flood.subscribe().as_bytes()).await.expect("the server reads");
        let mut octets = 0;
        while octets < flood.octets {
            let read = io.read(&mut buffer).await.expect("the server writes");
            assert!(read > 0, "the server closed");
            octets += std::hint::black_box(&buffer[..read]).len();
        }
        let sample = stopwatch.stop(flood.messages);
        assert_eq!(octets, flood.octets);
        sample
    }

    /// Writes through a buffer and flushes once, at the end.
    pub(in crate::transport) async fn send(place: Place, messages: usize) -> Sample {
        let (mut io, mut buffer) = connect(place).await;
        let (one, last) = (frame(), last(messages));
        let stopwatch = Stopwatch::start();
        let mut writer = BufWriter::with_capacity(WRITE_BUFFER, &mut io);
        for _ in 0..messages {
            writer.write_all(&one).await.expect("the server reads");
        }
        writer.write_all(last.as_bytes()).await.expect("the server reads");
        writer.flush().await.expect("the server reads");
        expect(&mut io, &mut buffer, b"RECEIPT").await;
        stopwatch.stop(messages)
    }
}

pub(super) mod ws {
    use futures_util::{SinkExt, StreamExt};
    use tokio::net::TcpStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
    use tokio_tungstenite::{WebSocketStream, client_async_with_config};

    use super::{CONNECT, Flood, WRITE_BUFFER, frame, last};
    use crate::session::Place;
    use crate::session::cpu::{Sample, Stopwatch};
    use crate::session::raw::ws::{expect, feed_all};

    async fn connect(place: Place, read_buffer: Option<usize>) -> WebSocketStream<TcpStream> {
        let socket = TcpStream::connect(place.address()).await.expect("the server listens");
        socket.set_nodelay(true).expect("an open socket");
        let mut config = WebSocketConfig::default();
        if let Some(read_buffer) = read_buffer {
            config = config.read_buffer_size(read_buffer).write_buffer_size(WRITE_BUFFER);
        }
        let upgraded = client_async_with_config(place.url(), socket, Some(config)).await;
        let (mut ws, _) = upgraded.expect("the server upgrades");
        ws.send(Message::text(CONNECT)).await.expect("the server reads");
        expect(&mut ws, b"CONNECTED").await;
        ws
    }

    /// Reads until all has come.
    pub(in crate::transport) async fn receive(
        place: Place,
        flood: Flood,
        read_buffer: Option<usize>,
    ) -> Sample {
        let mut ws = connect(place, read_buffer).await;
        let stopwatch = Stopwatch::start();
        ws.send(Message::text(flood.subscribe())).await.expect("the server reads");
        let mut octets = 0;
        while octets < flood.octets {
            octets += ws.next().await.expect("messages come").expect("in order").len();
        }
        let sample = stopwatch.stop(flood.messages);
        assert_eq!(octets, flood.octets);
        sample
    }

    /// Feeds messages and flushes once, at the end.
    pub(in crate::transport) async fn send(place: Place, messages: usize) -> Sample {
        let mut ws = connect(place, Some(super::BUFFER)).await;
        feed_all(&mut ws, messages, message(), Message::text(last(messages))).await
    }

    /// Flushes behind each.
    pub(in crate::transport) async fn send_each(place: Place, messages: usize) -> Sample {
        let mut ws = connect(place, Some(super::BUFFER)).await;
        let (one, last) = (message(), Message::text(last(messages)));
        let stopwatch = Stopwatch::start();
        for _ in 0..messages {
            ws.send(one.clone()).await.expect("the server reads");
        }
        ws.send(last).await.expect("the server reads");
        expect(&mut ws, b"RECEIPT").await;
        stopwatch.stop(messages)
    }

    fn message() -> Message {
        Message::text(String::from_utf8(frame().to_vec()).expect("it is text"))
    }
}
