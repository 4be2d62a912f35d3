//! What machines are given as texts: how long it may be, and that what a Profile gives to many is held once.

use super::{Checker, Entry, Spec};
use crate::{
    document::{HardwareSpec, included::too_long},
    limits::USER_DATA_BYTES,
};

/// User and vendor data within documents have the bound of those in files. Only of new documents: what is stored is served.
pub(super) fn check(checker: &mut Checker<'_>, new: &[Entry]) {
    for entry in new {
        let Some(Spec::Hardware(spec) | Spec::Profile(spec)) = &entry.spec else { continue };
        for (field, data) in [("userData", &spec.user_data), ("vendorData", &spec.vendor_data)] {
            let bytes = data.as_deref().and_then(|data| data.as_text()).map_or(0, str::len);
            if bytes > USER_DATA_BYTES {
                checker.fault(entry, &format!("spec.{field}"), too_long(&format!("`{field}`")));
            }
        }
    }
}

/// What a machine has from its Profile is the Profile's own: a hundred thousand copies of 256 KiB would be more than a server has.
pub(super) fn share(spec: &mut HardwareSpec, profile: &HardwareSpec) {
    for (own, shared) in
        [(&mut spec.user_data, &profile.user_data), (&mut spec.vendor_data, &profile.vendor_data)]
    {
        if own == shared {
            own.clone_from(shared);
        }
    }
    let install = &profile.instance.install;
    if install.is_some() && spec.instance.install == *install {
        spec.instance.install.clone_from(install);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::document::merge;

    #[test]
    fn a_machine_shares_what_its_profile_says_and_has_what_it_says_itself() {
        let profile = json!({"userData": "a", "vendorData": "b", "instance": {"install": {"ks.cfg": "c"}}});
        let typed: HardwareSpec = serde_json::from_value(profile.clone()).unwrap();
        let merged = |own: serde_json::Value| {
            let mut spec = merge("n", Some(&profile), &own).unwrap();
            let before = spec.clone();
            share(&mut spec, &typed);
            assert_eq!(spec, before, "nothing else becomes of it");
            spec
        };
        let same = merged(json!({"hostname": "n"}));
        assert!(Arc::ptr_eq(same.user_data.as_ref().unwrap(), typed.user_data.as_ref().unwrap()));
        assert!(Arc::ptr_eq(same.vendor_data.as_ref().unwrap(), typed.vendor_data.as_ref().unwrap()));
        let installs = [&same, &typed].map(|spec| spec.instance.install.clone().unwrap());
        assert!(Arc::ptr_eq(&installs[0], &installs[1]));
        merged(json!({"userData": "x", "instance": {"install": {"ks.cfg": "y"}}}));
        merged(json!({"vendorData": {"secretRef": "a/b"}, "instance": {"install": {"preseed.cfg": "z"}}}));
    }
}
