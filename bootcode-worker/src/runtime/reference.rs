//! Names of images.

use std::fmt;

/// An image: its name, and its digest where the server's registry holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageRef {
    /// As the template names it: `disk-wipe:v3`.
    pub name: String,
    /// The manifest's digest, `sha256:<hex>`.
    pub digest: Option<String>,
}

/// A name that is no image's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not the name of an image: {why}")]
pub struct ReferenceError {
    /// As it was given.
    pub name: String,
    /// What is wrong.
    pub why: &'static str,
}

impl ImageRef {
    /// The repository in the server's registry: the name without tag and digest.
    ///
    /// # Errors
    /// Characters that the OCI distribution specification does not allow in a repository.
    pub fn repository(&self) -> Result<&str, ReferenceError> {
        let name = self.name.split('@').next().unwrap_or_default();
        // A colon after the last slash begins the tag; one before it belongs to a registry's port.
        let repository = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => name,
        };
        let fault = |why| ReferenceError { name: self.name.chars().take(200).collect(), why };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
        if repository.is_empty() {
            return Err(fault("it is empty; write name:tag"));
        }
        if !repository.chars().all(allowed) {
            return Err(fault("only a-z, 0-9, `.`, `_`, `-` and `/` may stand in it"));
        }
        if repository.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(fault("a part of its path is empty or begins with a dot"));
        }
        Ok(repository)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_the_name_without_tag_and_digest() {
        for (name, repository) in [
            ("disk-wipe:v3", Some("disk-wipe")),
            ("disk-wipe", Some("disk-wipe")),
            ("team/tools/wipe:1.0", Some("team/tools/wipe")),
            ("disk-wipe@sha256:aa", Some("disk-wipe")),
            ("disk-wipe:v3@sha256:aa", Some("disk-wipe")),
            ("registry.example:5000/a", Some("registry.example:5000/a")),
            ("", None),
            (":v3", None),
            ("../../etc", None),
            ("a//b", None),
            ("A", None),
            ("a b", None),
            ("a?x=1", None),
        ] {
            let image = ImageRef { name: name.into(), digest: None };
            assert_eq!(image.repository().ok(), repository, "{name}");
        }
    }
}
