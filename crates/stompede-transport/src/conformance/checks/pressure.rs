use std::task::Poll;
use std::time::{Duration, Instant};

use super::material::{bytes_of, split, whole};
use crate::conformance::line::{Far, Line, works};
use crate::conformance::rig::{Rig, Stop, both, failed, same_bytes};

/// A side that is pending for so long without being woken is blocked; and for so long is counted how often it is.
const A_WHILE: Duration = Duration::from_millis(60);

/// How often a side may be woken in vain in [`A_WHILE`]. TLS and runtimes do it a few times; a busy loop does it
/// thousands of times.
const MAX_WAKES: usize = 16;

pub(super) async fn a_peer_that_does_not_read_pushes_back(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, _far) = rig.dial().await?;
    fill(rig, &mut line).await?;
    Ok(())
}

pub(super) async fn what_was_taken_before_it_was_full_arrives(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let mut expected = fill(rig, &mut line).await?;
    let last = split(50, 1000);
    expected.extend(last.clone().into_bytes());
    let ((), received) = both(line.send(last), far.collect(expected.len())).await?;
    same_bytes(&received, &expected, "the peer")
}

pub(super) async fn reading_goes_on_while_a_write_is_blocked(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    fill(rig, &mut line).await?;
    for seed in 0..3 {
        let bytes = split(seed, 1000).into_bytes();
        far.send(bytes.clone()).await?;
        let received = line.collect(bytes.len()).await;
        let received = received.map_err(|stop| stop.during("while a write was blocked"))?;
        same_bytes(&received, &bytes, "the transport")?;
        // It goes on being asked, as a driver does.
        let _ = (line.poll_ready()?, line.poll_flush()?);
    }
    Ok(())
}

pub(super) async fn each_side_has_a_waker_of_its_own(rig: &Rig<'_>) -> Result<(), Stop> {
    for writer_first in [true, false] {
        let (mut line, mut far) = rig.dial().await?;
        let sent = fill(rig, &mut line).await?;
        let asked = if writer_first {
            (line.poll_ready()?.is_pending(), line.poll_recv()?.is_pending())
        } else {
            let reading = line.poll_recv()?.is_pending();
            (line.poll_ready()?.is_pending(), reading)
        };
        if asked != (true, true) {
            return Err(failed("a blocked, silent connection was ready to read or to write"));
        }
        let (reading, writing) = (line.reading.clone(), line.writing.clone());
        let bytes = split(60, 100).into_bytes();
        far.send(bytes.clone()).await?;
        if !line.woken(&[&reading], rig.suite.patience).await {
            return Err(failed(
                "a reader was not woken by what arrived because a writer was waiting as well",
            ));
        }
        line.collect(bytes.len()).await?;
        line.poll_silence()?;
        let resuming = async {
            if !line.woken(&[&writing], rig.suite.patience).await {
                return Err(failed(
                    "a blocked writer was not woken by the peer's reading because a reader was waiting as well",
                ));
            }
            works("poll_flush", line.flush().await?)
        };
        let ((), received) = both(resuming, far.collect(sent.len())).await?;
        same_bytes(&received, &sent, "the peer")?;
    }
    Ok(())
}

pub(super) async fn an_idle_connection_is_quiet(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    stay_quiet(rig, &mut line, "idle").await?;
    // The same after it has worked.
    let item = whole(70, 1000);
    let bytes = bytes_of(std::slice::from_ref(&item));
    both(line.send(item), far.collect(bytes.len())).await?;
    far.send(bytes.clone().into()).await?;
    line.collect(bytes.len()).await?;
    stay_quiet(rig, &mut line, "idle again").await
}

pub(super) async fn a_blocked_connection_is_quiet(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, _far): (Line<'_>, Far<'_>) = rig.dial().await?;
    fill(rig, &mut line).await?;
    stay_quiet(rig, &mut line, "blocked").await
}

/// Sends to a peer that does not read until there is no more room; what was taken.
async fn fill(rig: &Rig<'_>, line: &mut Line<'_>) -> Result<Vec<u8>, Stop> {
    let mut sent = Vec::new();
    let (mut seed, mut in_vain) = (0, 0);
    let writing = line.writing.clone();
    loop {
        match line.poll_ready()? {
            Poll::Ready(outcome) => {
                works("poll_ready", outcome)?;
                let item = split(seed, 16_000);
                sent.extend(item.clone().into_bytes());
                works("start_send", line.start_send(item)?)?;
                (seed, in_vain) = (seed + 1, 0);
            }
            Poll::Pending => {
                // One that was pending after it had written may have room now. One that is woken all the time is
                // blocked all the same.
                let woken = line.woken(&[&writing], A_WHILE).await;
                if in_vain > 10 * MAX_WAKES || !woken && line.poll_ready()?.is_pending() {
                    return Ok(sent);
                }
                in_vain += 1;
            }
        }
        if sent.len() > rig.suite.max_buffered {
            return Err(failed(format!(
                "poll_ready was still ready after {} bytes that the peer had not read",
                sent.len()
            )));
        }
    }
}

/// Asks whoever was woken, as a driver does, and counts.
#[allow(
    clippy::disallowed_methods,
    reason = "a transport's own timers go by the real clock, and so must the count"
)]
async fn stay_quiet(rig: &Rig<'_>, line: &mut Line<'_>, how: &str) -> Result<(), Stop> {
    let began = Instant::now();
    let before = (line.reading.wakes(), line.writing.wakes());
    let (reading, writing) = (line.reading.clone(), line.writing.clone());
    let watching = async {
        loop {
            line.poll_silence()?;
            // Ready or not: what is blocked stays so, and what is not has nothing to do.
            let _ = (line.poll_ready()?, line.poll_flush()?);
            let wakes = line.reading.wakes() - before.0 + line.writing.wakes() - before.1;
            // By then it is plain, and whoever is always woken never lets others have their turn.
            if wakes > 10 * MAX_WAKES || !line.woken(&[&reading, &writing], A_WHILE).await {
                return Ok(());
            }
        }
    };
    rig.clock.limit(A_WHILE, watching).await.unwrap_or(Ok(()))?;
    let wakes = (reading.wakes() - before.0, writing.wakes() - before.1);
    // On a busy machine the suite's clock goes more slowly than the pings of a WebSocket do.
    let took = began.elapsed();
    let whiles = took.as_nanos().div_ceil(A_WHILE.as_nanos()).max(1);
    let most = MAX_WAKES.saturating_mul(usize::try_from(whiles).unwrap_or(usize::MAX));
    if wakes.0 > most || wakes.1 > most {
        return Err(failed(format!(
            "while {how} for {took:.0?}, the reader was woken {} times and the writer {} times, and nothing had happened",
            wakes.0, wakes.1
        )));
    }
    Ok(())
}
