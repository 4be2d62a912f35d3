//! `instance: {install: {ks.cfg: ..}}`: the answers that a system's own installer asks for, as Go templates by their names.

use std::collections::{BTreeMap, btree_map};

use serde::{Deserialize, Serialize};

use crate::limits::{INSTALL_BYTES, INSTALL_FILES, INSTALL_NAME_BYTES};

/// Templates by the names at which `/install/<name>` serves them: kickstart, preseed and autoinstall files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstallFiles(BTreeMap<String, String>);

impl InstallFiles {
    /// The template of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The names in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and templates.
    pub fn iter(&self) -> btree_map::Iter<'_, String, String> {
        self.0.iter()
    }

    /// What is wrong with their number and size.
    pub(super) fn fault(&self) -> Option<String> {
        let bytes: usize = self.0.values().map(String::len).sum();
        if self.0.len() > INSTALL_FILES {
            Some(format!("a document has at most {INSTALL_FILES} install files, this has {}", self.0.len()))
        } else if bytes > INSTALL_BYTES {
            Some(format!(
                "the install files of a document have at most {INSTALL_BYTES} bytes together, these have {bytes}"
            ))
        } else {
            None
        }
    }
}

/// Why a name is none, or `None` for a good one. It is a file's name and the last part of a URL that stands on kernel command
/// lines, where nothing is quoted.
pub(super) fn install_name_fault(name: &str) -> Option<String> {
    match name {
        "file" => {
            let remedy = "write what it is called first, as in `install: {ks.cfg: {file: ks.cfg}}`";
            return Some(format!("`install` holds files by their names, and `file` is none: {remedy}"));
        }
        "secretRef" => {
            let remedy = "write hashes and public keys into the templates, or have the machine fetch its secrets once it is installed";
            return Some(format!("an install file is no secret: {remedy}"));
        }
        _ => {}
    }
    let good = name.len() <= INSTALL_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    (!good).then(|| {
        format!(
            "`{}` is no name of an install file: use letters, digits, `.`, `_` and `-`, with a letter or digit first, at most \
             {INSTALL_NAME_BYTES} of them",
            name.chars().take(80).collect::<String>()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_that_they_can_stand_in_urls_on_a_command_line() {
        for good in ["ks.cfg", "preseed.cfg", "user-data", "t", "1", "Autoinstall_2.yaml", &"a".repeat(64)] {
            assert_eq!(install_name_fault(good), None, "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".ks",
            "-a",
            "a/b",
            "a b",
            "a%2f",
            "a?b",
            "a;b",
            "ä",
            "file",
            "secretRef",
            &"a".repeat(65),
        ] {
            assert!(install_name_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn their_number_and_size_are_bounded_to_the_byte() {
        let files = |count: usize, bytes: usize| {
            InstallFiles((0..count).map(|n| (format!("f{n}"), "x".repeat(bytes / count))).collect())
        };
        assert_eq!(files(INSTALL_FILES, INSTALL_BYTES).fault(), None);
        assert!(files(INSTALL_FILES + 1, 0).fault().is_some());
        assert!(files(1, INSTALL_BYTES + 1).fault().is_some());
    }
}
