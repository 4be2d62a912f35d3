//! What the data plane reads: an image of the store in memory that follows it, and outlives it (I8).

mod follow;
#[cfg(test)]
mod follow_tests;
mod index;
mod ports;
mod shared;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    apply::{announced, turn_key, unwritten},
    document::{Hardware, Kind, Network},
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError},
    store::{Change, Revision, Store, StoreError},
};
use index::Index;

/// Machines and networks of a store, in memory. Work is the engine's, which keeps its own image of the workflows' logs.
#[derive(Debug)]
pub struct Snapshot {
    index: RwLock<Index>,
    revision: watch::Sender<Revision>,
}

impl Snapshot {
    /// Reads the whole store once.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn load(store: &dyn Store) -> Result<Arc<Self>, StoreError> {
        let (index, revision) = read_all(store).await?;
        Ok(Arc::new(Self { index: RwLock::new(index), revision: watch::Sender::new(revision) }))
    }

    /// Returns when the snapshot holds everything up to `revision`.
    pub async fn reached(&self, revision: Revision) {
        // The sender lives in `self`, so waiting cannot fail while we are borrowed.
        let _ = self.revision.subscribe().wait_for(|reached| *reached >= revision).await;
    }

    /// The revision that is held.
    #[must_use]
    pub fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    fn read<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How often the whole store is read again because documents were written meanwhile; what the last look saw is mended by the watch.
const LOOKS: u32 = 3;

async fn read_all(store: &dyn Store) -> Result<(Index, Revision), StoreError> {
    let mut looks = 0;
    loop {
        let (turn, start) = turn(store).await?;
        // An apply that was decided is what the store holds: what of it is not written yet is taken from its record.
        let rest = if turn.as_ref().is_some_and(|(_, parts)| *parts > 0) {
            unwritten(store).await?
        } else {
            Vec::new()
        };
        let mut index = Index::default();
        for kind in [Kind::Network, Kind::Profile, Kind::Hardware] {
            let (items, _) = store.list(kind.name()).await?;
            items.iter().for_each(|stored| index.put(&stored.key, &stored.value));
        }
        rest.iter().for_each(|(key, value)| index.put(key, value));
        looks += 1;
        // The oldest of the revisions read: what came in between is seen again by the watch, and changes are idempotent.
        if looks == LOOKS || self::turn(store).await?.0 == turn {
            return Ok((index, start));
        }
    }
}

/// The last commit that wrote documents, and how many parts of it are to be written; the revision at which this was so.
async fn turn(store: &dyn Store) -> Result<(Option<(Revision, u64)>, Revision), StoreError> {
    let (site, at) = store.list(&turn_key().kind).await?;
    let found =
        site.into_iter().find_map(|stored| Some((stored.revision, announced(&stored.key, &stored.value)?)));
    Ok((found, at))
}

fn change_index(index: &mut Index, change: &Change) {
    match change {
        Change::Put(stored) => index.put(&stored.key, &stored.value),
        Change::Deleted(key) => index.delete(key),
        Change::Appended { .. } => {}
    }
}

#[async_trait]
impl HardwareSource for Snapshot {
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError> {
        match key {
            // Learns, so it is asked for one whom nobody knows by its address.
            HardwareKey::Circuit(circuit) => self.write(|index| index.at_port(circuit)),
            key => Ok(self.read(|index| index.hardware(key))),
        }
    }
}

#[async_trait]
impl NetworkSource for Snapshot {
    async fn network(&self, key: NetworkKey) -> Result<Option<Arc<Network>>, SourceError> {
        let address = match key {
            NetworkKey::Relay(ip) | NetworkKey::Link(ip) | NetworkKey::Interface(ip) => ip,
            NetworkKey::Of(std::net::IpAddr::V4(ip)) => ip,
            NetworkKey::Of(std::net::IpAddr::V6(_)) => return Ok(None),
        };
        Ok(self.read(|index| index.network(address)))
    }

    async fn named(&self, name: &str) -> Result<Option<Arc<Network>>, SourceError> {
        Ok(self.read(|index| index.named(name)))
    }
}

impl Snapshot {
    /// The machine of this name, its Profile merged in.
    #[must_use]
    pub fn hardware(&self, name: &str) -> Option<Arc<Hardware>> {
        self.read(|index| index.hardware(&HardwareKey::Name(name.to_owned())))
    }
}
