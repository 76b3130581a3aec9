use bytes::Buf;

use super::material::{assorted, bytes_of, split, whole};
use crate::Outbound;
use crate::conformance::line::works;
use crate::conformance::rig::{Rig, Stop, both, failed, same_bytes};

pub(super) async fn each_item_arrives_as_it_was_encoded(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    for item in assorted() {
        let expected = item.clone().into_bytes();
        let ((), received) = both(line.send(item), far.collect(expected.len())).await?;
        same_bytes(&received, &expected, "the peer")?;
    }
    Ok(())
}

pub(super) async fn an_item_is_one_message(rig: &Rig<'_>) -> Result<(), Stop> {
    if !rig.suite.messages {
        return Err(Stop::Skipped("this is not said to be a message transport; see Suite::messages"));
    }
    let (mut line, mut far) = rig.dial().await?;
    let items = assorted();
    let ((), chunks) = both(line.send_all(items.clone()), far.chunks(bytes_of(&items).len())).await?;
    let sent: Vec<usize> = items.iter().map(Buf::remaining).collect();
    let received: Vec<usize> = chunks.iter().map(bytes::Bytes::len).collect();
    if sent != received {
        return Err(failed(format!("items of {sent:?} bytes arrived as messages of {received:?} bytes")));
    }
    Ok(())
}

pub(super) async fn large_bodies_arrive_whole(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let items = [split(30, 3_000_000), whole(31, 10), split(32, 200_000)];
    let expected = bytes_of(&items);
    let sending = async {
        for item in items {
            line.send(item).await?;
        }
        Ok(())
    };
    let ((), received) = both(sending, far.collect(expected.len())).await?;
    same_bytes(&received, &expected, "the peer")
}

pub(super) async fn many_items_need_one_flush(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let items: Vec<Outbound> = (0..1000)
        .map(|n| match n % 10 {
            0 => Outbound::heart_beat(),
            1..6 => whole(n, 128),
            _ => split(n, 100 * n as usize % 3000),
        })
        .collect();
    let expected = bytes_of(&items);
    let ((), received) = both(line.send_all(items), far.collect(expected.len())).await?;
    same_bytes(&received, &expected, "the peer")
}

/// More of them than any buffer holds, so that the transport has no room in between.
pub(super) async fn frames_that_lie_together_arrive_each_by_itself(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let all: Vec<Vec<Outbound>> = (0..20)
        .map(|batch| (0..50).map(|n| whole(50 * batch + n, 41 * n as usize % 3000)).collect())
        .chain([vec![whole(7, 20_000), whole(8, 70_000), whole(9, 1)]])
        .collect();
    let sending = async {
        for frames in &all {
            let mut frames = frames.iter().map(|frame| frame.clone().into_bytes()).collect();
            works("poll_start_frames", line.start_frames(&mut frames).await?)?;
            if !frames.is_empty() {
                return Err(failed(format!("{} frames were left when it was ready", frames.len())));
            }
        }
        works("poll_flush", line.flush().await?)
    };
    let all: Vec<Outbound> = all.iter().flatten().cloned().collect();
    let expected = bytes_of(&all);
    let ((), chunks) = both(sending, far.chunks(expected.len())).await?;
    same_bytes(&chunks.concat(), &expected, "the peer")?;
    if rig.suite.messages && chunks.len() != all.len() {
        return Err(failed(format!("{} frames arrived as {} messages", all.len(), chunks.len())));
    }
    Ok(())
}

pub(super) async fn what_was_flushed_needs_nothing_more(rig: &Rig<'_>) -> Result<(), Stop> {
    for body in [0, 10, 2000, 200_000] {
        let (mut line, mut far) = rig.dial().await?;
        let items = [Outbound::heart_beat(), split(40, body), whole(41, body)];
        let expected = bytes_of(&items);
        // From the end of the flush on, the transport is not asked again.
        let ((), received) = both(line.send_all(items), far.collect(expected.len())).await?;
        same_bytes(&received, &expected, "the peer")?;
    }
    Ok(())
}

pub(super) async fn flushing_nothing_is_ready(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    works("poll_flush with nothing started", line.flush().await?)?;
    let item = whole(41, 10);
    let ((), _) = both(line.send(item.clone()), far.collect(item.remaining())).await?;
    works("poll_flush with nothing more started", line.flush().await?)
}
