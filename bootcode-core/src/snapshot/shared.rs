//! Texts that many machines have alike, kept once.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use crate::{
    document::{HardwareSpec, InstallFiles},
    template::Variable,
};

/// Below this many texts nobody looks for those that no machine has any more.
const SWEPT_FROM: usize = 64;

/// User data, vendor data and install files of all machines: a fleet has a handful, each of some KiB.
#[derive(Debug, Default)]
pub(super) struct Shared {
    texts: Known<Variable>,
    installs: Known<InstallFiles>,
}

/// What some machine has.
#[derive(Debug)]
struct Known<T> {
    all: HashSet<Arc<T>>,
    /// How many there were after the last sweep.
    swept: usize,
}

impl Shared {
    /// Lets a machine share what another one has.
    pub(super) fn share(&mut self, spec: &mut HardwareSpec) {
        for text in [&mut spec.user_data, &mut spec.vendor_data].into_iter().flatten() {
            self.texts.share(text);
        }
        // To look at what nearly no machine has takes no room for it.
        if spec.instance.install.is_some()
            && let Some(files) = &mut spec.instance.install
        {
            self.installs.share(files);
        }
    }
}

impl<T: Eq + Hash> Known<T> {
    fn share(&mut self, one: &mut Arc<T>) {
        if let Some(known) = self.all.get(one) {
            *one = Arc::clone(known);
        } else {
            self.sweep();
            self.all.insert(Arc::clone(one));
        }
    }

    /// Forgets what no machine has any more, each time that there are twice as many.
    fn sweep(&mut self) {
        if self.all.len() >= SWEPT_FROM.max(2 * self.swept) {
            self.all.retain(|one| Arc::strong_count(one) > 1);
            self.swept = self.all.len();
        }
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { all: HashSet::new(), swept: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(text: &str) -> HardwareSpec {
        HardwareSpec { user_data: Some(Arc::new(text.into())), ..HardwareSpec::default() }
    }

    #[test]
    fn equal_texts_are_one_and_those_of_no_machine_go() {
        let mut shared = Shared::default();
        let (mut one, mut other) = (machine("same"), machine("same"));
        shared.share(&mut one);
        shared.share(&mut other);
        assert!(Arc::ptr_eq(one.user_data.as_ref().unwrap(), other.user_data.as_ref().unwrap()));
        for n in 0..10 * SWEPT_FROM {
            shared.share(&mut machine(&n.to_string()));
        }
        assert!(shared.texts.all.len() <= SWEPT_FROM, "{}", shared.texts.all.len());
        let mut third = machine("same");
        shared.share(&mut third);
        assert!(Arc::ptr_eq(one.user_data.as_ref().unwrap(), third.user_data.as_ref().unwrap()), "still had");
    }

    #[test]
    fn equal_install_files_are_one() {
        let machine = |text: &str| -> HardwareSpec {
            serde_json::from_value(serde_json::json!({"instance": {"install": {"ks.cfg": text}}})).unwrap()
        };
        let mut shared = Shared::default();
        let (mut one, mut other, mut third) = (machine("same"), machine("same"), machine("else"));
        [&mut one, &mut other, &mut third].into_iter().for_each(|spec| shared.share(spec));
        let files = |spec: &HardwareSpec| Arc::clone(spec.instance.install.as_ref().unwrap());
        assert!(Arc::ptr_eq(&files(&one), &files(&other)) && !Arc::ptr_eq(&files(&one), &files(&third)));
    }
}
