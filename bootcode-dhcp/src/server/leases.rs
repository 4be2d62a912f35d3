//! The shell around the lease table: look-ups that it needs, and the one task that makes its changes durable (I4).
//!
//! ```text
//!  receive loop --standing--> table;  --Exchange--> queue --> writer: 4 batches of 64 changes, one fsync --> ACKs
//! ```

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bootcode_core::{
    clock::Timestamp,
    document::{Hardware, Network},
    lease::{LEASE_KIND, Lease, LeaseState},
    mac::MacAddr,
    source::{HardwareKey, NetworkKey, SourceError},
    store::{Batch, Commit as Committed, Expect, Store, StoreError},
    timeline::Reason,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};
use tracing::{error, info, warn};

use super::{Found, Shell, socket::Port};
use crate::{
    lease::{LeaseAsk, LeaseChange, LeaseTable, Refusal, Standing},
    limits,
    query::Query,
    responder::{Commit, Verdict, lease_ask, reservation},
};

/// The leases of all pools.
pub(super) struct Leases {
    table: Mutex<LeaseTable>,
    store: Arc<dyn Store>,
    /// Nothing can be promised: the last write failed, or nothing was read yet.
    away: AtomicBool,
    queue: mpsc::Sender<Job>,
}

/// Whether a client asks, or somebody on its behalf who wants to know what it would be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// The address that it may have is held for it.
    Hold,
    /// Nothing changes.
    Look,
}

/// A question whose answer waits for its lease.
pub(super) struct Exchange {
    pub(super) query: Query,
    pub(super) found: Found,
    pub(super) port: Arc<Port>,
    pub(super) commit: Box<Commit>,
}

/// What is to be written.
struct Job {
    change: LeaseChange,
    /// Who waits for it; nobody for an address that a probe found in use.
    exchange: Option<Exchange>,
}

/// What came of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Durable,
    /// Nothing was written.
    Away,
    /// Somebody else has the address now.
    Lost,
}

impl Leases {
    /// Reads the leases of the store. Where that fails nobody gets an address from a pool until it succeeds.
    pub(super) async fn open(store: Arc<dyn Store>, own: &[Ipv4Addr]) -> (Arc<Self>, Writer) {
        let (queue, jobs) = mpsc::channel(limits::LEASE_QUEUE);
        let table = Mutex::new(LeaseTable::new(own));
        let leases = Arc::new(Self { table, store, away: AtomicBool::new(true), queue });
        let loaded = leases.load().await;
        let writer = Writer { leases: Arc::clone(&leases), jobs, loaded };
        (leases, writer)
    }

    pub(super) fn table(&self) -> MutexGuard<'_, LeaseTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// How a client stands with its network's pool; `None` for who has nothing to do with one.
    pub(super) async fn standing(
        &self,
        shell: &Shell,
        query: &Query,
        hardware: Option<&Hardware>,
        network: &Arc<Network>,
        (touch, now): (Touch, Timestamp),
    ) -> Result<Option<Standing>, SourceError> {
        let Some(ask) = lease_ask(query, hardware, network, &shell.config.site) else {
            let reserved = hardware.and_then(|hardware| reservation(query, hardware, network));
            let taken = reserved.filter(|ip| self.table().taken(&network.name, *ip, query.mac, now));
            return Ok(taken.map(|ip| Standing::Taken { ip }));
        };
        let mut passed = HashSet::new();
        for _ in 0..limits::RESERVED_SKIPPED {
            let standing = match touch {
                Touch::Hold => self.table().standing(network, query.mac, ask, self.away(), now),
                Touch::Look => self.table().look(network, query.mac, ask, self.away(), now, &passed),
            };
            let (Standing::May { ip, .. } | Standing::Kept { ip, .. }) = standing else {
                return Ok(Some(standing));
            };
            if matches!(ask, LeaseAsk::Leave(_)) {
                return Ok(Some(standing));
            }
            let owner = shell.sources.hardware.find(&HardwareKey::Ip(ip.into())).await?;
            if owner.is_none() && ip != query.giaddr {
                return Ok(Some(standing));
            }
            match touch {
                Touch::Hold => self.table().reserve(network, ip, now),
                Touch::Look => drop(passed.insert(ip)),
            }
            if !matches!(ask, LeaseAsk::Any(_)) {
                return Ok(Some(Standing::Refused { ip, because: Refusal::NotHere }));
            }
        }
        Ok(Some(Standing::Exhausted))
    }

    /// Nobody else has this address, as far as can be found out.
    pub(super) fn clear(&self, found: &Found, ip: Ipv4Addr, mac: MacAddr) {
        if let Some(network) = &found.network {
            self.table().clear(&network.name, ip, mac);
        }
    }

    /// Somebody else has this address: nobody gets it for a while, durably if the store is there.
    pub(super) fn quarantine(&self, network: &Arc<Network>, ip: Ipv4Addr, mac: MacAddr, now: Timestamp) {
        let change = self.table().quarantine(network, ip, mac, now);
        // Where the queue is full the table remembers it alone, and after a restart the wire is asked again.
        let _ = self.queue.try_send(Job { change, exchange: None });
    }

    /// Hands a change to the writer. Nobody waits for it here; where too many wait already, the client will ask again.
    pub(super) async fn write(&self, shell: &Shell, exchange: Exchange, now: Timestamp) {
        let change = exchange.commit.change.clone();
        if change.lease.state == LeaseState::Quarantined
            && let Some(network) = &exchange.found.network
        {
            self.table().quarantine(network, change.ip, change.lease.mac, now);
        }
        let job = Job { change, exchange: Some(exchange) };
        if let Err(full) = self.queue.try_send(job)
            && let Some(Exchange { query, found, port, .. }) = full.into_inner().exchange
        {
            shell.conclude(&query, &found, Verdict::Ignore(Reason::TooMany), &port, now).await;
        }
    }

    async fn load(&self) -> bool {
        match self.store.list(LEASE_KIND).await {
            Ok((all, _)) => {
                let mut table = self.table();
                all.iter().for_each(|stored| table.load(&stored.key, Some(stored)));
                drop(table);
                info!(leases = all.len(), "leases of pools are read");
                self.away.store(false, Ordering::Relaxed);
                true
            }
            Err(error) => {
                error!(%error, "leases cannot be read: pools give nothing until they can");
                false
            }
        }
    }

    /// Writes changes, each of another address, in one commit.
    async fn commit(&self, changes: Vec<LeaseChange>, now: Timestamp) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::Lost; changes.len()];
        let mut open: Vec<(usize, LeaseChange)> = changes.into_iter().enumerate().collect();
        for _ in 0..limits::LEASE_TRIES {
            let batch = self.batch(&mut open, now);
            if open.is_empty() {
                return outcomes;
            }
            match timeout(limits::LEASE_WRITE, self.store.commit(batch)).await {
                Ok(Ok(Committed::Done(revision))) => {
                    self.is_back();
                    open.iter().for_each(|(at, _)| outcomes[*at] = Outcome::Durable);
                    let mut table = self.table();
                    open.into_iter().for_each(|(_, change)| table.settle(change, revision));
                    return outcomes;
                }
                // Another writer was first, or nobody knows: what the store has is the truth.
                Ok(Ok(Committed::Conflict { .. }) | Err(StoreError::Unknown)) | Err(_) => {
                    match timeout(limits::LEASE_WRITE, self.read_again(&mut open, &mut outcomes)).await {
                        Ok(Ok(())) => (),
                        Ok(Err(error)) => self.is_away(&error.to_string()),
                        Err(_) => self.is_away("it does not answer"),
                    }
                }
                Ok(Err(error)) => self.is_away(&error.to_string()),
            }
            if self.away() {
                open.iter().for_each(|(at, _)| outcomes[*at] = Outcome::Away);
                return outcomes;
            }
        }
        outcomes
    }

    /// The changes that may still be made, as one batch.
    fn batch(&self, open: &mut Vec<(usize, LeaseChange)>, now: Timestamp) -> Batch {
        let mut batch = Batch::default();
        let table = self.table();
        open.retain(|(_, change)| table.prepare(change, &mut batch, now));
        batch
    }

    /// Takes from the store what it has of these addresses; what is found as it was to be written is done.
    async fn read_again(
        &self,
        open: &mut Vec<(usize, LeaseChange)>,
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        let mut left = Vec::with_capacity(open.len());
        for (at, change) in open.iter() {
            let key = Lease::key(&change.network, change.ip);
            let stored = self.store.get(&key).await?;
            self.table().load(&key, stored.as_ref());
            let lease = stored.and_then(|stored| Lease::from_value(&stored.value).ok());
            if lease.as_ref() == Some(&change.lease) {
                outcomes[*at] = Outcome::Durable;
            } else {
                left.push((*at, change.clone()));
            }
        }
        *open = left;
        Ok(())
    }

    fn is_away(&self, error: &str) {
        if !self.away.swap(true, Ordering::Relaxed) {
            error!(%error, "leases cannot be written: running leases are honoured, nobody gets a new one");
        }
    }

    fn is_back(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            info!("leases can be written again");
        }
    }
}

/// The one task that writes leases.
pub(super) struct Writer {
    leases: Arc<Leases>,
    jobs: mpsc::Receiver<Job>,
    loaded: bool,
}

impl Writer {
    /// Runs until it is dropped. What waits then was promised to nobody.
    pub(super) async fn run(mut self, shell: Arc<Shell>) {
        let mut sweep = Instant::now();
        let mut waiting = Vec::new();
        loop {
            if self.leases.away() {
                self.look_again().await;
            } else if sweep <= Instant::now() {
                sweep = Instant::now() + limits::LEASE_SWEEP;
                self.sweep(&shell).await;
            }
            let room = limits::LEASE_BATCH * limits::LEASE_BATCHES - waiting.len();
            let until = if self.leases.away() { Instant::now() + limits::LEASE_RETRY } else { sweep };
            if waiting.is_empty() {
                // Its sender lives in the shell, so it ends only with us.
                let _ = tokio::time::timeout_at(until, self.jobs.recv_many(&mut waiting, room)).await;
            } else {
                while waiting.len() < limits::LEASE_BATCH * limits::LEASE_BATCHES
                    && let Ok(job) = self.jobs.try_recv()
                {
                    waiting.push(job);
                }
            }
            if !waiting.is_empty() {
                self.round(&shell, &mut waiting).await;
            }
        }
    }

    /// Writes all that waits, but for second changes of one address, which wait for the first.
    async fn round(&self, shell: &Arc<Shell>, waiting: &mut Vec<Job>) {
        let mut seen = HashSet::new();
        let (now_on, later): (Vec<Job>, Vec<Job>) =
            waiting.drain(..).partition(|job| seen.insert((job.change.network.clone(), job.change.ip)));
        *waiting = later;
        let now = shell.sources.clock.now();
        let mut commits = JoinSet::new();
        let mut jobs = now_on.into_iter().peekable();
        while jobs.peek().is_some() {
            let part: Vec<Job> = jobs.by_ref().take(limits::LEASE_BATCH).collect();
            let leases = Arc::clone(&self.leases);
            commits.spawn(async move {
                let changes = part.iter().map(|job| job.change.clone()).collect();
                let outcomes = leases.commit(changes, now).await;
                (part, outcomes)
            });
        }
        while let Some(done) = commits.join_next().await {
            let Ok((part, outcomes)) = done else {
                error!("writing leases failed by itself; their clients will ask again");
                continue;
            };
            for (job, outcome) in part.into_iter().zip(outcomes) {
                if let Some(exchange) = job.exchange {
                    exchange.end(shell, outcome, now).await;
                }
            }
        }
    }

    async fn look_again(&mut self) {
        if !self.loaded {
            self.loaded = matches!(timeout(limits::LEASE_WRITE, self.leases.load()).await, Ok(true));
            return;
        }
        // Reading could work where writing does not: an empty batch is a write.
        let commit = timeout(limits::LEASE_WRITE, self.leases.store.commit(Batch::default())).await;
        if matches!(commit, Ok(Ok(Committed::Done(_)))) {
            self.leases.is_back();
        }
    }

    /// Deletes leases that have ended and that no pool holds any more. Running ones stay: a Network may come back.
    async fn sweep(&self, shell: &Shell) {
        let ended = self.leases.table().ended(shell.sources.clock.now());
        let mut gone = Vec::new();
        for (key, revision) in ended {
            let Some((network, ip)) = Lease::place(&key) else { continue };
            match shell.sources.networks.network(NetworkKey::Of(ip.into())).await {
                Ok(Some(found))
                    if found.name == network && found.spec.pool.iter().any(|pool| pool.contains(ip)) => {}
                Ok(_) => gone.push((key, revision)),
                Err(_) => return,
            }
        }
        for part in gone.chunks(limits::LEASE_BATCH) {
            let batch = Batch {
                expects: part.iter().map(|(key, at)| Expect::At(key.clone(), *at)).collect(),
                deletes: part.iter().map(|(key, _)| key.clone()).collect(),
                ..Batch::default()
            };
            match timeout(limits::LEASE_WRITE, self.leases.store.commit(batch)).await {
                Ok(Ok(Committed::Done(_))) => {
                    let mut table = self.leases.table();
                    part.iter().for_each(|(key, _)| table.load(key, None));
                }
                _ => return warn!("old leases could not be deleted; trying again in an hour"),
            }
        }
        if !gone.is_empty() {
            info!(leases = gone.len(), "leases of pools that are no more were deleted");
        }
    }
}

impl Exchange {
    async fn end(self, shell: &Shell, outcome: Outcome, now: Timestamp) {
        let Self { query, found, port, commit } = self;
        let verdict = match outcome {
            Outcome::Durable => Verdict::Answer(commit.then),
            Outcome::Away => commit.otherwise.map_or(Verdict::Ignore(Reason::StoreAway), Verdict::Answer),
            Outcome::Lost => Verdict::Ignore(Reason::AddressInUse),
        };
        shell.conclude(&query, &found, verdict, &port, now).await;
    }
}
