//! The unknown machines that are remembered, and which of them the store does not know yet.

use std::collections::{BTreeSet, HashMap};

use super::{Told, Unknown, inventory::bytes};
use crate::{
    clock::Timestamp,
    limits::{
        BATCH_BYTES, BATCH_OPERATIONS, UNKNOWN_FRESH_S, UNKNOWN_INVENTORIES_BYTES, UNKNOWN_INVENTORY_S,
        UNKNOWN_MACHINES,
    },
    mac::MacAddr,
    store::Batch,
};

/// Bytes of a record besides its inventory: some texts of 255 bytes at most, with their names.
const RECORD_BYTES: usize = 4 << 10;

/// At most [`UNKNOWN_MACHINES`] with [`UNKNOWN_INVENTORIES_BYTES`]; whoever has not asked for longest makes room.
#[derive(Debug, Default)]
pub struct UnknownTable {
    machines: HashMap<MacAddr, Known>,
    oldest: BTreeSet<(Timestamp, MacAddr)>,
    /// To be written, in the order of their addresses.
    changed: BTreeSet<MacAddr>,
    /// In the store, and to be deleted there.
    dropped: BTreeSet<MacAddr>,
    /// Of all inventories.
    bytes: usize,
}

#[derive(Debug)]
struct Known {
    now: Unknown,
    /// When it was last seen as the store has it; `None` where the store does not know it.
    stored: Option<Timestamp>,
    /// When its inventory was taken last.
    told: Option<Timestamp>,
    /// Of its inventory.
    bytes: usize,
}

impl UnknownTable {
    /// With what the store has.
    pub fn load(stored: impl IntoIterator<Item = Unknown>) -> Self {
        let mut table = Self::default();
        for machine in stored {
            let (mac, seen) = (machine.mac, machine.last_seen);
            let bytes = machine.inventory.as_ref().map_or(0, bytes);
            table.bytes += bytes;
            let known = Known { now: machine, stored: Some(seen), told: None, bytes };
            if let Some(twice) = table.machines.insert(mac, known) {
                table.oldest.remove(&(twice.now.last_seen, mac));
                table.bytes -= twice.bytes;
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
                    self.machines.insert(mac, Known { now: machine, stored: None, told: None, bytes: 0 });
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

    /// A machine told its inventory: whether that is news, and how many had to make room.
    pub fn told(&mut self, told: Told) -> (bool, u64) {
        let soon = |last: Timestamp| told.at.duration_since(last).as_secs() < UNKNOWN_INVENTORY_S;
        if self.machines.get(&told.mac).is_some_and(|known| known.told.is_some_and(soon)) {
            return (false, 0);
        }
        let mut now = match self.machines.get(&told.mac) {
            Some(known) => known.now.clone(),
            None => Unknown::told(&told),
        };
        let (mac, at) = (told.mac, told.at);
        let is_news = now.inventory.as_ref() != Some(&told.inventory);
        now.last_seen = now.last_seen.max(at);
        now.times = 0;
        if is_news {
            now.inventory = Some(told.inventory);
        }
        let gone = self.saw(now);
        if let Some(known) = self.machines.get_mut(&mac) {
            known.told = Some(at);
            let before = std::mem::replace(&mut known.bytes, known.now.inventory.as_ref().map_or(0, bytes));
            self.bytes = self.bytes + known.bytes - before;
        }
        (is_news, gone + self.make_room())
    }

    /// A Hardware names it now, or there is no room for it.
    pub fn forget(&mut self, mac: MacAddr) {
        let Some(known) = self.machines.remove(&mac) else { return };
        self.oldest.remove(&(known.now.last_seen, mac));
        self.bytes -= known.bytes;
        self.changed.remove(&mac);
        if known.stored.is_some() {
            self.dropped.insert(mac);
        }
    }

    fn make_room(&mut self) -> u64 {
        let mut gone = 0;
        while (self.machines.len() > UNKNOWN_MACHINES || self.bytes > UNKNOWN_INVENTORIES_BYTES)
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
        let mut left = BATCH_BYTES;
        let puts: Vec<_> = self
            .changed
            .iter()
            .take(BATCH_OPERATIONS - deletes.len())
            .filter_map(|mac| self.machines.get(mac))
            .map_while(|known| {
                left = left.checked_sub(known.bytes + RECORD_BYTES)?;
                Some((Unknown::key(known.now.mac), known.now.to_value()))
            })
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
