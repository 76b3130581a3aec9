use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::TlsConfig;
use super::error;
use crate::{Endpoint, TransportError, TransportErrorKind as Kind};

/// A byte stream with TLS around it, on either side.
///
/// A peer that hangs up without TLS's goodbye (`close_notify`) may have been cut off by somebody between: reading then
/// ends with an error instead of an end.
pub struct TlsStream<IO>(tokio_rustls::TlsStream<IO>);

/// Speaks TLS on a connected byte stream, as a client.
///
/// Of `endpoint` the host is used, as the name that the certificate must have, and the scheme: `ws` and `wss` announce
/// HTTP by ALPN. The handshake has the time that [`TlsConfig::handshake_timeout`] says.
///
/// # Errors
/// Those kinds of [`TransportErrorKind`](Kind) that speak of TLS and certificates; [`InvalidSetting`](Kind::InvalidSetting)
/// if the settings do not go together; [`TimedOut`](Kind::TimedOut).
///
/// # Cancel safety
/// Dropping the future drops the stream.
pub async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    endpoint: &Endpoint,
    config: &TlsConfig,
) -> Result<TlsStream<IO>, TransportError> {
    let name = config.name_for(endpoint)?;
    let client = config.client(matches!(endpoint.scheme(), "ws" | "wss"))?;
    let handshake = TlsConnector::from(client).connect(name, io);
    match timeout(config.timeout(), handshake).await {
        Ok(Ok(stream)) => Ok(TlsStream(stream.into())),
        Ok(Err(error)) => Err(error::connecting(error, endpoint)),
        Err(_) => {
            let (place, limit) = (endpoint.address(), config.timeout());
            let context = format!("{place}: no TLS handshake within {limit:?}; is this its TLS port?");
            Err(TransportError::new(Kind::TimedOut, context))
        }
    }
}

impl<IO> TlsStream<IO> {
    /// What was accepted.
    #[cfg(feature = "server")]
    pub(super) fn accepted(stream: tokio_rustls::server::TlsStream<IO>) -> Self {
        Self(stream.into())
    }

    /// The stream below.
    pub fn get_ref(&self) -> &IO {
        self.0.get_ref().0
    }

    /// The protocol that was agreed on by ALPN.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.get_ref().1.alpn_protocol()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

/// Neither keys nor what is in the buffers.
impl<IO: fmt::Debug> fmt::Debug for TlsStream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("io", self.get_ref()).finish_non_exhaustive()
    }
}
