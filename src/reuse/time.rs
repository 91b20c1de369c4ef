//! A moment to the second, as the ledger writes it down.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::temporal_conversions::timestamp_s_to_datetime;
use serde::{Deserialize, Serialize};

/// A moment of universal time, from 1970 on, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(u64);

impl Time {
    /// The bits that the seconds of any time have, which is good for five centuries.
    pub const BITS: u32 = 34;

    /// What the clock says.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self::of_seconds(since)
    }

    /// So many seconds after the beginning of 1970.
    pub fn of_seconds(seconds: u64) -> Self {
        Self(seconds.min((1 << Self::BITS) - 1))
    }

    /// The seconds since the beginning of 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

/// As RFC 3339 has it: `2026-11-22T08:30:00Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = timestamp_s_to_datetime(self.0.cast_signed()).unwrap_or_default();
        write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no time from 1970 to 2262; write 2026-11-22T08:30:00Z or 2026-11-22");
        let nanos = string_to_timestamp_nanos(text).map_err(|_| wrong())?;
        u64::try_from(nanos.div_euclid(1_000_000_000)).map(Self::of_seconds).map_err(|_| wrong())
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = text.parse::<Time>().map_or_else(|error| error, |time| time.to_string());
        assert_eq!(shown, expected);
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        check("2026-11-22T08:30:00Z", "2026-11-22T08:30:00Z");
        check("2026-11-22T08:30:00.9Z", "2026-11-22T08:30:00Z");
        check("2026-11-22T08:30:00+02:00", "2026-11-22T06:30:00Z");
        check("2026-11-22", "2026-11-22T00:00:00Z");
        check("1970-01-01", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "now", "2026-13-01", "1969-12-31"] {
            let expected = "` is no time from 1970 to 2262; write 2026-11-22T08:30:00Z or 2026-11-22";
            check(text, &format!("`{text}{expected}"));
        }
    }
}
