//! What an answer means for a fetch that stands at some byte. No I/O: values in, a verdict out.

/// What is known of the file that is being fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Bytes that have come and are hashed.
    pub(super) received: u64,
    /// Bytes of the whole, once somebody said so.
    pub(super) total: Option<u64>,
    /// What `If-Range` may carry: a strong etag, else the modification date.
    pub(super) validator: Option<String>,
}

/// The head of an answer, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) status: u16,
    pub(super) length: Option<u64>,
    pub(super) range: Option<&'a str>,
    pub(super) etag: Option<&'a str>,
    pub(super) modified: Option<&'a str>,
}

/// What to do with the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Take the body, dropping its first `skip` bytes, which have come before.
    Take { skip: u64, known: Known },
    /// The server is not ready; ask again.
    Again,
    /// Asking again changes nothing.
    Refused,
    /// Another file stands there now.
    Changed,
    /// A partial answer that was not asked for.
    WrongRange,
    /// The whole has this many bytes, which is not what is known.
    WrongSize { found: u64 },
}

/// Judges an answer (RFC 9110 sections 13.1.5, 14.2 to 14.4).
pub(super) fn judge(known: &Known, head: &Head<'_>) -> Verdict {
    let validator = validator(head);
    let (skip, total) = match head.status {
        200 => (known.received, head.length),
        206 => match head.range.and_then(content_range) {
            Some((start, total)) if start == known.received => (0, total),
            _ => return Verdict::WrongRange,
        },
        // What was asked for lies beyond the end of the file.
        416 => return Verdict::Changed,
        408 | 425 | 429 | 500..=599 => return Verdict::Again,
        _ => return Verdict::Refused,
    };
    let same = |old: &String| validator.as_ref().is_none_or(|new| old == new);
    if known.received > 0 && !known.validator.as_ref().is_none_or(same) {
        return Verdict::Changed;
    }
    match (known.total, total) {
        (Some(expected), Some(found)) if expected != found => return Verdict::WrongSize { found },
        (None, Some(found)) if found < known.received => return Verdict::Changed,
        _ => {}
    }
    let known = Known {
        received: known.received,
        total: known.total.or(total),
        validator: known.validator.clone().or(validator),
    };
    Verdict::Take { skip, known }
}

/// A weak etag must not be used with `If-Range`.
fn validator(head: &Head<'_>) -> Option<String> {
    head.etag.filter(|etag| !etag.starts_with("W/")).or(head.modified).map(ToOwned::to_owned)
}

/// First byte and whole length of `bytes 5-9/10` (the length may be `*`).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((start.parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(received: u64, total: Option<u64>, validator: Option<&str>) -> Known {
        Known { received, total, validator: validator.map(ToOwned::to_owned) }
    }

    fn head<'a>(status: u16, length: Option<u64>, range: Option<&'a str>, etag: Option<&'a str>) -> Head<'a> {
        Head { status, length, range, etag, modified: None }
    }

    #[test]
    fn every_answer_has_one_meaning() {
        let fresh = known(0, Some(10), None);
        let half = known(5, Some(10), Some("\"a\""));
        let take = |skip, received, total, validator| Verdict::Take {
            skip,
            known: known(received, total, validator),
        };
        for (name, known, head, verdict) in [
            ("first", &fresh, head(200, Some(10), None, Some("\"a\"")), take(0, 0, Some(10), Some("\"a\""))),
            ("no length", &fresh, head(200, None, None, None), take(0, 0, Some(10), None)),
            ("weak etag", &fresh, head(200, None, None, Some("W/\"a\"")), take(0, 0, Some(10), None)),
            ("wrong size", &fresh, head(200, Some(9), None, None), Verdict::WrongSize { found: 9 }),
            (
                "resumed",
                &half,
                head(206, None, Some("bytes 5-9/10"), Some("\"a\"")),
                take(0, 5, Some(10), Some("\"a\"")),
            ),
            (
                "unknown whole",
                &half,
                head(206, None, Some("bytes 5-9/*"), None),
                take(0, 5, Some(10), Some("\"a\"")),
            ),
            (
                "no ranges here",
                &half,
                head(200, Some(10), None, Some("\"a\"")),
                take(5, 5, Some(10), Some("\"a\"")),
            ),
            ("replaced", &half, head(200, Some(10), None, Some("\"b\"")), Verdict::Changed),
            (
                "replaced, partial",
                &half,
                head(206, None, Some("bytes 5-9/10"), Some("\"b\"")),
                Verdict::Changed,
            ),
            ("shrunk", &half, head(416, None, None, None), Verdict::Changed),
            ("from elsewhere", &half, head(206, None, Some("bytes 4-9/10"), None), Verdict::WrongRange),
            ("nonsense", &half, head(206, None, Some("lines 5-9/10"), None), Verdict::WrongRange),
            ("unasked", &half, head(206, None, None, None), Verdict::WrongRange),
            ("grown", &half, head(206, None, Some("bytes 5-10/11"), None), Verdict::WrongSize { found: 11 }),
            ("busy", &half, head(503, None, None, None), Verdict::Again),
            ("missing", &half, head(404, None, None, None), Verdict::Refused),
            ("moved", &fresh, head(302, None, None, None), Verdict::Refused),
        ] {
            assert_eq!(judge(known, &head), verdict, "{name}");
        }
    }
}
