use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::material::{assorted, bytes_of, split, whole};
use crate::TransportError;
use crate::conformance::line::{Line, works};
use crate::conformance::rig::{Rig, Stop, both, failed, same_bytes};

/// How long what was sent may take to the other side, where nobody waits for it.
const A_MOMENT: Duration = Duration::from_millis(20);

/// How often a call is repeated to see whether its answer changes.
const AGAIN: usize = 3;

pub(super) async fn what_came_before_a_close_is_not_lost(rig: &Rig<'_>) -> Result<(), Stop> {
    // It lies ready, the end behind it, before anybody reads.
    let (mut line, mut far) = rig.dial().await?;
    let bytes = split(80, 5000).into_bytes();
    far.send(bytes.clone()).await?;
    far.close().await?;
    rig.clock.sleep(A_MOMENT).await;
    same_bytes(&line.collect_to_end().await?, &bytes, "the transport")?;

    // More than buffers hold.
    let (mut line, mut far) = rig.dial().await?;
    let bytes = split(81, 1_000_000).into_bytes();
    let sending = async {
        far.send(bytes.clone()).await?;
        far.close().await
    };
    let (received, ()) = both(line.collect_to_end(), sending).await?;
    same_bytes(&received, &bytes, "the transport")
}

pub(super) async fn a_close_is_an_orderly_end(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    line.poll_silence()?;
    far.close().await?;
    match line.recv().await? {
        None => Ok(()),
        Some(other) => Err(failed(format!("the peer closed in order, and poll_recv gave {other:?}"))),
    }
}

pub(super) async fn an_abrupt_end_is_an_error(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let bytes = split(82, 100).into_bytes();
    far.send(bytes.clone()).await?;
    line.collect(bytes.len()).await?;
    far.reset()?;
    match line.recv().await? {
        Some(Err(error)) if error.to_string().trim().is_empty() => {
            Err(failed("the error of an abrupt end has no words"))
        }
        Some(Err(_)) => Ok(()),
        None => Err(failed("the peer ended abruptly, and poll_recv took it for an orderly close")),
        Some(Ok(chunk)) => {
            Err(failed(format!("after the end came {} bytes that nobody had sent", chunk.len())))
        }
    }
}

pub(super) async fn the_end_stays_the_end(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    far.close().await?;
    if line.recv().await?.is_some() {
        return Err(failed("a close was no orderly end"));
    }
    for _ in 0..AGAIN {
        match line.poll_recv()? {
            Poll::Ready(None) => {}
            other => return Err(failed(format!("after an orderly end, poll_recv gave {other:?}"))),
        }
    }

    let (mut line, far) = rig.dial().await?;
    if !far.can_reset() {
        return Ok(());
    }
    far.reset()?;
    let Some(Err(error)) = line.recv().await? else {
        return Err(failed("an abrupt end was no error"));
    };
    for _ in 0..AGAIN {
        match line.poll_recv()? {
            Poll::Ready(Some(Err(again))) if again.kind() == error.kind() => {}
            other => {
                return Err(failed(format!("after the error {:?}, poll_recv gave {other:?}", error.kind())));
            }
        }
    }
    Ok(())
}

pub(super) async fn a_failed_write_stays_failed(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, far) = rig.dial().await?;
    far.reset()?;
    let error = fail_writing(rig, &mut line).await?;
    for _ in 0..AGAIN {
        for (name, again) in [("poll_ready", line.poll_ready()?), ("poll_flush", line.poll_flush()?)] {
            match again {
                Poll::Ready(Err(again)) if again.kind() == error.kind() => {}
                other => {
                    return Err(failed(format!("after the error {:?}, {name} gave {other:?}", error.kind())));
                }
            }
        }
    }
    Ok(())
}

pub(super) async fn nothing_panics_after_the_end(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    far.close().await?;
    if line.recv().await?.is_some() {
        return Err(failed("a close was no orderly end"));
    }
    ask_everything(&mut line).await?;

    let (mut line, far) = rig.dial().await?;
    if far.can_reset() {
        far.reset()?;
        line.recv().await?;
        ask_everything(&mut line).await?;
    }
    Ok(())
}

pub(super) async fn what_has_arrived_is_read_after_a_failed_write(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let bytes = split(83, 500).into_bytes();
    far.send(bytes.clone()).await?;
    rig.clock.sleep(A_MOMENT).await;
    far.reset()?;
    fail_writing(rig, &mut line).await?;
    let received = line.collect(bytes.len()).await;
    let received = received.map_err(|stop| stop.during("after a write had failed"))?;
    same_bytes(&received, &bytes, "the transport")
}

pub(super) async fn closing_flushes_and_ends_the_sending_side(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let items = assorted();
    let expected = bytes_of(&items);
    let closing = async {
        line.feed_all(items).await?;
        works("poll_close", line.close().await?)
    };
    let hearing = async {
        let received = far.collect(expected.len()).await?;
        far.hear_end().await?;
        Ok(received)
    };
    let ((), received) = both(closing, hearing).await?;
    same_bytes(&received, &expected, "the peer")
}

pub(super) async fn the_peers_goodbye_ends_a_closed_connection(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let hearing = async {
        far.hear_end().await?;
        far.close().await
    };
    let closing = async { works("poll_close", line.close().await?) };
    both(closing, hearing).await?;
    same_bytes(&line.collect_to_end().await?, &[], "the transport")?;
    ask_everything(&mut line).await
}

pub(super) async fn a_closed_side_still_receives(rig: &Rig<'_>) -> Result<(), Stop> {
    if !rig.suite.half_close {
        return Err(Stop::Skipped("this is not said to close by halves; see Suite::half_close"));
    }
    let (mut line, mut far) = rig.dial().await?;
    works("poll_close", line.close().await?)?;
    let bytes = split(84, 100_000).into_bytes();
    let answering = async {
        far.hear_end().await?;
        far.send(bytes.clone()).await?;
        far.close().await
    };
    let (received, ()) = both(line.collect_to_end(), answering).await?;
    same_bytes(&received, &bytes, "the transport")
}

pub(super) async fn dropping_closes_at_once(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let item = split(85, 10);
    let expected = item.clone().into_bytes();
    both(line.send(item), far.collect(expected.len())).await?;
    drop(line);
    match far.recv().await {
        Ok(None | Some(Err(_))) => Ok(()),
        Ok(Some(Ok(chunk))) => {
            let more: Bytes = chunk;
            Err(failed(format!("the peer received {} bytes that nobody had sent", more.len())))
        }
        Err(_) => Err(failed(format!(
            "the transport was dropped, and the peer saw no end within {:?}",
            rig.suite.patience
        ))),
    }
}

/// Writes to a peer that is gone until that is noticed.
async fn fail_writing(rig: &Rig<'_>, line: &mut Line<'_>) -> Result<TransportError, Stop> {
    let deadline = rig.clock.after(rig.suite.patience);
    for seed in 0.. {
        if let Err(error) = line.ready().await? {
            return Ok(error);
        }
        if let Err(error) = line.start_send(whole(seed, 2000))? {
            return Ok(error);
        }
        if let Err(error) = line.flush().await? {
            return Ok(error);
        }
        rig.clock.sleep(A_MOMENT / 4).await;
        if rig.clock.has_come(deadline) {
            break;
        }
    }
    Err(Stop::Skipped("writing to a peer that had gone never failed"))
}

/// Makes every call once; only a panic is wrong.
async fn ask_everything(line: &mut Line<'_>) -> Result<(), Stop> {
    for _ in 0..2 {
        let _ = line.poll_ready()?;
        let _ = line.start_send(whole(90, 10))?;
        let _ = line.poll_flush()?;
        let _ = line.poll_close()?;
        let _ = line.poll_recv()?;
    }
    Ok(())
}
