//! What the tests against real brokers share: where the brokers are.
//!
//! `cargo xtask test --full` starts the brokers, runs these tests against them and stops the brokers again.

mod rabbitmq;

pub use rabbitmq::RabbitMq;
