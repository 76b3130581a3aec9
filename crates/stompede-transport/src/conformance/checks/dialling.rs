use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::material::split;
use crate::conformance::line::Far;
use crate::conformance::rig::{Rig, Stop, both, failed, same_bytes};

/// How long a dial that must not happen is waited for.
const A_WHILE: Duration = Duration::from_millis(60);

pub(super) async fn dialling_is_lazy(rig: &Rig<'_>) -> Result<(), Stop> {
    let attempt = rig.suite.connector.connect(rig.suite.endpoint.clone());
    let accepted = rig.clock.limit(A_WHILE, (rig.suite.accept)()).await;
    drop(attempt);
    match accepted {
        None => Ok(()),
        Some(Ok(_)) => Err(failed("a connection came about although nobody had polled the future")),
        Some(Err(error)) => Err(failed(format!(
            "something came although nobody had polled the future, and the peer could not accept it: {error}"
        ))),
    }
}

pub(super) async fn a_dropped_dial_stops(rig: &Rig<'_>) -> Result<(), Stop> {
    let mut attempt = rig.suite.connector.connect(rig.suite.endpoint.clone());
    poll_fn(|cx| {
        // Ready already, or under way: either is dropped.
        let _ = attempt.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    drop(attempt);
    // A connection may have come about below; then it has to end.
    let Some(Ok(peer)) = rig.clock.limit(A_WHILE, (rig.suite.accept)()).await else { return Ok(()) };
    let mut far = Far::new(peer, rig.patience());
    match far.recv().await {
        Ok(_) => Ok(()),
        Err(_) => Err(failed(format!(
            "the future was dropped, and the connection was still there {:?} later",
            rig.suite.patience
        ))),
    }
}

pub(super) async fn each_dial_is_a_connection_of_its_own(rig: &Rig<'_>) -> Result<(), Stop> {
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(rig.dial().await?);
    }
    for (seed, (line, far)) in (0..).zip(&mut connections) {
        let item = split(seed, 100);
        let expected = item.clone().into_bytes();
        let ((), received) = both(line.send(item), far.collect(expected.len())).await?;
        same_bytes(&received, &expected, "the peer of one of several connections")?;
        far.send(expected.clone()).await?;
        same_bytes(&line.collect(expected.len()).await?, &expected, "one of several connections")?;
    }
    Ok(())
}
