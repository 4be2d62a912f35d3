//! Where a field of ours stands in a document of Tinkerbell's.

/// Pairs of paths: ours and theirs.
#[derive(Debug, Clone, Default)]
pub(in crate::document) struct Paths(Vec<(String, String)>);

impl Paths {
    pub(super) fn add(&mut self, ours: impl Into<String>, theirs: impl Into<String>) {
        self.0.push((ours.into(), theirs.into()));
    }

    /// Their path for ours: of the nearest field above it that is known. A document of our own has none, so its paths stay as they are.
    pub(in crate::document) fn theirs(&self, ours: &str) -> String {
        let above = |known: &str| {
            ours.strip_prefix(known).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let known = self.0.iter().filter_map(|(known, theirs)| Some((known.len(), theirs, above(known)?)));
        match known.max_by_key(|(length, ..)| *length) {
            Some((_, theirs, _)) => theirs.clone(),
            None => ours.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_field_above_tells_the_place() {
        let mut paths = Paths::default();
        assert_eq!(paths.theirs("spec.hostname"), "spec.hostname");
        paths.add("spec.interfaces[1]", "spec.interfaces[2]");
        paths.add("spec.interfaces[1].ip", "spec.interfaces[2].dhcp.ip.address");
        for (ours, theirs) in [
            ("spec.interfaces[1].ip", "spec.interfaces[2].dhcp.ip.address"),
            ("spec.interfaces[1].ipx", "spec.interfaces[2]"),
            ("spec.interfaces[1]", "spec.interfaces[2]"),
            ("spec.interfaces[10].ip", "spec.interfaces[10].ip"),
        ] {
            assert_eq!(paths.theirs(ours), theirs);
        }
    }
}
