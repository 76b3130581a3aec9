//! What time a piece of work takes, and how much of it on a core.

use std::fs;
use std::time::Instant;

use crate::harness;

/// Seconds for each message: on the clock, and on the cores by all threads of this process together (NaN where the
/// system does not tell).
pub(crate) type Sample = [f64; 2];

/// Started before the work.
pub(crate) struct Stopwatch {
    started: Instant,
    cpu: Option<u64>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { cpu: cpu(), started: harness::now() }
    }

    /// Stopped after so many messages. The threads that did the work must still be there.
    pub(crate) fn stop(self, messages: usize) -> Sample {
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu = cpu().zip(self.cpu).map_or(f64::NAN, |(now, then)| now.saturating_sub(then) as f64 / 1e9);
        [seconds, cpu].map(|figure| figure / messages as f64)
    }
}

/// Nanoseconds that the threads of this process have been on a core.
///
/// Linux brings the figure of a running thread up to date a few hundred times a second, so it is good for work that
/// takes a tenth of a second.
fn cpu() -> Option<u64> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let on_core = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    // A thread that ends while this looks has no say.
    let sum: u64 = threads.filter_map(|thread| on_core(thread.ok()?)).sum();
    (sum > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn work_takes_time_on_a_core() {
        let stopwatch = Stopwatch::start();
        let worked = std::thread::scope(|scope| {
            scope.spawn(|| (0..200_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n))).join()
        });
        std::hint::black_box(worked).unwrap();
        // The thread has ended and taken its figure along; this one has only waited.
        let [_, gone] = stopwatch.stop(1);
        let stopwatch = Stopwatch::start();
        std::hint::black_box((0..200_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n)));
        let [clock, cpu] = stopwatch.stop(1);
        assert!(cpu > gone && cpu <= 4.0 * clock, "{cpu} s, {gone} s in {clock} s");
    }
}
