//! Time spans with their unit.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ValueError, from_text, string_schema};

/// Units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A time span in whole milliseconds, written with its units: `500ms`, `2s`, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan {
    milliseconds: u64,
}

impl TimeSpan {
    /// A span of so many milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self { milliseconds }
    }

    /// A span as long as `duration`, less what is shorter than a millisecond.
    #[must_use]
    pub const fn from_duration(duration: Duration) -> Self {
        Self {
            milliseconds: duration
                .as_secs()
                .saturating_mul(1000)
                .saturating_add(duration.subsec_millis() as u64),
        }
    }

    /// As a standard duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.milliseconds
    }
}

impl From<TimeSpan> for Duration {
    fn from(span: TimeSpan) -> Self {
        span.as_duration()
    }
}

/// The shortest form: `90s` becomes `1m30s`.
impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milliseconds == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.milliseconds;
        for (unit, length) in UNITS {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl FromStr for TimeSpan {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || {
            ValueError::new(format!(
                "`{text}` is not a time span: expected whole numbers with units, such as 500ms, 2s or 1h30m"
            ))
        };
        let mut milliseconds = 0_u64;
        let mut rest = text;
        let mut units = UNITS.iter();
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, after) = rest.split_at(digits);
            let unit_length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (word, after) = after.split_at(unit_length);
            // Going on from the last unit refuses `5s2h` and `1s1s`, which are more likely slips than wishes.
            let (_, length) = units.find(|(unit, _)| *unit == word).ok_or_else(wrong)?;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            milliseconds = number
                .checked_mul(*length)
                .and_then(|part| milliseconds.checked_add(part))
                .ok_or_else(|| {
                    ValueError::new(format!("`{text}` is longer than any time span can be"))
                })?;
            rest = after;
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Self { milliseconds }) }
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a time span such as 500ms, 2s or 1h30m")
    }
}

impl JsonSchema for TimeSpan {
    fn schema_name() -> Cow<'static, str> {
        "TimeSpan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        string_schema(
            "Whole numbers with units, such as 500ms, 2s or 1h30m.",
            "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
        )
    }
}
