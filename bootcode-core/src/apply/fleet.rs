//! Which stored documents a small apply has to be checked with: those that share something with it, not the whole fleet.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Display,
    hash::BuildHasher as _,
    net::Ipv4Addr,
    time::Duration,
};

use foldhash::fast::RandomState;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use smol_str::SmolStr;

use super::pending::Turn;
use crate::{
    document::{Document, DocumentSet, Kind},
    mac::MacAddr,
    store::{Change, Key, Revision, Store, StoreError, Watch, Watched},
};

/// Documents of a small apply. Above, reading all that is stored costs less than asking for each.
const SMALL: usize = 64;
/// How long the store may take to show a commit that it carried out.
const SHOWN: Duration = Duration::from_secs(5);

/// What every stored machine has that only one may have. Follows the store from one apply to the next.
#[derive(Default)]
pub(super) struct Fleet {
    at: Revision,
    watch: Option<Watch>,
    owners: BTreeSet<(Claim, SmolStr)>,
    claims: HashMap<SmolStr, Box<[Claim]>, RandomState>,
    hasher: RandomState,
}

/// The hash of what a machine has: a fleet's texts would be most of a server's memory. Where two machines share one by chance, each is
/// checked with the other, which finds nothing.
type Claim = u32;

impl Fleet {
    /// Whether documents can be checked without the rest of the fleet: what many machines share may change each of them.
    pub(super) fn is_small(set: &DocumentSet) -> bool {
        let shared = |document: &Document| matches!(document.kind, Kind::Network | Kind::Profile);
        set.len() <= SMALL && set.obsolete().is_empty() && !set.documents().any(shared)
    }

    /// The keys of the stored documents that these may collide with or name, themselves among them; Networks and Profiles besides.
    pub(super) fn concerned(&self, set: &DocumentSet) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        let mut machine = |text: &str| {
            let owners = self.claim_of_mac(text).into_iter().flat_map(|claim| self.owners(claim));
            let names = owners.map(SmolStr::as_str).chain([text]);
            keys.extend(names.map(|name| Key::new(Kind::Hardware.name(), name)));
        };
        let mut others = Vec::new();
        for document in set.documents() {
            let name = &document.metadata.name;
            others.push(Key::new(document.kind.name(), name));
            match document.kind {
                Kind::Hardware => {
                    let claims = self.claims(name, &document.spec).into_iter();
                    claims.flat_map(|claim| self.owners(claim)).for_each(|owner| machine(owner));
                }
                Kind::Workflow => {
                    let map = document.spec["hardwareMap"].as_object();
                    let named =
                        map.into_iter().flatten().map(|(_, value)| value).chain([&document.spec["hardware"]]);
                    named.filter_map(Value::as_str).for_each(&mut machine);
                    others.extend(
                        document.spec["template"].as_str().map(|name| Key::new(Kind::Template.name(), name)),
                    );
                }
                _ => {}
            }
        }
        keys.extend(others);
        keys
    }

    /// Knows every commit up to the one that wrote `turn`, and what the store has shown since.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(super) async fn catch_up(&mut self, store: &dyn Store, turn: &Turn) -> Result<(), StoreError> {
        for _ in 0..2 {
            if self.watch.is_none() {
                self.load(store).await?;
            }
            while let Some(watch) = &mut self.watch {
                let seen = if self.at < turn.revision() {
                    tokio::time::timeout(SHOWN, watch.next()).await.ok().flatten()
                } else if let Some(seen) = watch.next().now_or_never() {
                    seen
                } else {
                    return Ok(());
                };
                if let Some(Watched::Commit { revision, changes }) = seen {
                    changes.iter().for_each(|change| self.take(change));
                    self.at = revision;
                } else {
                    // It fell behind, or the store went away for a while: all anew.
                    self.watch = None;
                }
            }
        }
        Err(StoreError::Unavailable { message: "it does not show what it carried out".to_owned() })
    }

    async fn load(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let (machines, at) = store.list(Kind::Hardware.name()).await?;
        *self = Self { at, ..Self::default() };
        for stored in machines {
            self.put(&stored.key.name, &stored.value["spec"]);
        }
        self.watch = Some(store.watch(at).await?);
        Ok(())
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(stored) if stored.key.kind == Kind::Hardware.name() => {
                self.put(&stored.key.name, &stored.value["spec"]);
            }
            Change::Deleted(key) if key.kind == Kind::Hardware.name() => self.forget(&key.name),
            _ => {}
        }
    }

    fn put(&mut self, name: &str, spec: &Value) {
        self.forget(name);
        let (claims, name) = (self.claims(name, spec), SmolStr::from(name));
        self.owners.extend(claims.iter().map(|claim| (*claim, name.clone())));
        self.claims.insert(name, claims.into());
    }

    fn forget(&mut self, name: &str) {
        if let Some((name, claims)) = self.claims.remove_entry(name) {
            for claim in claims {
                self.owners.remove(&(claim, name.clone()));
            }
        }
    }

    fn owners(&self, claim: Claim) -> impl Iterator<Item = &SmolStr> {
        let from = (claim, SmolStr::default());
        self.owners.range(from..).take_while(move |(other, _)| *other == claim).map(|(_, name)| name)
    }

    /// What a machine has that another one may not have as well: what `document::check` compares across machines.
    fn claims(&self, name: &str, spec: &Value) -> Vec<Claim> {
        let lists = [&spec["interfaces"], &spec["links"]["vlans"]];
        let mut claims = Vec::with_capacity(4);
        for interface in lists.into_iter().filter_map(Value::as_array).flatten() {
            claims.extend(interface["mac"].as_str().and_then(|mac| self.claim_of_mac(mac)));
            let ip = interface["ip"].as_str().and_then(|ip| ip.parse::<Ipv4Addr>().ok());
            claims.extend(ip.map(|ip| self.claim("ip", ip)));
        }
        let identity = spec["identity"].as_object().into_iter().flatten();
        claims.extend(
            identity.filter_map(|(key, value)| Some(self.claim(key, value.as_str()?.to_lowercase()))),
        );
        claims.push(self.claim("host", spec["hostname"].as_str().unwrap_or(name)));
        claims
    }

    fn claim_of_mac(&self, text: &str) -> Option<Claim> {
        text.parse::<MacAddr>().ok().map(|mac| self.claim("mac", mac))
    }

    fn claim(&self, what: &str, value: impl Display) -> Claim {
        // Half of its bits: a hundred thousand machines have some ten that share one by chance.
        self.hasher.hash_one(format!("{what} {value}")) as Claim
    }
}
