use std::path::Path;

use bytes::BytesMut;
use stompede::codec::{Decoder, Encoder, Item};
use stompede::{BoxError, Command, Frame, Limits, Outbox, OutboxFuture, OutboxId, Stored, Version};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

/// An outbox in a file that only grows: a SEND for each message that was appended, an ACK for each that was removed.
pub(crate) struct Journal(Mutex<File>);

/// The name of the message that a frame in the file is about.
const ID: &str = "outbox-id";

impl Journal {
    pub(crate) async fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).await?;
        Ok(Self(Mutex::new(file)))
    }

    /// Once this is ready, the frames outlive the machine's power.
    async fn write(&self, frames: impl Iterator<Item = Frame>) -> Result<(), BoxError> {
        let mut bytes = BytesMut::new();
        for frame in frames {
            Encoder::new(Version::V1_2).encode(&frame, &mut bytes)?;
        }
        let mut file = self.0.lock().await;
        file.write_all(&bytes).await?;
        Ok(file.sync_data().await?)
    }
}

impl Outbox for Journal {
    fn load(&self) -> OutboxFuture<'_, Vec<Stored>> {
        Box::pin(async {
            let (mut bytes, mut decoder) = (Vec::new(), Decoder::new(Limits::default()));
            let mut file = self.0.lock().await;
            file.read_to_end(&mut bytes).await?;
            decoder.set_version(Version::V1_2);
            decoder.push(bytes.into());
            let mut left: Vec<Stored> = Vec::new();
            while let Some(Item::Frame(mut frame)) = decoder.next()? {
                let id: OutboxId = frame.header(ID).ok_or("a frame without its id")?.parse()?;
                frame.headers_mut().remove(ID);
                match frame.command() {
                    Command::Send => left.push(Stored::new(id, frame)),
                    _ => left.retain(|stored| stored.id != id),
                }
            }
            // Half a frame at the end was never appended, and whoever sent it was not told that it is safe.
            let whole = file.metadata().await?.len() - decoder.buffered() as u64;
            file.set_len(whole).await?;
            Ok(left)
        })
    }

    fn append<'a>(&'a self, messages: &'a [Stored]) -> OutboxFuture<'a, ()> {
        let named = |stored: &Stored| stored.frame.clone().with_header(ID, stored.id.to_string());
        Box::pin(self.write(messages.iter().map(named)))
    }

    fn remove<'a>(&'a self, ids: &'a [OutboxId]) -> OutboxFuture<'a, ()> {
        let settled = |id: &OutboxId| Frame::new(Command::Ack).with_header(ID, id.to_string());
        Box::pin(self.write(ids.iter().map(settled)))
    }
}
