//! Secrets: where they are read, and that those that are named are declared.

use super::{Checker, Entry, Kind, Spec};
use crate::{secret::SecretRef, yaml::nearest};

pub(super) fn check(checker: &mut Checker<'_>) {
    for entry in checker.entries.clone() {
        match &entry.spec {
            Some(Spec::Secret(spec)) => {
                for (name, origin) in &spec.keys {
                    if origin.file.is_some() == origin.env.is_some() {
                        let message = "a secret is read from either a `file` or a variable (`env`)";
                        checker.fault(entry, &format!("spec.keys.{name}"), message);
                    }
                }
            }
            Some(Spec::Hardware(spec) | Spec::Profile(spec)) => {
                for (field, data) in [("userData", &spec.user_data), ("vendorData", &spec.vendor_data)] {
                    if let Some(reference) = data.as_ref().and_then(|data| data.as_secret()) {
                        let path = format!("spec.{field}.secretRef");
                        declared(checker, entry, &path, "", reference);
                    }
                }
            }
            _ => {}
        }
    }
}

/// A fault where nobody declares the secret; `whose` says who wants it, where the path does not.
pub(super) fn declared(
    checker: &mut Checker<'_>,
    entry: &Entry,
    path: &str,
    whose: &str,
    reference: &SecretRef,
) {
    let Some(secret) = checker.find(Kind::Secret, reference.document()) else {
        let names = checker.by_name.keys().filter(|(kind, _)| *kind == Kind::Secret).map(|(_, name)| *name);
        let meant = nearest(reference.document(), names).map(str::to_owned);
        let mut fault =
            entry.fault(path, format_args!("{whose}there is no Secret `{}`", reference.document()));
        fault.suggestion = meant;
        return checker.faults.push(fault);
    };
    let Some(Spec::Secret(spec)) = &secret.spec else { return };
    if !spec.keys.contains_key(reference.key()) {
        let message = format!("{whose}Secret `{}` has no key `{}`", reference.document(), reference.key());
        let mut fault = entry.fault(path, message);
        fault.suggestion = nearest(reference.key(), spec.keys.keys().map(String::as_str)).map(str::to_owned);
        checker.faults.push(fault);
    }
}
