//! Instances of machines: what a system that a workflow installed calls itself, so that it is configured once.

use crate::{clock::Timestamp, document::first_instance};

/// One of a machine's installations: it begins with the attempt at the first action that writes the machine's disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// Counts from 1 for each machine, over all its workflows: the highest is what the machine is, whatever a clock said.
    pub number: u64,
    /// When the attempt was handed out.
    pub since: Timestamp,
}

impl Instance {
    /// Its id, which no other instance of any machine has: that of a machine whose counting began anew, with a lost or restored store, has
    /// another time. Printable ASCII without a slash, at most 97 characters.
    #[must_use]
    pub fn id(&self, machine: &str) -> String {
        format!("{}-{}-{:08x}", first_instance(machine), self.number, self.since.as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::fixtures::{NODE, at};

    #[test]
    fn an_id_is_of_one_installation_and_is_bounded() {
        let instance = |number, second| Instance { number, since: at(second) };
        assert_eq!(instance(1, 1_800_000_000).id(NODE), "i-node-1-1-6b49d200");
        assert_ne!(instance(1, 1_800_000_000).id(NODE), instance(2, 1_800_000_000).id(NODE));
        assert_ne!(instance(1, 1_800_000_000).id(NODE), instance(1, 1_800_000_001).id(NODE));
        let longest = Instance { number: u64::MAX, since: Timestamp::MAX }.id(&"n".repeat(63));
        assert!(longest.len() <= 97, "{longest}");
    }
}
