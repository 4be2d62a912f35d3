//! Conditional requests (RFC 9110 section 13).

use axum::http::{HeaderMap, HeaderName, header};
use bootcode_core::{clock::Timestamp, files::Blob};
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// The conditions of one request.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    headers: &'a HeaderMap,
}

/// What the conditions say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Answer as asked.
    Holds,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

impl<'a> Conditions<'a> {
    /// Those of a request with these headers.
    #[must_use]
    pub const fn of(headers: &'a HeaderMap) -> Self {
        Self { headers }
    }

    /// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of RFC 9110 13.2.2.
    #[must_use]
    pub fn evaluate(&self, blob: &Blob) -> Precondition {
        if let Some(tags) = self.text(&header::IF_MATCH) {
            if !matches_any(tags, &blob.etag, false) {
                return Precondition::Failed;
            }
        } else if let (Some(since), Some(modified)) = (self.date(&header::IF_UNMODIFIED_SINCE), blob.modified)
            && modified.as_second() > since.as_second()
        {
            return Precondition::Failed;
        }
        if let Some(tags) = self.text(&header::IF_NONE_MATCH) {
            if matches_any(tags, &blob.etag, true) {
                return Precondition::NotModified;
            }
        } else if let (Some(since), Some(modified)) = (self.date(&header::IF_MODIFIED_SINCE), blob.modified)
            && modified.as_second() <= since.as_second()
        {
            return Precondition::NotModified;
        }
        Precondition::Holds
    }

    /// Whether a range may be served: If-Range is absent or names this very version, with a strong tag or the exact date.
    #[must_use]
    pub fn range_is_of(&self, blob: &Blob) -> bool {
        let Some(validator) = self.text(&header::IF_RANGE) else {
            return !self.headers.contains_key(header::IF_RANGE);
        };
        if validator.trim().starts_with(['"', 'W']) && validator.contains('"') {
            return validator.trim() == quoted(&blob.etag);
        }
        blob.modified.is_some_and(|modified| http_date(modified).as_deref() == Some(validator.trim()))
    }

    fn text(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn date(&self, name: &HeaderName) -> Option<Timestamp> {
        DateTimeParser::new().parse_timestamp(self.text(name)?.trim()).ok()
    }
}

/// The entity tag as a header has it.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// An IMF-fixdate (RFC 9110 5.6.7).
pub(super) fn http_date(at: Timestamp) -> Option<String> {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

/// Compares a list of tags; a weak tag never matches strongly (RFC 9110 8.8.3.2).
fn matches_any(list: &str, etag: &str, weak: bool) -> bool {
    let ours = quoted(etag);
    list.split(',').map(str::trim).any(|tag| match tag.strip_prefix("W/") {
        _ if tag == "*" => true,
        Some(tag) => weak && tag == ours,
        None => tag == ours,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn blob() -> Blob {
        let modified = "1994-11-06T08:49:37.5Z".parse().ok();
        Blob { modified, ..Blob::memory("content", "tag") }
    }

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn conditions_are_those_of_the_standard() {
        use Precondition::{Failed, Holds, NotModified};
        for (name, value, expected) in [
            (header::IF_NONE_MATCH, "\"tag\"", NotModified),
            (header::IF_NONE_MATCH, "\"other\", W/\"tag\"", NotModified),
            (header::IF_NONE_MATCH, "*", NotModified),
            (header::IF_NONE_MATCH, "\"other\"", Holds),
            (header::IF_MATCH, "\"tag\"", Holds),
            (header::IF_MATCH, "W/\"tag\"", Failed),
            (header::IF_MATCH, "\"other\"", Failed),
            (header::IF_MODIFIED_SINCE, DATE, NotModified),
            (header::IF_MODIFIED_SINCE, EARLIER, Holds),
            (header::IF_MODIFIED_SINCE, "nonsense", Holds),
            (header::IF_UNMODIFIED_SINCE, DATE, Holds),
            (header::IF_UNMODIFIED_SINCE, EARLIER, Failed),
        ] {
            let headers = headers(name.clone(), value);
            assert_eq!(Conditions::of(&headers).evaluate(&blob()), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_range_is_of_the_version_that_if_range_names() {
        assert!(Conditions::of(&HeaderMap::new()).range_is_of(&blob()));
        for (value, expected) in [
            ("\"tag\"", true),
            ("W/\"tag\"", false),
            ("\"other\"", false),
            (DATE, true),
            (EARLIER, false),
            (LATER, false),
            ("nonsense", false),
        ] {
            let headers = headers(header::IF_RANGE, value);
            assert_eq!(Conditions::of(&headers).range_is_of(&blob()), expected, "{value}");
        }
    }
}
