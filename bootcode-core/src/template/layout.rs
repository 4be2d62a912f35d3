//! Go's layouts of times: `Mon Jan 2 15:04:05 2006` says by example how a time is written.

use jiff::{SignedDuration, Zoned, civil, tz::TimeZone};

use super::work::{Fail, refuse};

/// What a layout is made of, longest first where one begins another.
const PARTS: [&str; 33] = [
    "January",
    "Monday",
    "2006",
    "-07:00:00",
    "Z07:00:00",
    "-070000",
    "Z070000",
    "-07:00",
    "Z07:00",
    "-0700",
    "Z0700",
    "Jan",
    "Mon",
    "MST",
    "002",
    "__2",
    "-07",
    "Z07",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "_2",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// The layout's next part at the beginning of `layout`.
fn part(layout: &str) -> Option<&str> {
    if layout.starts_with(['.', ',']) {
        return fraction(layout);
    }
    let found = PARTS.iter().find(|part| layout.starts_with(**part))?;
    let behind = &layout[found.len()..];
    match *found {
        // `Month` is no `Mon`.
        "Jan" | "Mon" if behind.starts_with(|c: char| c.is_ascii_lowercase()) => None,
        "_2" if behind.starts_with("006") => None,
        found => Some(found),
    }
}

/// `.000` or `.999`, any number of digits, where no other digit follows.
fn fraction(layout: &str) -> Option<&str> {
    let sign = layout[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = layout[1..].len() - layout[1..].trim_start_matches(sign).len();
    let behind = &layout[1 + digits..];
    (digits <= 9 && !behind.starts_with(|c: char| c.is_ascii_digit())).then(|| &layout[..1 + digits])
}

/// The time as the layout writes it.
pub(super) fn format(layout: &str, time: &Zoned) -> Result<String, Fail> {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        let Some(part) = part(rest) else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[part.len()..];
        match part {
            // Go puts the space of `_2006` in front of the year, as it is no padded day.
            "2006" => out.push_str(&format!("{:04}", time.year())),
            "06" => out.push_str(&format!("{:02}", time.year().rem_euclid(100))),
            "January" => out.push_str(&time.strftime("%B").to_string()),
            "Jan" => out.push_str(&time.strftime("%b").to_string()),
            "01" => out.push_str(&format!("{:02}", time.month())),
            "1" => out.push_str(&time.month().to_string()),
            "Monday" => out.push_str(&time.strftime("%A").to_string()),
            "Mon" => out.push_str(&time.strftime("%a").to_string()),
            "02" => out.push_str(&format!("{:02}", time.day())),
            "_2" => out.push_str(&format!("{:2}", time.day())),
            "2" => out.push_str(&time.day().to_string()),
            "002" => out.push_str(&format!("{:03}", time.day_of_year())),
            "__2" => out.push_str(&format!("{:3}", time.day_of_year())),
            "15" => out.push_str(&format!("{:02}", time.hour())),
            "03" => out.push_str(&format!("{:02}", twelve(time.hour()))),
            "3" => out.push_str(&twelve(time.hour()).to_string()),
            "04" => out.push_str(&format!("{:02}", time.minute())),
            "4" => out.push_str(&time.minute().to_string()),
            "05" => out.push_str(&format!("{:02}", time.second())),
            "5" => out.push_str(&time.second().to_string()),
            "PM" => out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
            "pm" => out.push_str(if time.hour() < 12 { "am" } else { "pm" }),
            "MST" => out.push_str(&abbreviation(time)),
            zone if zone.starts_with(['-', 'Z']) => out.push_str(&offset(zone, time)),
            fraction => out.push_str(&nanoseconds(fraction, time)),
        }
        if out.len() > crate::limits::RENDERED_BYTES {
            return Err(Fail::PrintsTooMuch);
        }
    }
    Ok(out)
}

fn twelve(hour: i8) -> i8 {
    if hour % 12 == 0 { 12 } else { hour % 12 }
}

fn abbreviation(time: &Zoned) -> String {
    time.time_zone().to_offset_info(time.timestamp()).abbreviation().to_owned()
}

/// `-0700`, or with `Z` for UTC.
fn offset(part: &str, time: &Zoned) -> String {
    let seconds = time.offset().seconds();
    if part.starts_with('Z') && seconds == 0 {
        return "Z".to_owned();
    }
    let size = seconds.unsigned_abs();
    let colon = if part.contains(':') { ":" } else { "" };
    let mut out = format!("{}{:02}", if seconds < 0 { '-' } else { '+' }, size / 3600);
    let digits = part.chars().filter(char::is_ascii_digit).count();
    if digits >= 4 {
        out.push_str(&format!("{colon}{:02}", size / 60 % 60));
    }
    if digits >= 6 {
        out.push_str(&format!("{colon}{:02}", size % 60));
    }
    out
}

/// `.000` is always written, `.999` without the zeros behind.
fn nanoseconds(part: &str, time: &Zoned) -> String {
    let all = format!("{:09}", time.subsec_nanosecond());
    let digits = &all[..part.len() - 1];
    let digits = if part.ends_with('9') { digits.trim_end_matches('0') } else { digits };
    if digits.is_empty() { String::new() } else { format!("{}{digits}", &part[..1]) }
}

/// A text that the layout describes; what it does not name is the beginning of year 1 in UTC, as in Go.
pub(super) fn parse(layout: &str, text: &str) -> Result<Zoned, Fail> {
    let mut read = Read { year: 0, month: 1, day: 1, ..Read::default() };
    let mut rest = text;
    let mut ahead = layout;
    while let Some(c) = ahead.chars().next() {
        match part(ahead) {
            Some(part) => {
                ahead = &ahead[part.len()..];
                rest = read.take(part, rest).map_or_else(|| refuse(MISFIT), Ok)?;
            }
            None => {
                ahead = &ahead[c.len_utf8()..];
                rest = rest.strip_prefix(c).map_or_else(|| refuse(MISFIT), Ok)?;
            }
        }
    }
    if !rest.is_empty() {
        return refuse(MISFIT);
    }
    read.time().map_or_else(|| refuse("there is no such time"), Ok)
}

const MISFIT: &str = "the text is not written as the layout says";

#[derive(Default)]
struct Read {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<bool>,
    offset_seconds: i32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl Read {
    /// What is behind the part.
    fn take<'a>(&mut self, part: &str, text: &'a str) -> Option<&'a str> {
        match part {
            "2006" => digits(text, 4, 4, &mut self.year),
            "06" => {
                let rest = digits(text, 2, 2, &mut self.year)?;
                self.year += if self.year >= 69 { 1900 } else { 2000 };
                Some(rest)
            }
            "January" | "Jan" => {
                let (n, rest) = name(&MONTHS, text, part == "Jan")?;
                self.month = i8::try_from(n + 1).ok()?;
                Some(rest)
            }
            "Monday" | "Mon" => Some(name(&DAYS, text, part == "Mon")?.1),
            "01" => digits(text, 2, 2, &mut self.month),
            "1" => digits(text, 1, 2, &mut self.month),
            "02" => digits(text, 2, 2, &mut self.day),
            "2" => digits(text, 1, 2, &mut self.day),
            "_2" => digits(text.strip_prefix(' ').unwrap_or(text), 1, 2, &mut self.day),
            "15" => digits(text, 2, 2, &mut self.hour),
            "03" => digits(text, 2, 2, &mut self.hour),
            "3" => digits(text, 1, 2, &mut self.hour),
            "04" => digits(text, 2, 2, &mut self.minute),
            "4" => digits(text, 1, 2, &mut self.minute),
            "05" | "5" => {
                let rest = digits(text, if part == "05" { 2 } else { 1 }, 2, &mut self.second)?;
                // A fraction may follow the seconds though the layout names none.
                self.fraction(rest, false)
            }
            "PM" | "pm" => {
                let (half, rest) = text.split_at_checked(2)?;
                self.afternoon = Some(match half {
                    "AM" | "am" => false,
                    "PM" | "pm" => true,
                    _ => return None,
                });
                Some(rest)
            }
            "MST" => {
                let rest = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
                (text.len() - rest.len() >= 3).then_some(rest)
            }
            "002" | "__2" => None,
            zone if zone.starts_with(['-', 'Z']) => self.zone(zone, text),
            _ => self.fraction(text, true),
        }
    }

    fn fraction<'a>(&mut self, text: &'a str, wanted: bool) -> Option<&'a str> {
        let behind =
            text.strip_prefix(['.', ',']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let Some(behind) = behind else {
            return (!wanted || self.nanosecond != 0 || text.is_empty()).then_some(text);
        };
        let rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &behind[..behind.len() - rest.len()];
        self.nanosecond = format!("{digits:0<9}").get(..9)?.parse().ok()?;
        Some(rest)
    }

    fn zone<'a>(&mut self, part: &str, text: &'a str) -> Option<&'a str> {
        if part.starts_with('Z')
            && let Some(rest) = text.strip_prefix('Z')
        {
            return Some(rest);
        }
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let colons = part.contains(':');
        let mut rest = &text[1..];
        let mut seconds = 0;
        let pairs = part.chars().filter(char::is_ascii_digit).count() / 2;
        for (n, unit) in [3600, 60, 1].into_iter().take(pairs).enumerate() {
            if n > 0 && colons {
                rest = rest.strip_prefix(':')?;
            }
            let mut number = 0i32;
            rest = digits(rest, 2, 2, &mut number)?;
            seconds += number * unit;
        }
        self.offset_seconds = sign * seconds;
        Some(rest)
    }

    fn time(&self) -> Option<Zoned> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let civil = civil::DateTime::new(
            self.year,
            self.month,
            self.day,
            hour,
            self.minute,
            self.second,
            self.nanosecond,
        );
        let zone = match self.offset_seconds {
            0 => TimeZone::UTC,
            seconds => TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?),
        };
        civil.ok()?.to_zoned(zone).ok()
    }
}

/// Between so many digits, as a number.
fn digits<'a, T: std::str::FromStr>(
    text: &'a str,
    least: usize,
    most: usize,
    into: &mut T,
) -> Option<&'a str> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    *into = text[..count].parse().ok()?;
    Some(&text[count..])
}

fn name<'a>(names: &[&str], text: &'a str, short: bool) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(n, name)| {
        let name = if short { &name[..3] } else { name };
        let begin = text.get(..name.len())?;
        begin.eq_ignore_ascii_case(name).then(|| (n, &text[name.len()..]))
    })
}

/// Go's way to write a duration: `1h30m0s`, `1.5s`, `0s`.
pub(super) fn duration(duration: SignedDuration) -> String {
    let nanoseconds = duration.as_nanos();
    let size = nanoseconds.unsigned_abs();
    if size == 0 {
        return "0s".to_owned();
    }
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let decimal = |number: u128, unit: u128| {
        let fraction = format!("{:0width$}", number % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() || unit == 1 { String::new() } else { format!(".{fraction}") };
        format!("{}{point}", number / unit)
    };
    match size {
        0..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(size, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(size, 1_000_000)),
        _ => {
            let seconds = decimal(size % 60_000_000_000, 1_000_000_000);
            let minutes = size / 60_000_000_000;
            match minutes {
                0 => format!("{sign}{seconds}s"),
                1..60 => format!("{sign}{minutes}m{seconds}s"),
                _ => format!("{sign}{}h{}m{seconds}s", minutes / 60, minutes % 60),
            }
        }
    }
}

/// `-1h30m`, `1.5s`, `300ms`.
pub(super) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut sum = 0f64;
    if rest.is_empty() || rest.len() > 64 {
        return None;
    }
    let mut whole = 0i128;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, behind) = rest.split_at(number);
        let unit = behind.len() - behind.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.').len();
        let (unit, behind) = behind.split_at(unit);
        let size = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (digits, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if digits.is_empty() && fraction.is_empty() {
            return None;
        }
        let digits: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        whole = whole.checked_add(digits.checked_mul(size)?)?;
        if !fraction.is_empty() {
            let fraction: f64 = format!("0.{fraction}").parse().ok()?;
            #[allow(clippy::cast_precision_loss, reason = "a unit is small")]
            {
                sum += fraction * size as f64;
            }
        }
        rest = behind;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below one unit each")]
    let all = whole.checked_add(sum as i128)?;
    i64::try_from(if negative { -all } else { all }).ok().map(SignedDuration::from_nanos)
}
