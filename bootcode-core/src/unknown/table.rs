//! The unknown machines that are remembered, and which of them the store does not know yet.

use std::collections::{BTreeSet, HashMap};

use super::Unknown;
use crate::{
    clock::Timestamp,
    limits::{BATCH_OPERATIONS, UNKNOWN_FRESH_S, UNKNOWN_MACHINES},
    mac::MacAddr,
    store::Batch,
};

/// At most [`UNKNOWN_MACHINES`]; whoever has not asked for longest makes room.
#[derive(Debug, Default)]
pub struct UnknownTable {
    machines: HashMap<MacAddr, Known>,
    oldest: BTreeSet<(Timestamp, MacAddr)>,
    /// To be written, in the order of their addresses.
    changed: BTreeSet<MacAddr>,
    /// In the store, and to be deleted there.
    dropped: BTreeSet<MacAddr>,
}

#[derive(Debug)]
struct Known {
    now: Unknown,
    /// When it was last seen as the store has it; `None` where the store does not know it.
    stored: Option<Timestamp>,
}

impl UnknownTable {
    /// With what the store has.
    pub fn load(stored: impl IntoIterator<Item = Unknown>) -> Self {
        let mut table = Self::default();
        for machine in stored {
            let (mac, seen) = (machine.mac, machine.last_seen);
            if let Some(twice) = table.machines.insert(mac, Known { now: machine, stored: Some(seen) }) {
                table.oldest.remove(&(twice.now.last_seen, mac));
            }
            table.oldest.insert((seen, mac));
        }
        table.make_room();
        table
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.machines.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    /// Their addresses.
    pub fn macs(&self) -> impl Iterator<Item = MacAddr> {
        self.machines.keys().copied()
    }

    /// A machine asked. One that says nothing new is written again only when the store's time is a minute old. Answers with how many had
    /// to make room.
    pub fn saw(&mut self, machine: Unknown) -> u64 {
        let (mac, is_write) = (
            machine.mac,
            match self.machines.get_mut(&machine.mac) {
                Some(known) => {
                    self.oldest.remove(&(known.now.last_seen, machine.mac));
                    let mut now = known.now.clone();
                    now.seen_again(machine);
                    let stale = known.stored.is_none_or(|stored| {
                        now.last_seen.duration_since(stored).as_secs() >= UNKNOWN_FRESH_S
                    });
                    let is_write = stale || now.tells_more_than(&known.now);
                    known.now = now;
                    is_write
                }
                None => {
                    let mac = machine.mac;
                    // What is to be deleted is still there: a write takes its place.
                    self.dropped.remove(&mac);
                    self.machines.insert(mac, Known { now: machine, stored: None });
                    true
                }
            },
        );
        if let Some(known) = self.machines.get(&mac) {
            self.oldest.insert((known.now.last_seen, mac));
        }
        if is_write {
            self.changed.insert(mac);
        }
        self.make_room()
    }

    /// A Hardware names it now, or there is no room for it.
    pub fn forget(&mut self, mac: MacAddr) {
        let Some(known) = self.machines.remove(&mac) else { return };
        self.oldest.remove(&(known.now.last_seen, mac));
        self.changed.remove(&mac);
        if known.stored.is_some() {
            self.dropped.insert(mac);
        }
    }

    fn make_room(&mut self) -> u64 {
        let mut gone = 0;
        while self.machines.len() > UNKNOWN_MACHINES
            && let Some(&(_, mac)) = self.oldest.first()
        {
            self.forget(mac);
            gone += 1;
        }
        gone
    }

    /// What the store is to be told next, as much as one batch holds; `None` where it knows all.
    #[must_use]
    pub fn next_batch(&self) -> Option<Batch> {
        let deletes: Vec<_> =
            self.dropped.iter().take(BATCH_OPERATIONS).map(|mac| Unknown::key(*mac)).collect();
        let puts: Vec<_> = self
            .changed
            .iter()
            .take(BATCH_OPERATIONS - deletes.len())
            .filter_map(|mac| Some((Unknown::key(*mac), self.machines.get(mac)?.now.to_value())))
            .collect();
        (!deletes.is_empty() || !puts.is_empty()).then(|| Batch { puts, deletes, ..Batch::default() })
    }

    /// The store has what [`next_batch`](Self::next_batch) said, and nothing happened to the table since.
    pub fn written(&mut self, batch: &Batch) {
        let macs = |name: &str| name.parse::<MacAddr>().ok();
        for mac in batch.deletes.iter().filter_map(|key| macs(&key.name)) {
            self.dropped.remove(&mac);
        }
        for mac in batch.puts.iter().filter_map(|(key, _)| macs(&key.name)) {
            self.changed.remove(&mac);
            if let Some(known) = self.machines.get_mut(&mac) {
                known.stored = Some(known.now.last_seen);
            }
        }
    }
}
