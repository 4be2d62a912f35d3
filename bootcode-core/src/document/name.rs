//! Names of documents, and of hosts.

/// Why a name is none, or `None` for a good one: lower-case letters, digits, `-` and `.`, a letter or digit at both ends, at most
/// 63 characters. Such names are host names, file names and parts of URLs.
pub(crate) fn document_name_fault(name: &str) -> Option<String> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let good = name.len() <= 63
        && !name.is_empty()
        && name.bytes().all(inner)
        && name.split('.').all(|part| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-'));
    (!good).then(|| {
        format!(
            "`{}` is no name: use lower-case letters, digits, `-` and `.`, with a letter or digit at both ends, at most 63 characters",
            name.chars().take(80).collect::<String>()
        )
    })
}

/// Why a host name is none (RFC 1123 2.1), or `None` for a good one.
pub(super) fn host_name_fault(name: &str) -> Option<String> {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let good = name.len() <= 253 && name.split('.').all(label);
    (!good).then(|| {
        format!(
            "`{}` is no host name: use letters, digits and `-`, with a letter or digit at both ends of each part",
            name.chars().take(80).collect::<String>()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_that_they_can_stand_in_urls_and_files() {
        for good in ["a", "node-1", "1", "rack.a1", &"a".repeat(63)] {
            assert_eq!(document_name_fault(good), None, "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", ".", "..", "a/b", "a b", "a_b", "ä", &"a".repeat(64)] {
            assert!(document_name_fault(bad).is_some(), "{bad}");
        }
        assert_eq!(host_name_fault("Node-1.example"), None);
        assert!(host_name_fault("node_1").is_some());
    }
}
