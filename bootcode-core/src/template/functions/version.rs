//! Versions, as Masterminds' semver package reads and compares them.

use std::rc::Rc;

use semver::{BuildMetadata, Prerelease, Version};

use super::{Arguments, Function, Made, function};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("semver TEXT", |a| match version(a.text(0)?) {
        Some(version) => Ok(Value::Version(Rc::new(version))),
        None => a.refuse("this is no version; write 1.2.3"),
    }),
    function("semverCompare CONSTRAINT VERSION", compare),
];

/// `v1.2.3-rc.1+build`; what is left out of `1.2` counts as 0.
fn version(text: &str) -> Option<Version> {
    let (numbers, prerelease, build) = parts(text)?;
    let mut read = [0; 3];
    for (n, number) in numbers.split('.').enumerate() {
        *read.get_mut(n)? = number.parse().ok()?;
    }
    Some(Version {
        major: read[0],
        minor: read[1],
        patch: read[2],
        pre: Prerelease::new(prerelease).ok()?,
        build: BuildMetadata::new(build).ok()?,
    })
}

fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = text.split_once('+').unwrap_or((text, ""));
    let (numbers, prerelease) = text.split_once('-').unwrap_or((text, ""));
    (!numbers.is_empty()).then_some((numbers, prerelease, build))
}

fn compare(a: &Arguments<'_>) -> Made {
    let Some(version) = version(a.text(1)?) else { return a.refuse("VERSION is no version; write 1.2.3") };
    let text = a.text(0)?;
    a.work.step(text.len())?;
    let mut any = false;
    for alternative in text.split("||") {
        let Some(bounds) = bounds(alternative) else {
            return a.refuse("CONSTRAINT is none; write >= 1.2, < 2");
        };
        // A pre-release is only meant where one is named.
        any |= bounds.iter().all(|bound| bound.holds(&version));
    }
    Ok(Value::Bool(any))
}

/// `>= 1.2.0`.
struct Bound {
    operator: Operator,
    version: Version,
    /// How many numbers are given; the others are any.
    given: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Not,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Tilde,
    Caret,
}

const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::Not),
    (">=", Operator::AtLeast),
    ("=>", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=<", Operator::AtMost),
    ("~>", Operator::Tilde),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("=", Operator::Equal),
];

/// All that must hold: between commas or spaces, or a range `1.2 - 2.3`.
fn bounds(text: &str) -> Option<Vec<Bound>> {
    if let Some((low, high)) = text.split_once(" - ") {
        return Some(vec![bound(&format!(">={}", low.trim()))?, bound(&format!("<={}", high.trim()))?]);
    }
    let mut words: Vec<String> = Vec::new();
    let mut operator = String::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        operator.push_str(word);
        if word.ends_with(|c: char| !"<>=!~^".contains(c)) {
            words.push(std::mem::take(&mut operator));
        }
    }
    if !operator.is_empty() || words.is_empty() {
        return None;
    }
    words.iter().map(|word| bound(word)).collect()
}

fn bound(text: &str) -> Option<Bound> {
    let (text, operator) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((text.strip_prefix(sign)?, *operator)))
        .unwrap_or((text, Operator::Equal));
    let (numbers, prerelease, build) = parts(text)?;
    let is_any = |part: &str| matches!(part, "x" | "X" | "*");
    let given = numbers.split('.').take_while(|part| !is_any(part)).count();
    let plain: Vec<&str> = numbers.split('.').map(|part| if is_any(part) { "0" } else { part }).collect();
    let mut whole = plain.join(".");
    for (sign, part) in [('-', prerelease), ('+', build)] {
        if !part.is_empty() {
            whole.push(sign);
            whole.push_str(part);
        }
    }
    Some(Bound { operator, version: version(&whole)?, given })
}

impl Bound {
    fn holds(&self, version: &Version) -> bool {
        let own = &self.version;
        if !version.pre.is_empty() && own.pre.is_empty() && self.operator != Operator::Not {
            return false;
        }
        let order = version.cmp_precedence(own);
        let same_minor = (version.major, version.minor) == (own.major, own.minor);
        match (self.operator, self.given) {
            (Operator::Equal | Operator::Tilde | Operator::Caret, 0) => true,
            (Operator::Equal | Operator::Tilde | Operator::Caret, 1) => {
                version.major == own.major && order.is_ge()
            }
            (Operator::Equal | Operator::Tilde, 2) => same_minor && order.is_ge(),
            (Operator::Equal, _) => order.is_eq(),
            (Operator::Not, 0) => false,
            (Operator::Not, 1) => version.major != own.major,
            (Operator::Not, 2) => !same_minor,
            (Operator::Not, _) => order.is_ne(),
            (Operator::Tilde, _) => order.is_ge() && same_minor,
            (Operator::Caret, given) => {
                order.is_ge()
                    && version.major == own.major
                    && (own.major > 0
                        || (version.minor == own.minor
                            && (own.minor > 0 || given < 3 || version.patch == own.patch)))
            }
            (Operator::Greater, 0) | (Operator::Less, 0) => false,
            (Operator::AtLeast | Operator::AtMost, 0) => true,
            (Operator::Greater, 1) => version.major > own.major,
            (Operator::Greater, 2) => (version.major, version.minor) > (own.major, own.minor),
            (Operator::Greater, _) => order.is_gt(),
            (Operator::Less, _) => order.is_lt(),
            (Operator::AtLeast, _) => order.is_ge(),
            (Operator::AtMost, 1) => version.major <= own.major,
            (Operator::AtMost, 2) => (version.major, version.minor) <= (own.major, own.minor),
            (Operator::AtMost, _) => order.is_le(),
        }
    }
}
