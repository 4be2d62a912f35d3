//! Durations as people write them: `24h`, `90s`, `1h 30m`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Writes jiff's friendly form.
///
/// # Errors
/// Those of the serialiser.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let signed = jiff::SignedDuration::try_from(*duration).map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&format_args!("{signed:#}"))
}

/// Reads jiff's friendly form, never negative.
///
/// # Errors
/// Where the text is no duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    use serde::de::Error as _;
    let text = String::deserialize(deserializer)?;
    let fail = || {
        D::Error::custom(format!("`{text}` is no duration: write a number and a unit, as in 24h, 15m or 90s"))
    };
    let signed: jiff::SignedDuration = text.parse().map_err(|_| fail())?;
    Duration::try_from(signed).map_err(|_| fail())
}
