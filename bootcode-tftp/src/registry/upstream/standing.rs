//! Whether a name has to be asked for upstream. No I/O and no clock.

use std::time::{Duration, Instant};

use crate::registry::{Descriptor, index::UPSTREAM};

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// An operator pushed it, or it came lately: it is given as it is.
    Good,
    /// It came from upstream, which may have another one by now.
    Stale,
    /// It is not here.
    Missing,
}

/// How the name `listed` stands, when upstream was `checked` for it last.
pub(super) fn standing(
    listed: Option<&Descriptor>,
    checked: Option<Instant>,
    now: Instant,
    fresh: Duration,
) -> Standing {
    match listed {
        None => Standing::Missing,
        Some(listed) if !listed.annotations.contains_key(UPSTREAM) => Standing::Good,
        Some(_) if checked.is_some_and(|at| now.saturating_duration_since(at) < fresh) => Standing::Good,
        Some(_) => Standing::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_operators_pushed_is_never_asked_for() {
        let (now, fresh) = (Instant::now(), Duration::from_secs(60));
        let descriptor = |annotation: &str| -> Descriptor {
            serde_json::from_value(
                serde_json::json!({"digest": "d", "size": 1, "annotations": {annotation: "u"}}),
            )
            .unwrap()
        };
        let (ours, theirs) = (descriptor("other"), descriptor(UPSTREAM));
        let late = now + fresh;
        for (listed, checked, at, expected) in [
            (None, None, now, Standing::Missing),
            (None, Some(now), now, Standing::Missing),
            (Some(&ours), None, now, Standing::Good),
            (Some(&theirs), None, now, Standing::Stale),
            (Some(&theirs), Some(now), late - Duration::from_millis(1), Standing::Good),
            (Some(&theirs), Some(now), late, Standing::Stale),
        ] {
            assert_eq!(standing(listed, checked, at, fresh), expected);
        }
    }
}
