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

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration: write a number and a unit, as in 24h, 15m or 90s")]
pub struct NoDuration {
    /// It.
    pub text: String,
}

/// The duration of this text, never negative.
///
/// # Errors
/// Where the text is no duration.
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    let signed = text.parse::<jiff::SignedDuration>().ok();
    let found = signed.and_then(|signed| Duration::try_from(signed).ok());
    found.ok_or_else(|| NoDuration { text: text.to_owned() })
}

/// Reads jiff's friendly form, never negative.
///
/// # Errors
/// Where the text is no duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
