//! What the tests against real brokers share: where the brokers are, and what became of messages.
//!
//! `cargo xtask test --full` starts the brokers, runs these tests against them and stops the brokers again.

mod ledger;
mod rabbitmq;

pub use ledger::{Balance, Books, Ledger};
pub use rabbitmq::{ControlledRabbitMq, RabbitMq};
