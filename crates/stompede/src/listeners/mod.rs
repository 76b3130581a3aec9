//! Listeners that many programs need: printing, counting, watching heart-beats, queueing, recording for tests.

mod monitor;
mod printing;
mod queue;
mod recording;
mod statistics;

pub use monitor::HeartbeatMonitor;
pub use printing::PrintingListener;
pub use queue::MessageQueue;
pub use recording::{Heard, RecordingListener, WaitError};
pub use statistics::{Statistics, StatisticsListener};
