//! What an answer means for a download that stands at some byte. No I/O: values in, a verdict out.

/// Bytes of an image: what the server keeps at most.
pub(super) const IMAGE_BYTES: u64 = 64 << 30;

/// What is known of the file that is fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Bytes that came.
    pub(super) received: u64,
    /// Bytes of the whole, once somebody said so.
    pub(super) total: Option<u64>,
    /// What `If-Range` may carry (RFC 9110, 13.1.5): a strong entity tag, else the date of the last change.
    pub(super) validator: Option<String>,
}

/// An answer's head, as far as it matters here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Head<'a> {
    pub(super) status: u16,
    pub(super) length: Option<u64>,
    pub(super) range: Option<&'a str>,
    pub(super) etag: Option<&'a str>,
    pub(super) modified: Option<&'a str>,
}

/// What to do with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its body goes on after `skip` bytes.
    Take { skip: u64, known: Known },
    /// Ask again later.
    Again,
    /// It will not be had.
    Refused,
    /// It has another length than before.
    Changed,
    /// It is more than is kept.
    TooLarge,
}

/// Judges an answer to a request for everything behind what came.
///
/// A whole file in place of a part is taken from where the last one broke off, also under another validator: mirrors behind one name
/// have each their own, and the digest at the end tells whether it was the same file.
pub(super) fn judge(known: &Known, head: Head<'_>) -> Verdict {
    let (skip, total) = match head.status {
        200 => (known.received, head.length),
        206 => match head.range.and_then(range) {
            Some((start, total)) if start == known.received => (0, total),
            _ => return Verdict::Changed,
        },
        408 | 425 | 429 | 500 | 502 | 503 | 504 => return Verdict::Again,
        _ => return Verdict::Refused,
    };
    if known.received > 0 && known.total.is_some() && total.is_some() && total != known.total {
        return Verdict::Changed;
    }
    let total = total.or(known.total);
    if total.is_some_and(|total| total > IMAGE_BYTES) {
        return Verdict::TooLarge;
    }
    let strong = head.etag.filter(|etag| !etag.starts_with("W/"));
    let validator = strong.or(head.modified).map(str::to_owned);
    Verdict::Take { skip, known: Known { received: known.received, total, validator } }
}

/// Start and length of the whole: `bytes 5-9/10`, or `/*` where the length is not known.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((start, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_where_the_last_one_broke_off() {
        let known =
            |received: u64, total: Option<u64>| Known { received, total, validator: Some("\"a\"".into()) };
        let whole = Head { status: 200, length: Some(10), etag: Some("\"a\""), ..Head::default() };
        let part = |range| Head { status: 206, length: Some(5), range: Some(range), ..whole };
        let take = |skip, received| Verdict::Take { skip, known: known(received, Some(10)) };
        assert_eq!(judge(&Known::default(), whole), take(0, 0));
        assert_eq!(judge(&known(5, Some(10)), part("bytes 5-9/10")), take(0, 5));
        assert_eq!(judge(&known(5, Some(10)), part("bytes 5-9/*")), take(0, 5));
        assert_eq!(judge(&known(5, Some(10)), whole), take(5, 5), "a server that speaks no ranges");
        let wrong = ["bytes 4-9/10", "bytes 5-9/11", "bytes */10", "items 5-9/10", ""];
        for range in wrong {
            assert_eq!(judge(&known(5, Some(10)), part(range)), Verdict::Changed, "{range}");
        }
        assert_eq!(judge(&known(5, Some(11)), whole), Verdict::Changed);
        assert_eq!(judge(&known(5, None), Head { status: 206, ..Head::default() }), Verdict::Changed);
        let weak = Head { etag: Some("W/\"a\""), modified: Some("Mon"), ..whole };
        let Verdict::Take { known: of_weak, .. } = judge(&Known::default(), weak) else { panic!() };
        assert_eq!(of_weak.validator.as_deref(), Some("Mon"), "a weak tag cannot go into If-Range");
    }

    #[test]
    fn refusals_are_final_and_troubles_pass() {
        let at = |status| judge(&Known::default(), Head { status, ..Head::default() });
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(at(status), Verdict::Again, "{status}");
        }
        for status in [204, 304, 400, 401, 403, 404, 410, 416, 501] {
            assert_eq!(at(status), Verdict::Refused, "{status}");
        }
        let endless = Head { status: 200, length: Some(IMAGE_BYTES + 1), ..Head::default() };
        assert_eq!(judge(&Known::default(), endless), Verdict::TooLarge);
    }
}
