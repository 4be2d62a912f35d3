//! Names of container images, by the grammar of distribution/reference.

/// Why this is no reference to an image, or `None` for a good one.
pub(super) fn reference_fault(reference: &str) -> Option<&'static str> {
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Some("a digest is written sha256: and 64 hexadecimal digits");
    }
    // A colon after the last slash begins the tag; one before it is a registry's port.
    let last = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match rest[last..].find(':') {
        Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Some("a tag has 1 to 128 letters, digits, `_`, `.` and `-`");
    }
    let (registry, path) = match path.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), path),
        _ => (None, path),
    };
    if registry.is_some_and(|registry| !is_registry(registry)) {
        return Some("a registry is written as host or host:port");
    }
    if path.is_empty() || path.len() > 255 || !path.split('/').all(is_component) {
        return Some("write a name in lower case, as in disk-wipe:v3 or registry.example/team/disk-wipe:v3");
    }
    None
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn is_tag(tag: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=128).contains(&tag.len()) && tag.bytes().all(inner) && !tag.starts_with(['.', '-'])
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    host.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Lower-case letters and digits; between them `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = component.split(alphanumeric).filter(|separator| !separator.is_empty());
    component.starts_with(alphanumeric)
        && component.ends_with(alphanumeric)
        && separators.into_iter().all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_registries_read_them() {
        let digest = format!("a@sha256:{}", "0a".repeat(32));
        for good in [
            "alpine",
            "disk-wipe:v3",
            "a/b/c",
            "localhost/a",
            "127.0.0.1:5000/a:1",
            "quay.io/tinkerbell/actions/x:latest",
            "a__b",
            "a--b",
            &digest,
            "a:V3_x.y-z",
        ] {
            assert_eq!(reference_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "Alpine",
            "a b",
            "a:",
            "a:-x",
            "/a",
            "a/",
            "a//b",
            "a_",
            "a___b",
            "a..b",
            "a@sha256:12",
            "a@md5:00",
            "a.b:x/c",
            "-a",
            "é",
            ":v3",
            "a:b:c",
        ] {
            assert!(reference_fault(bad).is_some(), "{bad}");
        }
    }
}
