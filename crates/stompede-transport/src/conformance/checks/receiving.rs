use bytes::Bytes;

use super::material::{assorted, bytes_of, cut, split};
use crate::conformance::line::{Far, Line};
use crate::conformance::rig::{Rig, Stop, both, failed, same_bytes};

/// Some of these are within a frame, some are single bytes, some hold several frames.
const SIZES: [usize; 10] = [1, 2, 1, 40, 3, 200, 7, 1, 4000, 20_000];

pub(super) async fn chunks_are_never_empty(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    let bytes = Bytes::from(bytes_of(&assorted()));
    // Whether they are the right bytes is for the next check.
    both(line.collect(bytes.len()), send_all(&mut far, cut(&bytes, &SIZES))).await?;
    Ok(())
}

pub(super) async fn bytes_arrive_in_order_however_they_were_cut(rig: &Rig<'_>) -> Result<(), Stop> {
    let bytes = Bytes::from(bytes_of(&assorted()));
    // Byte by byte, a part of it is enough.
    for (len, sizes) in [(bytes.len(), &SIZES[..]), (300, &[1]), (bytes.len(), &[usize::MAX])] {
        let (mut line, mut far) = rig.dial().await?;
        transfer(&mut line, &mut far, &bytes.slice(..len), sizes).await?;
    }
    Ok(())
}

pub(super) async fn much_arrives_whole(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    transfer(&mut line, &mut far, &split(20, 3_000_000).into_bytes(), &[50_000, 1, 100_000]).await
}

pub(super) async fn a_waiting_reader_is_woken(rig: &Rig<'_>) -> Result<(), Stop> {
    let (mut line, mut far) = rig.dial().await?;
    for seed in 0..5 {
        line.poll_silence()?;
        let bytes = split(seed, 10).into_bytes();
        far.send(bytes.clone()).await?;
        let reading = line.reading.clone();
        if !line.woken(&[&reading], rig.suite.patience).await {
            return Err(failed("poll_recv was pending, bytes arrived, and its waker was never woken"));
        }
        same_bytes(&line.collect(bytes.len()).await?, &bytes, "the transport")?;
    }
    Ok(())
}

async fn transfer(
    line: &mut Line<'_>,
    far: &mut Far<'_>,
    bytes: &Bytes,
    sizes: &[usize],
) -> Result<(), Stop> {
    let (received, ()) = both(line.collect(bytes.len()), send_all(far, cut(bytes, sizes))).await?;
    same_bytes(&received, bytes, "the transport")
}

async fn send_all(far: &mut Far<'_>, pieces: Vec<Bytes>) -> Result<(), Stop> {
    for piece in pieces {
        far.send(piece).await?;
    }
    Ok(())
}
