//! Heart-beats: what is offered, what comes of it, and when it is time.

use std::time::Duration;

use tokio::time::Instant;

/// What each side can send and wants to receive, in milliseconds; 0 is never.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Offer {
    pub(crate) sends: u64,
    pub(crate) wants: u64,
}

/// What two offers come to, seen from the broker.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Agreed {
    pub(crate) send: Option<Duration>,
    pub(crate) receive: Option<Duration>,
}

/// Keeps the agreement of one connection.
#[derive(Debug)]
pub(crate) struct HeartBeats {
    agreed: Agreed,
    /// How much of the interval passes before something is sent.
    send_after: Option<Duration>,
    last_sent: Instant,
    last_received: Instant,
}

impl Offer {
    pub(crate) fn new(sends: Duration, wants: Duration) -> Self {
        let millis = |interval: Duration| {
            let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
            // An interval that is not zero must not become "never".
            if interval.is_zero() { 0 } else { millis.max(1) }
        };
        Self { sends: millis(sends), wants: millis(wants) }
    }

    /// Reads the value of a `heart-beat` header: two numbers with a comma. Those above 2^64 are as good as 2^64.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |part: &str| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse().unwrap_or(u64::MAX))
        };
        let (sends, wants) = text.split_once(',')?;
        Some(Self { sends: number(sends)?, wants: number(wants)? })
    }

    pub(crate) fn agree(self, client: Self) -> Agreed {
        let interval = |sends: u64, wants: u64| {
            (sends > 0 && wants > 0).then(|| Duration::from_millis(sends.max(wants)))
        };
        Agreed { send: interval(self.sends, client.wants), receive: interval(client.sends, self.wants) }
    }
}

impl HeartBeats {
    /// From now on; `eager` ones send after half of the interval.
    pub(crate) fn new(agreed: Agreed, eager: bool, now: Instant) -> Self {
        // A quarter of the interval is to spare for timers and the network.
        let send_after = agreed.send.map(|every| if eager { every / 2 } else { every - every / 4 });
        Self { agreed, send_after, last_sent: now, last_received: now }
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    pub(crate) fn received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// When something has to be sent.
    pub(crate) fn send_due(&self) -> Option<Instant> {
        self.send_after.and_then(|time| self.last_sent.checked_add(time))
    }

    /// When the client is taken for dead: after twice the interval, because its timers are no better than ours.
    pub(crate) fn silence_due(&self) -> Option<Instant> {
        self.agreed.receive.and_then(|interval| self.last_received.checked_add(interval.checked_mul(2)?))
    }

    pub(crate) fn agreed(&self) -> Agreed {
        self.agreed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_both_sides_counts_and_zero_is_never() {
        let offer = |sends, wants| Offer { sends, wants };
        for (broker, client, send, receive) in [
            ((3000, 2000), (1000, 5000), Some(5000), Some(2000)),
            ((0, 2000), (1000, 5000), None, Some(2000)),
            ((3000, 0), (1000, 5000), Some(5000), None),
            ((3000, 2000), (0, 5000), Some(5000), None),
            ((3000, 2000), (1000, 0), None, Some(2000)),
            ((0, 0), (1, 1), None, None),
        ] {
            let agreed = offer(broker.0, broker.1).agree(offer(client.0, client.1));
            let millis = Duration::from_millis;
            assert_eq!(agreed, Agreed { send: send.map(millis), receive: receive.map(millis) });
        }
    }

    #[test]
    fn only_two_numbers_are_a_heart_beat() {
        assert_eq!(Offer::parse("0,0"), Some(Offer::default()));
        assert_eq!(Offer::parse("1,99999999999999999999999"), Some(Offer { sends: 1, wants: u64::MAX }));
        for text in ["", ",", "1", "1,", ",1", "a,b", "-1,1", "1,+1", "1, 1", "1,1,1", "1.5,1"] {
            assert_eq!(Offer::parse(text), None, "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_interval_is_never_due() {
        let endless = Offer::new(Duration::MAX, Duration::MAX);
        let now = crate::clock::now();
        let beats = HeartBeats::new(endless.agree(endless), false, now);
        let century = Duration::from_secs(100 * 365 * 86_400);
        assert!(beats.silence_due().is_none_or(|due| due > now + century));
        assert!(beats.send_due().is_none_or(|due| due > now + century));
    }
}
