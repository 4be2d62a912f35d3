//! Texts that many machines have alike, kept once.

use std::{collections::HashSet, sync::Arc};

use crate::{document::HardwareSpec, template::Variable};

/// Below this many texts nobody looks for those that no machine has any more.
const SWEPT_FROM: usize = 64;

/// User data and vendor data of all machines: a fleet has a handful, each of some KiB.
#[derive(Debug, Default)]
pub(super) struct Shared {
    texts: HashSet<Arc<Variable>>,
    /// How many there were after the last sweep.
    swept: usize,
}

impl Shared {
    /// Lets a machine share what another one has.
    pub(super) fn share(&mut self, spec: &mut HardwareSpec) {
        for text in [&mut spec.user_data, &mut spec.vendor_data].into_iter().flatten() {
            if let Some(known) = self.texts.get(text) {
                *text = Arc::clone(known);
            } else {
                self.sweep();
                self.texts.insert(Arc::clone(text));
            }
        }
    }

    /// Forgets what no machine has any more, each time that there are twice as many.
    fn sweep(&mut self) {
        if self.texts.len() >= SWEPT_FROM.max(2 * self.swept) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.swept = self.texts.len();
        }
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
        assert!(shared.texts.len() <= SWEPT_FROM, "{}", shared.texts.len());
        let mut third = machine("same");
        shared.share(&mut third);
        assert!(Arc::ptr_eq(one.user_data.as_ref().unwrap(), third.user_data.as_ref().unwrap()), "still had");
    }
}
