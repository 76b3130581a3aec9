//! How a builder is told about TLS and proxies.

use crate::ClientBuilder;

impl ClientBuilder {
    /// Whom `wss://` and `tls://` trust, who we are, and which name the certificate must have.
    ///
    /// Unless set, whom the operating system trusts is trusted, and no certificate is shown.
    ///
    /// ```no_run
    /// use stompede::{Client, TlsConfig};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = TlsConfig::new()
    ///     .ca_pem(std::fs::read("ca.pem")?)?
    ///     .client_cert_pem(std::fs::read("client.pem")?, std::fs::read("client.key")?)?;
    /// let client = Client::builder("wss://broker.example.org/ws").tls(tls).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::TlsConfig) -> Self {
        self.wires.tls = Some(config);
        self
    }

    /// Goes to the broker through an HTTP proxy, whatever the URL's scheme.
    ///
    /// ```no_run
    /// use stompede::{Client, Proxy};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let proxy = Proxy::http("proxy.example.org:3128").basic("me", "s3cret");
    /// let client = Client::builder("wss://broker.example.org/ws").proxy(proxy).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "proxy")]
    pub fn proxy(mut self, proxy: crate::Proxy) -> Self {
        self.wires.proxy = Some(proxy);
        self
    }
}
