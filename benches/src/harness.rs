//! Runs contenders in turn, A B C A B C, on one core, and keeps the times.

use std::time::{Duration, Instant};

/// One way to do the work at hand.
pub(crate) struct Contender<'a, T> {
    pub(crate) name: &'static str,
    run: Box<dyn FnMut() -> T + 'a>,
}

impl<'a, T> Contender<'a, T> {
    pub(crate) fn new(name: &'static str, run: impl FnMut() -> T + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// The times of all contenders: `[contender][round]`.
pub(crate) struct Times(Vec<Vec<f64>>);

/// Runs each contender once, untimed; what it returned.
pub(crate) fn once<T>(contenders: &mut [Contender<'_, T>]) -> Vec<(&'static str, T)> {
    contenders.iter_mut().map(|contender| (contender.name, (contender.run)())).collect()
}

/// Runs all contenders in turn, as many rounds as asked; what they do on this thread counts.
pub(crate) fn interleave<T>(contenders: &mut [Contender<'_, T>], rounds: usize) -> Times {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let started = on_core();
            std::hint::black_box((contender.run)());
            times.push((on_core() - started).max(Duration::from_nanos(1)).as_secs_f64());
        }
    }
    Times(times)
}

/// The same for contenders that time themselves: what they prepare and clear away does not count.
pub(crate) fn interleave_timed(contenders: &mut [Contender<'_, Duration>], rounds: usize) -> Times {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.push((contender.run)().max(Duration::from_nanos(1)).as_secs_f64());
        }
    }
    Times(times)
}

/// The same for contenders that give several figures each: the rounds of each figure.
pub(crate) fn interleave_figures<const N: usize>(
    contenders: &mut [Contender<'_, [f64; N]>],
    rounds: usize,
) -> [Times; N] {
    let mut figures = [(); N].map(|()| vec![Vec::with_capacity(rounds); contenders.len()]);
    for _ in 0..rounds {
        for (at, contender) in contenders.iter_mut().enumerate() {
            for (figures, figure) in figures.iter_mut().zip((contender.run)()) {
                figures[at].push(figure);
            }
        }
    }
    figures.map(Times)
}

impl Times {
    /// The median time of a contender in seconds.
    pub(crate) fn median(&self, contender: usize) -> f64 {
        median(self.0[contender].clone())
    }

    /// How long `this` takes as a multiple of `that`: the median of the quotients of each round.
    ///
    /// Both were run within the same fraction of a second, so what disturbs the machine for longer than that
    /// falls out.
    pub(crate) fn ratio(&self, this: usize, that: usize) -> f64 {
        median(self.0[this].iter().zip(&self.0[that]).map(|(this, that)| this / that).collect())
    }
}

/// The middle one, or the mean of the middle two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Keeps this thread on one core; says which, or that it did not work.
pub(crate) fn pin() -> String {
    // The last one: the first has most of the interrupts.
    let core = core_affinity::get_core_ids().and_then(|cores| cores.into_iter().next_back());
    match core {
        Some(core) if core_affinity::set_for_current(core) => format!("on core {}", core.id),
        _ => "on any core (pinning failed: ratios are less steady)".into(),
    }
}

/// How long this thread has been on a core. On a busy machine it waits for one now and then, which says nothing about what
/// it does there.
#[cfg(target_os = "linux")]
fn on_core() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("Linux has had this clock for ever").into()
}

/// The time on the clock, which is the same where nothing else runs.
#[cfg(not(target_os = "linux"))]
fn on_core() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(now).elapsed()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // The machine was three times as slow in the second round.
        let times = Times(vec![vec![2.0, 6.0, 2.0], vec![1.0, 3.0, 1.0]]);
        assert!((times.ratio(0, 1) - 2.0).abs() < 1e-9);
        assert!((times.median(0) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn waiting_for_a_core_does_not_count() {
        let (waits, works) = (Duration::from_millis(40), Duration::from_millis(10));
        let wait = Contender::new("waits", || std::thread::sleep(waits));
        let work = Contender::new("works", || {
            let started = on_core();
            while on_core() - started < works {}
        });
        let times = interleave(&mut [wait, work], 1);
        assert!(times.median(0) < waits.as_secs_f64() && times.median(1) >= works.as_secs_f64());
    }

    #[test]
    fn contenders_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let mut contenders =
            ["a", "b"].map(|name| Contender::new(name, || order.borrow_mut().push_str(name)));
        interleave(&mut contenders, 3);
        drop(contenders);
        assert_eq!(order.into_inner(), "ababab");
    }
}
