//! Heart-beats and stuck writes, with a clock that only the test moves.

mod common;

use std::time::Duration;

use common::{Rig, SECOND, config, send};
use stompede_session::protocol::{Event, Input};
use stompede_session::{Config, ErrorKind, HeartBeat};

const MS: Duration = Duration::from_millis(1);

fn offering(send: u64, receive: u64) -> Config {
    let mut config = config();
    config.heart_beat =
        HeartBeat { send: Duration::from_millis(send), receive: Duration::from_millis(receive) };
    config
}

fn connected(ours: (u64, u64), theirs: &str) -> Rig {
    Rig::connected_with(offering(ours.0, ours.1), "1.2", &format!("heart-beat:{theirs}\n"))
}

fn died_of(rig: &Rig) -> Option<ErrorKind> {
    let ended = rig.events.iter().any(|event| matches!(event, Event::Closed(_)));
    ended.then(|| rig.end().expect("a cause").kind())
}

#[test]
fn the_offer_stands_in_each_connect_unless_there_is_none() {
    for (ours, expected) in
        [((1000, 0), Some("1000,0")), ((0, 0), None), ((10_000, 20_000), Some("10000,20000"))]
    {
        let mut rig = Rig::dialing(offering(ours.0, ours.1));
        rig.input(Input::Opened { now: rig.now });
        assert_eq!(rig.frame().header("heart-beat").as_deref(), expected);
    }
}

/// For all combinations of zeros and larger or smaller numbers: who beats how often, and who is missed when.
#[test]
fn both_directions_keep_what_was_negotiated_in_every_combination() {
    let values: [u64; 4] = [0, 400, 1000, 3000];
    for (ours_send, ours_receive) in pairs(&values) {
        for (theirs_send, theirs_receive) in pairs(&values) {
            let case = format!("{ours_send},{ours_receive} against {theirs_send},{theirs_receive}");
            let send = if ours_send * theirs_receive == 0 { 0 } else { ours_send.max(theirs_receive) };
            let receive = if theirs_send * ours_receive == 0 { 0 } else { theirs_send.max(ours_receive) };

            // A peer that is alive: it says something every 300 ms.
            let mut rig = connected((ours_send, ours_receive), &format!("{theirs_send},{theirs_receive}"));
            let agreed = rig.machine.connected().expect("connected").heart_beat();
            assert_eq!((agreed.send, agreed.receive), (MS * send as u32, MS * receive as u32), "{case}");
            for _ in 0..100 {
                rig.advance(300 * MS);
                rig.receive("\n");
            }
            assert_eq!(died_of(&rig), None, "{case}");
            let least = (30_000u64).checked_div(send).unwrap_or(0) as usize;
            let most = (30_000u64 * 4).checked_div(send * 3).unwrap_or(0) as usize;
            assert!((least..=most).contains(&rig.beats), "{case}: {} beats in 30 s", rig.beats);

            // A peer that falls silent.
            let mut rig = connected((ours_send, ours_receive), &format!("{theirs_send},{theirs_receive}"));
            let allowed = MS * (receive as u32 * 3 / 2 + 500);
            rig.advance(if receive == 0 { 600 * SECOND } else { allowed - MS });
            assert_eq!(died_of(&rig), None, "{case}: too early");
            rig.advance(if receive == 0 { Duration::ZERO } else { MS });
            let expected = (receive != 0).then_some(ErrorKind::HeartBeatMissed);
            assert_eq!(died_of(&rig), expected, "{case}");
            assert_eq!(rig.abandoned, receive != 0, "{case}: the socket is dropped at once");
        }
    }
}

fn pairs(values: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    values.iter().flat_map(move |a| values.iter().map(move |b| (*a, *b)))
}

#[test]
fn a_missing_header_and_version_1_0_mean_no_heart_beats() {
    let quiet = Rig::connected_with(offering(1000, 1000), "1.2", "");
    let old = Rig::connected_with(offering(1000, 1000), "1.0", "heart-beat:1000,1000\n");
    for mut rig in [quiet, old] {
        rig.advance(3600 * SECOND);
        assert_eq!((died_of(&rig), rig.beats), (None, 0));
    }
}

#[test]
fn nonsense_in_the_header_is_an_error_of_the_peers() {
    for nonsense in ["abc", "1000", "1,2,3", "-1,0", "99999999999999999999999,0", "1000,0x10"] {
        let mut rig = Rig::opened(offering(1000, 1000));
        rig.receive(&format!("CONNECTED\nversion:1.2\nheart-beat:{nonsense}\n\n\0"));
        assert_eq!(died_of(&rig), Some(ErrorKind::Protocol), "{nonsense}");
    }
    let rig = connected((1000, 1000), "18446744073709551615,18446744073709551615");
    assert_eq!(died_of(&rig), None, "large numbers are only large");
}

#[test]
fn part_of_a_large_frame_is_a_sign_of_life() {
    let mut rig = connected((0, 1000), "1000,0");
    rig.receive("MESSAGE\nsubscription:s\nmessage-id:1\ncontent-length:100\n\n");
    for _ in 0..100 {
        rig.advance(1500 * MS);
        rig.receive("x");
    }
    rig.receive("\0");
    assert_eq!(died_of(&rig), None);
    assert!(matches!(rig.events.last(), Some(Event::Unrouted(frame)) if frame.body().len() == 100));
}

#[test]
fn any_write_counts_as_a_beat() {
    let mut rig = connected((1000, 0), "0,1000");
    for _ in 0..50 {
        rig.advance(700 * MS);
        rig.machine.send(&send("/queue/a")).expect("sent");
        rig.frames();
    }
    assert_eq!(rig.beats, 0);
    rig.advance(750 * MS);
    assert_eq!(rig.beats, 1, "three quarters of the period after the last write");
    assert!(matches!(rig.events.last(), Some(Event::HeartBeatSent)));
}

#[test]
fn a_late_timer_first_takes_in_what_has_arrived() {
    // The lid was closed for an hour. The broker's beats of the last seconds wait in the socket.
    let mut rig = connected((0, 1000), "1000,0");
    rig.now += 3600 * SECOND;
    rig.receive("\n");
    rig.input(Input::Timer { now: rig.now });
    assert_eq!(died_of(&rig), None);
    assert!(
        matches!(rig.events[0], Event::HeartBeatLate { gap } if gap == 3600 * SECOND),
        "{:?}",
        rig.events
    );
    assert!(matches!(rig.events[1], Event::HeartBeat { gap } if gap == 3600 * SECOND));
}

#[test]
fn a_clock_that_jumped_grants_one_more_chance_and_no_second() {
    // The timer is reported before the bytes, as a driver might that has just been woken.
    let mut rig = connected((0, 1000), "1000,0");
    rig.now += 3600 * SECOND;
    rig.input(Input::Timer { now: rig.now });
    assert_eq!(died_of(&rig), None, "excused");
    rig.advance(400 * MS);
    rig.receive("\n");
    rig.advance(1999 * MS);
    assert_eq!(died_of(&rig), None, "alive again, with the whole allowance");
    rig.advance(MS);
    assert_eq!(died_of(&rig), Some(ErrorKind::HeartBeatMissed));

    let mut rig = connected((0, 1000), "1000,0");
    rig.now += 3600 * SECOND;
    rig.input(Input::Timer { now: rig.now });
    // However late the second timer is.
    rig.now += 3600 * SECOND;
    rig.input(Input::Timer { now: rig.now });
    assert_eq!(died_of(&rig), Some(ErrorKind::HeartBeatMissed));
}

#[test]
fn a_timer_that_is_late_by_little_excuses_nothing_and_no_slack_still_leaves_a_moment() {
    for (late, excused) in [(499, false), (500, true)] {
        let mut rig = connected((0, 1000), "1000,0");
        rig.now += 2 * SECOND + late * MS;
        rig.input(Input::Timer { now: rig.now });
        assert_eq!(died_of(&rig).is_none(), excused, "{late} ms");
    }
    let mut config = offering(0, 1000);
    config.receive_slack = Duration::ZERO;
    let mut rig = Rig::connected_with(config, "1.2", "heart-beat:1000,0\n");
    rig.now += 3600 * SECOND;
    rig.input(Input::Timer { now: rig.now });
    rig.advance(249 * MS);
    assert_eq!(died_of(&rig), None, "the network stack wakes up as well");
    rig.advance(MS);
    assert_eq!(died_of(&rig), Some(ErrorKind::HeartBeatMissed));
}

#[test]
fn the_timeout_is_told_with_the_measured_silence_before_the_end() {
    let mut rig = connected((0, 1000), "1000,0");
    rig.advance(10 * SECOND);
    let [Event::HeartBeatTimeout { silent_for }, Event::Closed(Some(cause))] = &rig.events[..] else {
        unreachable!("the time-out, then the end: {:?}", rig.events)
    };
    assert_eq!((*silent_for, cause.kind()), (2 * SECOND, ErrorKind::HeartBeatMissed));
}

#[test]
fn gaps_are_measured_and_late_ones_reported() {
    let mut rig = connected((0, 1000), "1000,0");
    rig.advance(900 * MS);
    rig.receive("\n");
    rig.advance(1200 * MS);
    rig.receive("\r\n");
    assert!(
        matches!(
            &rig.events[..],
            [Event::HeartBeat { gap: a }, Event::HeartBeatLate { gap: b }, Event::HeartBeat { gap: c }]
                if *a == 900 * MS && *b == 1200 * MS && *c == 1200 * MS
        ),
        "{:?}",
        rig.events
    );
}

#[test]
fn padding_behind_a_frame_is_no_heart_beat() {
    let mut rig = connected((0, 1000), "1000,0");
    for _ in 0..10 {
        rig.receive("MESSAGE\nsubscription:s\nmessage-id:1\n\nhi\0\n");
    }
    assert!(rig.events.iter().all(|event| matches!(event, Event::Unrouted(_))), "{:?}", rig.events);
}

#[test]
fn a_stuck_write_counts_as_a_dead_peer_although_the_peer_still_talks() {
    let mut config = offering(1000, 1000);
    config.write_timeout = 5 * SECOND;
    let mut rig = Rig::connected_with(config, "1.2", "heart-beat:1000,1000\n");
    // The connection takes a frame and never flushes it.
    rig.machine.send(&send("/queue/a")).expect("sent");
    assert!(rig.machine.poll_transmit(rig.now).is_some());
    rig.drain();
    for _ in 0..9 {
        rig.advance_unwritten(500 * MS);
        rig.receive("\n");
        assert!(rig.machine.poll_transmit(rig.now).is_none(), "no beat queues up behind a stuck write");
    }
    assert_eq!(died_of(&rig), None);
    rig.advance_unwritten(500 * MS);
    assert_eq!(died_of(&rig), Some(ErrorKind::WriteStuck));
}

#[test]
fn a_connection_without_room_is_stuck_as_well_and_progress_is_not() {
    let mut config = offering(0, 0);
    config.write_timeout = 5 * SECOND;
    let mut rig = Rig::connected_with(config, "1.2", "");
    for _ in 0..5 {
        rig.machine.send(&send("/queue/a")).expect("sent");
    }
    // One frame every four seconds: slow, but it moves.
    for _ in 0..4 {
        rig.input(Input::Blocked { now: rig.now });
        rig.advance_unwritten(4 * SECOND);
        assert!(rig.machine.poll_transmit(rig.now).is_some());
        rig.drain();
    }
    assert_eq!(died_of(&rig), None);
    rig.advance_unwritten(5 * SECOND);
    assert_eq!(died_of(&rig), Some(ErrorKind::WriteStuck));
}

#[test]
fn a_large_frame_that_is_taken_piece_by_piece_is_not_stuck() {
    let mut config = offering(1000, 0);
    config.write_timeout = 5 * SECOND;
    config.idle_timeout = Some(10 * SECOND);
    let mut rig = Rig::connected_with(config, "1.2", "heart-beat:0,1000\n");
    rig.machine.send(&send("/queue/a")).expect("sent");
    assert!(rig.machine.poll_transmit(rig.now).is_some());
    rig.drain();
    for _ in 0..10 {
        rig.advance_unwritten(4 * SECOND);
        rig.input(Input::Written { now: rig.now });
        assert!(rig.machine.poll_transmit(rig.now).is_none(), "its pieces are beats enough");
    }
    assert_eq!(died_of(&rig), None);
    rig.advance_unwritten(5 * SECOND);
    assert_eq!(died_of(&rig), Some(ErrorKind::WriteStuck));
}

/// A connection with a buffer takes frames for as long as they fit into that.
#[test]
fn frames_that_are_taken_and_not_written_are_no_progress_where_that_is_told() {
    for tells in [true, false] {
        let mut config = offering(0, 0);
        config.write_timeout = 5 * SECOND;
        let mut rig = Rig::connected_with(config, "1.2", "");
        for frame in 0..10 {
            if rig.machine.send(&send("/queue/a")).is_err() {
                break;
            }
            assert!(rig.machine.poll_transmit(rig.now).is_some());
            if tells && frame == 0 {
                rig.input(Input::Written { now: rig.now });
            }
            rig.drain();
            rig.advance_unwritten(2 * SECOND);
        }
        assert_eq!(died_of(&rig), tells.then_some(ErrorKind::WriteStuck));
    }
}

#[test]
fn what_was_written_where_nothing_waits_keeps_nothing_alive() {
    let mut config = offering(0, 0);
    config.idle_timeout = Some(10 * SECOND);
    let mut rig = Rig::connected_with(config, "1.2", "");
    rig.advance(9 * SECOND);
    rig.input(Input::Written { now: rig.now });
    rig.advance(SECOND);
    assert_eq!(died_of(&rig), Some(ErrorKind::IdleTimedOut));
}

#[test]
fn what_waited_for_room_and_was_withdrawn_holds_no_beat_up() {
    let mut rig = connected((1000, 0), "0,1000");
    let soon = rig.now.checked_add(SECOND);
    rig.machine.send_with_receipt(&mut send("/queue/a"), soon).expect("sent");
    rig.input(Input::Blocked { now: rig.now });
    // Its time is over, and nothing else is to be written.
    rig.advance_unwritten(SECOND);
    assert_eq!((rig.machine.queued_bytes(), rig.beats), (1, 0), "a beat, and nothing else");
    rig.frames();
    rig.advance(3 * SECOND);
    assert_eq!(rig.beats, 5, "every three quarters of a second");
}

/// The connection had no room for it, and when it had it did not want it.
#[test]
fn a_frame_that_is_refused_after_it_was_blocked_holds_no_beat_up() {
    let mut rig = connected((1000, 0), "0,1000");
    rig.machine.send(&send("/queue/a")).expect("sent");
    rig.input(Input::Blocked { now: rig.now });
    assert!(rig.machine.poll_transmit(rig.now).is_some());
    rig.machine.transmit_refused(stompede_transport::TransportError::new(
        stompede_transport::TransportErrorKind::TooLarge,
        "more than a message may hold",
    ));
    rig.drain();
    rig.advance(3 * SECOND);
    assert_eq!(rig.beats, 4, "every three quarters of a second");
}

#[test]
fn a_beat_that_is_never_taken_is_a_stuck_write_too() {
    let mut config = offering(1000, 0);
    config.write_timeout = 5 * SECOND;
    let mut rig = Rig::connected_with(config, "1.2", "heart-beat:0,1000\n");
    rig.advance_unwritten(750 * MS + 5 * SECOND);
    assert_eq!(died_of(&rig), Some(ErrorKind::WriteStuck));
}

#[test]
fn an_idle_connection_is_given_up_if_asked_for_and_beats_do_not_count() {
    let mut config = offering(1000, 1000);
    config.idle_timeout = Some(60 * SECOND);
    let mut rig = Rig::connected_with(config, "1.2", "heart-beat:1000,1000\n");
    let talk = |rig: &mut Rig, seconds| {
        for _ in 0..seconds {
            rig.advance(SECOND);
            rig.receive("\n");
        }
    };
    talk(&mut rig, 59);
    rig.machine.send(&send("/queue/a")).expect("sent");
    rig.frames();
    talk(&mut rig, 59);
    rig.receive("MESSAGE\nsubscription:s\nmessage-id:1\n\nhi\0");
    talk(&mut rig, 59);
    assert_eq!(died_of(&rig), None);
    rig.advance(SECOND);
    assert_eq!(died_of(&rig), Some(ErrorKind::IdleTimedOut));
}

#[test]
fn a_connection_that_carries_one_large_frame_is_not_idle() {
    let mut config = offering(1000, 0);
    config.idle_timeout = Some(10 * SECOND);
    let mut rig = Rig::connected_with(config, "1.2", "heart-beat:0,1000\n");
    rig.receive("\nMESSAGE\nsubscription:s\nmessage-id:1\n\n");
    for _ in 0..5 {
        rig.advance(9 * SECOND);
        rig.receive("a part of it ");
    }
    rig.advance(9 * SECOND);
    assert_eq!(died_of(&rig), None);
    // Half a frame of which nothing more comes is no traffic, whatever else happens.
    rig.input(Input::Taken { now: rig.now });
    rig.advance(SECOND);
    assert_eq!(died_of(&rig), Some(ErrorKind::IdleTimedOut));
}

#[test]
fn settings_that_make_no_sense_are_named() {
    type Change = fn(&mut Config);
    let wrong: [(&str, Change); 6] = [
        ("receive_scale", |config| config.receive_scale = 0.5),
        ("receive_scale", |config| config.receive_scale = f64::NAN),
        ("write_timeout", |config| config.write_timeout = Duration::ZERO),
        ("idle_timeout", |config| config.idle_timeout = Some(Duration::ZERO)),
        ("total_connect_timeout", |config| config.total_connect_timeout = Duration::ZERO),
        ("heart-beat", |config| config.headers.push(("heart-beat".into(), "1,1".into()))),
    ];
    for (name, change) in wrong {
        let mut config = config();
        change(&mut config);
        let error = config.validate().expect_err(name);
        assert!(error.to_string().contains(name), "{error}");
    }
    let mut endless = config();
    endless.receive_slack = Duration::MAX;
    endless.write_timeout = Duration::MAX;
    let mut rig = Rig::connected_with(endless, "1.2", "heart-beat:1,1\n");
    rig.receive("\n");
}

#[test]
fn nothing_is_no_sign_of_life() {
    let mut rig = connected((0, 1000), "1000,0");
    for _ in 0..3 {
        rig.receive("");
        rig.advance(900 * MS);
    }
    assert_eq!(died_of(&rig), Some(ErrorKind::HeartBeatMissed));
}
