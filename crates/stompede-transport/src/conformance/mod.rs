//! A suite that holds a transport to the contract of [`Transport`](crate::Transport), sentence by sentence.
//!
//! Whoever writes a transport runs it in a test of their own. It takes the [`Connector`](crate::Connector) under test,
//! the endpoint to dial, and a way to accept what was dialled: a [`Peer`], which is any other transport that is known to
//! work. For a byte stream that is `from_io` on the accepted stream; `server` accepts TCP and WebSocket.
//!
#![cfg_attr(feature = "tcp", doc = "```")]
#![cfg_attr(not(feature = "tcp"), doc = "```ignore")]
//! use stompede_transport::conformance::{Peer, Suite};
//! use stompede_transport::{Endpoint, from_io};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let endpoint = Endpoint::parse(&format!("mine://{}", listener.local_addr()?))?;
//! let connector =
//!     |endpoint: Endpoint| async move { Ok(from_io(TcpStream::connect(endpoint.authority()).await?)) };
//! let accept = || async { Ok(Peer::new(from_io(listener.accept().await?.0))) };
//!
//! let report = Suite::new(&connector, endpoint, accept).run().await;
//! println!("{report}");
//! assert!(report.passed());
//! # Ok(())
//! # }
//! ```
//!
//! The suite needs no runtime and starts no task. A transport may need one, so it is run inside that. Its own clock is a
//! thread, which ends with the run. A run takes about a second, more if something is wrong and has to be waited for.
//!
//! Wakers are part of what is checked: a method that was pending is asked again only when its waker was woken, reading
//! and writing have a waker each, and how often they are woken for nothing is counted.

mod checks;
mod clock;
mod line;
mod peer;
mod report;
mod rig;
mod suite;

pub use peer::Peer;
pub use report::{Check, Report, Verdict};
pub use suite::Suite;
