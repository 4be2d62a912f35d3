//! Numbers. What cannot be read as one counts as 0, as in Sprig; `int64` wraps around, as Go's does.

use super::{Arguments, Function, Made, function};
use crate::template::{
    show::{float, shown},
    value::Value,
    work::Fail,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("add VALUE..", |a| {
        Ok(whole(a.from(0).iter().fold(0, |sum, value| sum.wrapping_add(int(value)))))
    }),
    function("add1 VALUE", |a| Ok(whole(int(a.value(0)).wrapping_add(1)))),
    function("sub VALUE VALUE", |a| Ok(whole(int(a.value(0)).wrapping_sub(int(a.value(1)))))),
    function("mul VALUE VALUE..", |a| {
        Ok(whole(a.from(0).iter().fold(1, |product, value| product.wrapping_mul(int(value)))))
    }),
    function("div VALUE VALUE", |a| match int(a.value(1)) {
        0 => a.refuse("nothing is divided by 0"),
        by => Ok(whole(int(a.value(0)).wrapping_div(by))),
    }),
    function("mod VALUE VALUE", |a| match int(a.value(1)) {
        0 => a.refuse("nothing is divided by 0"),
        by => Ok(whole(int(a.value(0)).wrapping_rem(by))),
    }),
    function("max VALUE VALUE..", |a| Ok(whole(a.from(0).iter().map(int).max().unwrap_or(0)))),
    function("biggest VALUE VALUE..", |a| Ok(whole(a.from(0).iter().map(int).max().unwrap_or(0)))),
    function("min VALUE VALUE..", |a| Ok(whole(a.from(0).iter().map(int).min().unwrap_or(0)))),
    function("maxf VALUE VALUE..", |a| Ok(real(a.from(0).iter().map(num).fold(f64::NEG_INFINITY, f64::max)))),
    function("minf VALUE VALUE..", |a| Ok(real(a.from(0).iter().map(num).fold(f64::INFINITY, f64::min)))),
    function("floor VALUE", |a| Ok(real(num(a.value(0)).floor()))),
    function("ceil VALUE", |a| Ok(real(num(a.value(0)).ceil()))),
    function("round VALUE PLACES [FROM]", round),
    function("addf VALUE..", |a| decimal(a, Decimal::ZERO, a.from(0), Decimal::add, |x, y| x + y)),
    function("add1f VALUE", |a| decimal(a, Decimal::ONE, a.from(0), Decimal::add, |x, y| x + y)),
    function("subf VALUE VALUE..", |a| {
        decimal(a, Decimal::of(num(a.value(0))), a.from(1), |x, y| x.add(y.negative()), |x, y| x - y)
    }),
    function("mulf VALUE VALUE..", |a| {
        decimal(a, Decimal::of(num(a.value(0))), a.from(1), Decimal::multiply, |x, y| x * y)
    }),
    function("divf VALUE VALUE..", |a| {
        if a.from(1).iter().any(|value| num(value) == 0.0) {
            return a.refuse("nothing is divided by 0");
        }
        decimal(a, Decimal::of(num(a.value(0))), a.from(1), Decimal::divide, |x, y| x / y)
    }),
    function("int VALUE", |a| Ok(Value::Int(int(a.value(0))))),
    function("int64 VALUE", |a| Ok(whole(int(a.value(0))))),
    function("float64 VALUE", |a| Ok(real(num(a.value(0))))),
    function("atoi TEXT", |a| Ok(Value::Int(a.text(0)?.parse().unwrap_or(0)))),
    function("toDecimal VALUE", |a| {
        Ok(whole(i64::from_str_radix(&shown(a.value(0), a.work)?, 8).unwrap_or(0)))
    }),
];

fn whole(number: i64) -> Value {
    Value::Int64(number)
}

fn real(number: f64) -> Value {
    Value::Float(number)
}

/// A value as `int64`.
#[allow(clippy::cast_possible_truncation, reason = "Go cuts a float's decimals off, too")]
fn int(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Float(number) => *number as i64,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => literal(without_zero_decimals(text)).unwrap_or(0),
        _ => 0,
    }
}

/// A value as `float64`.
#[allow(clippy::cast_precision_loss, reason = "as Go converts")]
fn num(value: &Value) -> f64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Text(text) => text.parse().unwrap_or(0.0),
        _ => 0.0,
    }
}

/// `1.000` is 1.
fn without_zero_decimals(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

/// A whole number as Go writes literals: `0x1f`, `0b1`, `0o17`, `017`, `1_000`.
fn literal(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.starts_with(['+', '-', '_']) && radix == 10 || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{}{digits}", if negative { "-" } else { "" }), radix).ok()
}

/// To so many places, up from FROM (0.5), as Sprig does: below 0 towards 0.
fn round(a: &Arguments<'_>) -> Made {
    let from = a.values.get(2).map_or(0.5, num);
    #[allow(clippy::cast_precision_loss, reason = "a count of places is small")]
    let places = 10f64.powf(a.whole(1)? as f64);
    let scaled = places * num(a.value(0));
    let rounded = if scaled.fract() >= from { scaled.ceil() } else { scaled.floor() };
    Ok(real(rounded / places))
}

/// A number as its shortest decimal writing says, so that 0.1 and 0.2 are 0.3.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    /// Digits behind the point.
    places: u32,
}

/// Digits behind the point of a quotient.
const QUOTIENT_PLACES: u32 = 16;

impl Decimal {
    const ZERO: Option<Self> = Some(Self { digits: 0, places: 0 });
    const ONE: Option<Self> = Some(Self { digits: 1, places: 0 });

    fn of(number: f64) -> Option<Self> {
        let text = format!("{number}");
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let digits = format!("{whole}{decimals}").parse().ok()?;
        Some(Self { digits, places: u32::try_from(decimals.len()).ok()? })
    }

    fn to(self, places: u32) -> Option<i128> {
        self.digits.checked_mul(10i128.checked_pow(places.checked_sub(self.places)?)?)
    }

    fn add(self, other: Self) -> Option<Self> {
        let places = self.places.max(other.places);
        Some(Self { digits: self.to(places)?.checked_add(other.to(places)?)?, places })
    }

    fn negative(self) -> Self {
        Self { digits: -self.digits, ..self }
    }

    fn multiply(self, other: Self) -> Option<Self> {
        let digits = self.digits.checked_mul(other.digits)?;
        Some(Self { digits, places: self.places + other.places })
    }

    /// Rounded half away from 0.
    fn divide(self, other: Self) -> Option<Self> {
        let dividend = self.to((QUOTIENT_PLACES + other.places + 1).max(self.places))?;
        let scale = (QUOTIENT_PLACES + other.places + 1).max(self.places) - other.places;
        let quotient = dividend.checked_div(other.digits)?;
        let cut = 10i128.checked_pow(scale - QUOTIENT_PLACES)?;
        let half = if quotient < 0 { -cut / 2 } else { cut / 2 };
        Some(Self { digits: (quotient + half) / cut, places: QUOTIENT_PLACES })
    }

    fn value(self) -> f64 {
        format!("{}e-{}", self.digits, self.places).parse().unwrap_or(f64::NAN)
    }
}

/// Folds with decimals; with floats where a number has more digits than that takes.
fn decimal(
    a: &Arguments<'_>,
    start: Option<Decimal>,
    values: &[Value],
    exact: fn(Decimal, Decimal) -> Option<Decimal>,
    near: fn(f64, f64) -> f64,
) -> Made {
    a.work.step(values.len())?;
    let mut sum = start.ok_or_else(|| num(a.value(0)));
    for value in values {
        let number = num(value);
        sum = match sum {
            Ok(so_far) => match Decimal::of(number).and_then(|number| exact(so_far, number)) {
                Some(sum) => Ok(sum),
                None => Err(near(so_far.value(), number)),
            },
            Err(so_far) => Err(near(so_far, number)),
        };
    }
    Ok::<Value, Fail>(real(sum.map_or_else(|float| float, Decimal::value)))
}

/// A float as JSON writes it.
pub(super) fn json_float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        // `1e-09` is written `1e-9`.
        return float(number).replace("e-0", "e-");
    }
    format!("{number}")
}
