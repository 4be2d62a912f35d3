//! What no document can know alone: references, uniqueness, addresses within networks, and what a Workflow may ask for.

mod data;
mod hardware;
mod install;
mod links;
mod network;
mod secret;
mod storage;
mod template;
mod unique;
mod workflow;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use super::{
    Document, DocumentSet, Hardware, HardwareSpec, Kind, NetworkSpec, merge,
    profile::merge_values,
    read::read_partly,
    set::{Entry, Spec},
    tinkerbell::adopt,
};
use crate::{
    clock::Timestamp,
    limits::{FAULTS, SUGGESTIONS},
    yaml::{self, Faults, Node, nearest},
};

/// Where documents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An operator's command.
    Operator,
    /// A watched directory, which may ask for less (I12).
    Directory,
}

/// Reads files and checks them against what is stored, so that everything that is wrong is listed at once. Templates that ask for the
/// time are rendered for `now`.
///
/// # Errors
/// Every fault; then nothing may be applied.
pub fn validate<N: AsRef<str>, T: AsRef<str>>(
    files: &[(N, T)],
    existing: &[Document],
    origin: Origin,
    now: Timestamp,
) -> Result<DocumentSet, Faults> {
    let (mut set, mut faults) = read_partly(files);
    faults.extend(adopt(&mut set, existing));
    faults.extend(check(&set, existing, origin, now));
    set.warnings.sort();
    set.warnings.dedup();
    faults.or_ok(set)
}

/// What is wrong with the documents together, and with those that are stored once these are applied.
#[must_use]
pub fn check(new: &DocumentSet, existing: &[Document], origin: Origin, now: Timestamp) -> Faults {
    let replaced: HashSet<(Kind, &str)> =
        new.documents().map(|d| (d.kind, d.metadata.name.as_str())).collect();
    let stored: Vec<Entry> = existing
        .iter()
        .filter(|d| !replaced.contains(&(d.kind, d.metadata.name.as_str())))
        .filter(|d| !new.obsolete.iter().any(|id| id.kind == d.kind && id.name == d.metadata.name))
        .map(Entry::stored)
        .collect();
    let mut checker = Checker::new(&stored, &new.entries);
    network::check(&mut checker);
    hardware::check(&mut checker);
    secret::check(&mut checker);
    data::check(&mut checker, &new.entries);
    install::check(&mut checker, &new.entries, existing, now);
    let faulty = template::check(&mut checker, &new.entries);
    workflow::check(&mut checker, &new.entries, existing, origin, now, &faulty);
    checker.faults.sorted()
}

/// All documents as they would stand, the stored ones first: of two that collide the new one is at fault.
struct Checker<'a> {
    entries: Vec<&'a Entry>,
    by_name: HashMap<(Kind, &'a str), &'a Entry>,
    machines: Vec<(&'a Entry, HardwareSpec)>,
    /// References to nothing, so far.
    missing: usize,
    faults: Faults,
}

impl<'a> Checker<'a> {
    fn new(stored: &'a [Entry], new: &'a [Entry]) -> Self {
        let entries: Vec<&Entry> = stored.iter().chain(new).collect();
        let by_name =
            entries.iter().map(|e| ((e.document.kind, e.document.metadata.name.as_str()), *e)).collect();
        let mut checker =
            Self { entries, by_name, machines: Vec::new(), missing: 0, faults: Faults::default() };
        for entry in checker.entries.clone() {
            if entry.document.kind == Kind::Hardware
                && let Some(spec) = checker.merged(entry)
            {
                checker.machines.push((entry, spec));
            }
        }
        checker
    }

    fn find(&self, kind: Kind, name: &str) -> Option<&'a Entry> {
        self.by_name.get(&(kind, name)).copied()
    }

    /// The document that `path` of `entry` names; a fault where there is none.
    fn reference(&mut self, entry: &Entry, path: &str, kind: Kind, name: &str) -> Option<&'a Entry> {
        let found = self.find(kind, name);
        if found.is_none() && self.faults.len() < FAULTS {
            self.missing += 1;
            let mut fault = entry.fault(path, format_args!("there is no {kind} `{name}`"));
            if self.missing <= SUGGESTIONS {
                let mut names: Vec<&str> =
                    self.by_name.keys().filter(|(k, _)| *k == kind).map(|(_, name)| *name).collect();
                // Of two that are as near the same one is meant each time.
                names.sort_unstable();
                fault.suggestion = nearest(name, names).map(str::to_owned);
            }
            self.faults.push(fault);
        }
        found
    }

    fn network(&self, name: &str) -> Option<&'a NetworkSpec> {
        match &self.find(Kind::Network, name)?.spec {
            Some(Spec::Network(spec)) => Some(spec),
            _ => None,
        }
    }

    /// The machine's spec over its Profile's.
    fn merged(&mut self, entry: &'a Entry) -> Option<HardwareSpec> {
        let profile = match Hardware::profile_of(&entry.document) {
            Some(name) => Some(self.reference(entry, "spec.profile", Kind::Profile, name)?),
            None => None,
        };
        let name = &entry.document.metadata.name;
        match merge(name, profile.map(|p| &p.document.spec), &entry.document.spec) {
            Ok(mut spec) => {
                if let Some(Spec::Profile(profile)) = profile.and_then(|profile| profile.spec.as_ref()) {
                    data::share(&mut spec, profile);
                }
                Some(spec)
            }
            Err(_) => {
                if !entry.faulty && profile.is_none_or(|profile| !profile.faulty) {
                    // Read once more, as nodes, for the paths of all that is wrong.
                    let values = merge_values(profile.map(|p| &p.document.spec), &entry.document.spec);
                    let mut faults = Faults::default();
                    yaml::read::<HardwareSpec>("", "spec", &Node::from_json(&values), &mut faults);
                    for fault in &faults {
                        let message = format!("with its Profile: {}", fault.message);
                        self.faults.push(entry.fault(&fault.path, message));
                    }
                }
                None
            }
        }
    }

    fn fault(&mut self, entry: &Entry, path: &str, message: impl std::fmt::Display) {
        self.faults.push(entry.fault(path, message));
    }
}
