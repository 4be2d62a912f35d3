//! Lists and texts of numbers in a row.

use super::{Arguments, Function, Made, function};
use crate::template::{
    value::{Of, Value},
    work::Fail,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("until COUNT", |a| {
        let count = a.whole(0)?;
        list(a, &steps(a, 0, count, if count < 0 { -1 } else { 1 })?)
    }),
    function("untilStep START STOP STEP", |a| list(a, &steps(a, a.whole(0)?, a.whole(1)?, a.whole(2)?)?)),
    function("seq [START] [STEP] [END]", seq),
];

/// From START towards STOP, without it; empty where the step leads away.
fn steps(a: &Arguments<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Fail> {
    let leads = if stop < start { step < 0 } else { step > 0 };
    if !leads {
        return Ok(Vec::new());
    }
    let count = start.abs_diff(stop).div_ceil(step.unsigned_abs());
    a.work.step(usize::try_from(count).unwrap_or(usize::MAX))?;
    let mut numbers = Vec::new();
    let mut at = start;
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        numbers.push(at);
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(numbers)
}

fn list(a: &Arguments<'_>, numbers: &[i64]) -> Made {
    a.work.list(numbers.iter().copied().map(Value::Int).collect(), Of::Int)
}

/// As the shell's `seq`: END, or START END, or START STEP END; a text with spaces between.
fn seq(a: &Arguments<'_>) -> Made {
    let toward = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let numbers = match a.values.len() {
        0 => Vec::new(),
        1 => {
            let end = a.whole(0)?;
            let step = toward(1, end);
            steps(a, 1, end.saturating_add(step), step)?
        }
        2 => {
            let (start, end) = (a.whole(0)?, a.whole(1)?);
            let step = toward(start, end);
            steps(a, start, end.saturating_add(step), step)?
        }
        _ => {
            let (start, step, end) = (a.whole(0)?, a.whole(1)?, a.whole(2)?);
            if end < start && step > 0 {
                Vec::new()
            } else {
                steps(a, start, end.saturating_add(toward(start, end)), step)?
            }
        }
    };
    a.make(numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" "))
}
