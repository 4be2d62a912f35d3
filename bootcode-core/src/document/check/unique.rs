//! Values that only one may have.

use std::{collections::HashMap, fmt::Display, hash::Hash};

use super::Checker;
use crate::document::Entry;

/// Who has which value.
pub(super) struct Unique<'a, K> {
    what: &'static str,
    owners: HashMap<K, (&'a Entry, String)>,
}

impl<'a, K: Hash + Eq + Display> Unique<'a, K> {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, owners: HashMap::new() }
    }

    /// Takes the value for `path` of `entry`; a fault names its owner where it has one.
    pub(super) fn claim(&mut self, checker: &mut Checker<'_>, entry: &'a Entry, path: &str, value: K) {
        match self.owners.get(&value) {
            None => {
                self.owners.insert(value, (entry, path.to_owned()));
            }
            Some((owner, owner_path)) => {
                let place = owner.fault(owner_path, "");
                let place =
                    if place.line > 0 { format!(" ({}:{})", place.file, place.line) } else { String::new() };
                let (kind, name) = (owner.document.kind, &owner.document.metadata.name);
                let message = format!(
                    "the {} {value} is taken: {owner_path} of {kind} `{name}` has it{place}",
                    self.what
                );
                checker.fault(entry, path, message);
            }
        }
    }
}
