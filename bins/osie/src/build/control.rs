//! A package's entry in apt's index (deb822(5)), read without I/O.

/// What the index says of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Of the package file, in hex.
    pub(super) sha256: String,
    /// The first alternative of each dependency, without versions.
    pub(super) depends: Vec<String>,
}

impl Package {
    /// Reads the first paragraph of `text`; `None` when it is not the entry of a package that can be fetched.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let paragraph: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).collect();
        let field = |name: &str| {
            paragraph.iter().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
        };
        let depends = ["Pre-Depends", "Depends"].into_iter().filter_map(field);
        Some(Self {
            name: field("Package")?.to_owned(),
            version: field("Version")?.to_owned(),
            sha256: field("SHA256")?.to_ascii_lowercase(),
            depends: depends.flat_map(|value| value.split(',')).filter_map(first_alternative).collect(),
        })
    }
}

/// `libc6:any (>= 2.34) | other` is `libc6`.
fn first_alternative(dependency: &str) -> Option<String> {
    let first = dependency.split('|').next()?.split_ascii_whitespace().next()?;
    let name = first.split(['(', ':', '[']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gives_version_digest_and_first_alternatives() {
        let text = "Package: crun\nVersion: 1:1.8-1\nPre-Depends: init-system:any\n\
            Depends: libc6 (>= 2.34), libsystemd0 (>= 246) | libelogind0, libcap2(>= 1:2.10)\n\
            Description: x\n more\nSHA256: ABCD\n\nPackage: other\n";
        let package = Package::parse(text).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("crun", "1:1.8-1"));
        assert_eq!(package.sha256, "abcd");
        assert_eq!(package.depends, ["init-system", "libc6", "libsystemd0", "libcap2"]);
    }

    #[test]
    fn what_cannot_be_fetched_is_none() {
        for text in
            ["", "\n", "Package: x\nVersion: 1\n", "Package: x\n\nVersion: 1\nSHA256: a\n", "N: no such\n"]
        {
            assert_eq!(Package::parse(text), None, "{text:?}");
        }
    }
}
