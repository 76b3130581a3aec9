use std::fmt;
use std::time::Duration;

/// Two periods: how often a side can send, and how often it wants to hear from the other. Zero means not at all.
///
/// On the wire they are whole milliseconds: a part of one counts as one, and more than 49 days as 49 days.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "the two numbers of the heart-beat header; there is no third")]
pub struct HeartBeat {
    /// At least this often something is sent.
    pub send: Duration,
    /// At least this often something is to be received.
    pub receive: Duration,
}

impl HeartBeat {
    /// No heart-beats in either direction.
    pub const OFF: Self = Self { send: Duration::ZERO, receive: Duration::ZERO };

    /// The same period both ways.
    pub const fn every(period: Duration) -> Self {
        Self { send: period, receive: period }
    }

    /// Reads a `heart-beat` header. Blanks around the numbers are let pass; some servers write them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (send, receive) = text.split_once(',')?;
        Some(Self { send: milliseconds(send)?, receive: milliseconds(receive)? })
    }
}

/// As it stands in a `heart-beat` header.
impl fmt::Display for HeartBeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", whole_milliseconds(self.send), whole_milliseconds(self.receive))
    }
}

fn milliseconds(text: &str) -> Option<Duration> {
    let digits = text.trim_matches(' ');
    // `parse` alone would take a sign.
    let plain = digits.bytes().all(|octet| octet.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).map(Duration::from_millis)
}

fn whole_milliseconds(period: Duration) -> u32 {
    u32::try_from(period.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_two_numbers_and_nothing_else() {
        let parsed = HeartBeat::parse("1000, 0").expect("numbers");
        assert_eq!((parsed.send, parsed.receive), (Duration::from_secs(1), Duration::ZERO));
        for nonsense in
            ["", "1", "1,", ",", "a,b", "-1,0", "+1,0", "1,2,3", "1.5,2", "99999999999999999999,0"]
        {
            assert_eq!(HeartBeat::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_is_written_is_never_less_than_what_was_meant() {
        let text = |send, receive| HeartBeat { send, receive }.to_string();
        assert_eq!(text(Duration::from_micros(1), Duration::from_micros(1500)), "1,2");
        assert_eq!(text(Duration::ZERO, Duration::MAX), "0,4294967295");
    }
}
