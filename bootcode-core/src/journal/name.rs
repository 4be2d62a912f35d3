//! Names of streams: they become paths, so nothing in them may lead elsewhere.

use std::{fmt::Write as _, io};

use super::JournalError;

/// Characters of a stream's name: three names of documents or actions and a number.
const STREAM_CHARS: usize = 1024;
/// Characters of one part: what file systems take, less the ending.
const PART_CHARS: usize = 200;

/// Accepts `log/install-node-1/disk-wipe/1`: parts of letters, digits, `-`, `_`, `.`, `:` and spaces, none of them hidden or empty.
///
/// # Errors
/// [`JournalError`] with `InvalidInput`.
pub(super) fn check(stream: &str) -> Result<(), JournalError> {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= PART_CHARS
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_alphanumeric() || "-_.: ".contains(c))
    };
    if stream.len() <= STREAM_CHARS && stream.split('/').all(part) {
        return Ok(());
    }
    let message =
        "a stream's name has parts of letters, digits, `-`, `_`, `.`, `:` and spaces between slashes";
    Err(JournalError {
        stream: stream.chars().take(STREAM_CHARS).collect(),
        source: io::Error::new(io::ErrorKind::InvalidInput, message),
    })
}

/// The stream of an action's log: `log/<workflow>/<action>/<attempt>`. What a path cannot hold of a name is written as `:` and its code.
#[must_use]
pub fn action_log(workflow: &str, action: &str, attempt: u32) -> String {
    format!("{}{}/{attempt}", action_logs(workflow), escaped(action))
}

/// What the streams of all of a workflow's action logs begin with.
#[must_use]
pub fn action_logs(workflow: &str) -> String {
    format!("log/{}/", escaped(workflow))
}

fn escaped(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_alphanumeric() || "-_ ".contains(c) || (c == '.' && !part.is_empty()) {
            part.push(c);
        } else {
            let _ = write!(part, ":{:x}", u32::from(c));
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_log_of_its_own() {
        assert_eq!(action_log("w", "disk-wipe", 1), "log/w/disk-wipe/1");
        assert_eq!(action_log("w", "../a:b", 2), "log/w/:2e.:2fa:3ab/2");
        assert!(check(&action_log("w", "../a\0b", 2)).is_ok());
    }

    #[test]
    fn only_names_that_stay_inside_are_taken() {
        for good in ["log/install-node-1/disk-wipe/1", "timeline/node-1.lab", "log/w/stream root fs/2"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "x".repeat(201);
        for bad in
            ["", "/etc/passwd", "log/../../etc", "log//a", "log/a/", "log/.hidden", "log/a\0b", "a\\b", &long]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
