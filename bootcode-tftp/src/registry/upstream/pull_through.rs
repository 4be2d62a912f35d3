//! A layout that is filled from an upstream registry as machines ask.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bootcode_core::image::{ImageError, ImageIndex};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    client::Upstream,
    error::UpstreamError,
    standing::{Standing, standing},
    store,
};
use crate::{
    limits,
    registry::{
        Digest, Layout, LayoutError, Reference, RegistryError, Route, Writer,
        index::{UPSTREAM, split_name},
        is_repository, is_tag,
    },
};

/// What the layout lacks is fetched from an upstream registry, verified, kept and given.
///
/// However many ask for the same thing, it is fetched once; who goes away meanwhile does not end that. A tag is asked for again when it is
/// older than `fresh`, and given as it is where upstream is away. What operators pushed goes before upstream's and is never replaced.
#[derive(Debug)]
pub struct PullThrough {
    upstream: Upstream,
    writer: Arc<Writer>,
    fresh: Duration,
    max_bytes: u64,
    flights: Mutex<BTreeMap<Wanted, watch::Receiver<Option<Outcome>>>>,
    /// When a tag was last asked for and came.
    checked: Mutex<BTreeMap<(String, String), Instant>>,
    /// What did not come lately.
    failed: Mutex<BTreeMap<Wanted, (Instant, Outcome)>>,
    blobs: Semaphore,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

/// What is fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Tag { name: String, tag: String },
    Manifest { name: String, digest: Digest },
    Blob { name: String, digest: Digest },
}

type Outcome = Result<(), Arc<UpstreamError>>;

impl PullThrough {
    /// Of `upstream` into the layout of `writer`, which grows to `max_bytes` at most by it; tags are good for `fresh`.
    #[must_use]
    pub fn new(upstream: Upstream, writer: Arc<Writer>, fresh: Duration, max_bytes: u64) -> Self {
        Self {
            upstream,
            writer,
            fresh,
            max_bytes,
            flights: Mutex::default(),
            checked: Mutex::default(),
            failed: Mutex::default(),
            blobs: Semaphore::new(limits::UPSTREAM_BLOBS),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
        }
    }

    /// Waits for `cancel`, then ends what is being fetched.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        cancel.cancelled().await;
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(in crate::registry) fn layout(&self) -> &Layout {
        self.writer.layout()
    }

    /// Has the layout have what a request asks for, where upstream has it.
    pub(in crate::registry) async fn provide(self: &Arc<Self>, route: &Route) -> Result<(), RegistryError> {
        let provided = match route {
            Route::Manifest { name, reference: Reference::Tag(tag) } => self.tag(name, tag).await,
            Route::Manifest { name, reference: Reference::Digest(digest) } => {
                let (name, digest) = (name.clone(), digest.clone());
                self.content(Wanted::Manifest { name, digest }).await
            }
            Route::Blob { name, digest } => {
                let (name, digest) = (name.clone(), digest.clone());
                self.content(Wanted::Blob { name, digest }).await
            }
            _ => Ok(()),
        };
        provided.or_else(|error| match &*error {
            // The layout says so in the specification's words.
            UpstreamError::Missing => Ok(()),
            UpstreamError::Busy => Err(RegistryError::UpstreamBusy),
            error => Err(RegistryError::Upstream { why: error.to_string() }),
        })
    }

    async fn tag(self: &Arc<Self>, name: &str, tag: &str) -> Outcome {
        let index = self.layout().index().await.map_err(failed)?;
        let key = (name.to_owned(), tag.to_owned());
        let checked = lock(&self.checked).get(&key).copied();
        let wanted = Wanted::Tag { name: key.0, tag: key.1 };
        match standing(index.tagged(name, tag), checked, Instant::now(), self.fresh) {
            Standing::Good => Ok(()),
            Standing::Missing => self.fetched(wanted).await,
            Standing::Stale => {
                // It may be a moment late, but it is there.
                let _ = tokio::time::timeout(limits::UPSTREAM_STALE, self.fetched(wanted)).await;
                Ok(())
            }
        }
    }

    async fn content(self: &Arc<Self>, wanted: Wanted) -> Outcome {
        let (Wanted::Manifest { name, digest } | Wanted::Blob { name, digest }) = &wanted else {
            return Ok(());
        };
        if self.layout().has(digest).await.map_err(failed)? {
            return Ok(());
        }
        // A repository of ours alone has nothing upstream; one that nobody asked for by a tag is none yet.
        let index = self.layout().index().await.map_err(failed)?;
        let names = index.manifests.iter().filter(|listed| listed.name().is_some_and(|(of, _)| of == name));
        if !names.into_iter().any(|listed| listed.annotations.contains_key(UPSTREAM)) {
            return Ok(());
        }
        self.fetched(wanted).await
    }

    /// Waits until it was fetched, by whomever.
    async fn fetched(self: &Arc<Self>, wanted: Wanted) -> Outcome {
        let mut flight = match self.join(&wanted) {
            Ok(flight) => flight,
            Err(outcome) => return outcome,
        };
        let ended = flight.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        let away = || Arc::new(UpstreamError::Away { why: "the server stops".to_owned() });
        ended.ok().flatten().unwrap_or_else(|| Err(away()))
    }

    /// The fetching of it, which begins where it is not under way.
    fn join(self: &Arc<Self>, wanted: &Wanted) -> Result<watch::Receiver<Option<Outcome>>, Outcome> {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(wanted) {
            return Ok(flight.clone());
        }
        if let Some((at, outcome)) = lock(&self.failed).get(wanted)
            && at.elapsed() < limits::UPSTREAM_PAUSE
        {
            return Err(outcome.clone());
        }
        if flights.len() >= limits::UPSTREAM_FETCHES {
            return Err(Err(Arc::new(UpstreamError::Busy)));
        }
        let (tell, flight) = watch::channel(None);
        flights.insert(wanted.clone(), flight.clone());
        let landing = Landing { through: Arc::clone(self), wanted: wanted.clone() };
        self.tasks.spawn(async move {
            let through = &landing.through;
            if let Some(outcome) = through.cancel.run_until_cancelled(through.fetch(&landing.wanted)).await {
                through.remember(&landing.wanted, &outcome);
                drop(landing);
                let _ = tell.send(Some(outcome));
            }
        });
        Ok(flight)
    }

    async fn fetch(&self, wanted: &Wanted) -> Outcome {
        let (upstream, writer) = (&self.upstream, &self.writer);
        let fetched = async {
            match wanted {
                Wanted::Tag { name, tag } => store::tag(upstream, writer, name, tag).await,
                Wanted::Manifest { name, digest } => store::manifest(upstream, writer, name, digest).await,
                Wanted::Blob { name, digest } => {
                    // Never closed.
                    let _turn = self.blobs.acquire().await.ok();
                    store::blob(upstream, writer, name, digest, self.max_bytes).await
                }
            }
        };
        let late =
            || Err(UpstreamError::Away { why: format!("not whole within {:?}", limits::UPSTREAM_BLOB) });
        let fetched = tokio::time::timeout(limits::UPSTREAM_BLOB, fetched).await.unwrap_or_else(|_| late());
        match &fetched {
            Ok(()) => {
                tracing::info!(?wanted, upstream = upstream.url(), "fetched from the upstream registry")
            }
            Err(error) => {
                tracing::warn!(?wanted, upstream = upstream.url(), %error, "not fetched from the upstream registry");
            }
        }
        fetched.map_err(Arc::new)
    }

    fn remember(&self, wanted: &Wanted, outcome: &Outcome) {
        let now = Instant::now();
        if outcome.is_err() {
            return insert(&mut lock(&self.failed), wanted.clone(), (now, outcome.clone()));
        }
        lock(&self.failed).remove(wanted);
        if let Wanted::Tag { name, tag } = wanted {
            insert(&mut lock(&self.checked), (name.clone(), tag.clone()), now);
        }
    }
}

/// The names of a layout that is filled from upstream, those there included.
#[derive(Debug, Clone)]
pub struct UpstreamIndex(pub Arc<PullThrough>);

#[async_trait]
impl ImageIndex for UpstreamIndex {
    async fn resolve(&self, name: &str) -> Result<Option<String>, ImageError> {
        let Self(through) = self;
        let (repository, tag) = split_name(name);
        if is_repository(repository) && is_tag(tag) {
            match through.tag(repository, tag).await {
                Err(error) if !matches!(*error, UpstreamError::Missing) => {
                    let layout = through.layout().root().display().to_string();
                    return Err(ImageError { layout, source: io::Error::other(error.to_string()) });
                }
                _ => {}
            }
        }
        through.layout().resolve(name).await
    }
}

/// Takes a fetching off the list, however it ends.
struct Landing {
    through: Arc<PullThrough>,
    wanted: Wanted,
}

impl Drop for Landing {
    fn drop(&mut self) {
        lock(&self.through.flights).remove(&self.wanted);
    }
}

fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    // What is forgotten is only asked for once more.
    if map.len() >= limits::UPSTREAM_REMEMBERED {
        map.clear();
    }
    map.insert(key, value);
}

fn failed(error: LayoutError) -> Arc<UpstreamError> {
    Arc::new(error.into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
