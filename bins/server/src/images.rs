//! The OCI images that machines pull and operators push.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    http::{HeaderName, HeaderValue},
    middleware,
    response::Response,
};
use bootcode_api::{client::Trust, routes::MACHINES};
use bootcode_core::{
    boot::Site,
    files::FileSource,
    image::{ImageError, ImageIndex},
};
use bootcode_tftp::{
    http::Downloads,
    registry::{
        Layout, OsImages, PullThrough, Upstream, UpstreamIndex, Writer, pull_through_router, push_router,
        registry_router,
    },
};

use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Registry},
    error::{ServerError, with_causes},
};

/// The configured layout, or none.
pub(crate) struct Images {
    layout: Option<Layout>,
    writer: Option<Arc<Writer>>,
    through: Option<Arc<PullThrough>>,
    index: Arc<Index>,
}

/// The names of images, those of an upstream registry included once that may be asked.
#[derive(Default)]
struct Index {
    layout: Option<Layout>,
    through: OnceLock<UpstreamIndex>,
}

/// Opens the configured layout to serve it. A default one that is missing or empty is made; where it cannot be, that is a warning.
pub(crate) fn serve(config: &Config) -> Result<Images, ServerError> {
    let is_empty = || {
        config.images.read_dir().map_or_else(
            |error| error.kind() == std::io::ErrorKind::NotFound,
            |mut files| files.next().is_none(),
        )
    };
    if config.is_default("images")
        && is_empty()
        && let Err(error) = Layout::create(&config.images)
    {
        tracing::warn!(error = %with_causes(&error), "there is no place for images");
    }
    open(config)
}

/// Opens the configured layout and changes nothing. A default one that is missing is a warning.
pub(crate) fn open(config: &Config) -> Result<Images, ServerError> {
    match Layout::open(&config.images) {
        Ok(layout) => Ok(Images::of(Some(layout))),
        Err(error) if config.is_default("images") => {
            tracing::warn!(error = %with_causes(&error), "there are no images; actions cannot be run");
            Ok(Images::of(None))
        }
        Err(error) => Err(error.into()),
    }
}

impl Images {
    /// Makes the layout ready to be written. Only who has the data directory may: what an upload left there is removed.
    pub(crate) fn own(&mut self, config: &Config) {
        match self.layout.clone().map(Writer::open) {
            Some(Ok(writer)) => self.writer = Some(Arc::new(writer)),
            Some(Err(error)) => tracing::warn!(error = %with_causes(&error), "no images can be pushed"),
            None => {}
        }
        let Some(registry) = &config.registry else { return };
        let Some(writer) = &self.writer else {
            tracing::warn!(
                "registry.upstream: nothing is fetched, for there is no directory of images that may be written"
            );
            return;
        };
        match upstream(registry) {
            Ok(upstream) => {
                let fresh = Duration::from_secs(registry.tag_seconds);
                let max_bytes = registry.max_gib << 30;
                let through = Arc::new(PullThrough::new(upstream, Arc::clone(writer), fresh, max_bytes));
                // The first, for nobody else sets it.
                let _ = self.index.through.set(UpstreamIndex(Arc::clone(&through)));
                self.through = Some(through);
            }
            Err(error) => tracing::warn!(error, "registry.upstream: nothing is fetched"),
        }
    }

    /// What fetches from the upstream registry, until cancelled.
    pub(crate) fn fetch(
        &self,
        cancel: CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.through.clone().map(|through| through.run(cancel))
    }

    /// What keeps the layout clean, until cancelled.
    pub(crate) fn tend(
        &self,
        cancel: CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.writer.clone().map(|writer| writer.tend(cancel))
    }

    fn of(layout: Option<Layout>) -> Self {
        let index = Arc::new(Index { layout: layout.clone(), through: OnceLock::new() });
        Self { layout, writer: None, through: None, index }
    }

    pub(crate) fn index(&self) -> Arc<dyn ImageIndex> {
        Arc::clone(&self.index) as _
    }

    /// The images of operating systems as files, for machines.
    pub(crate) fn files(&self) -> Option<Arc<dyn FileSource>> {
        self.layout.clone().map(|layout| Arc::new(OsImages::new(layout)) as _)
    }

    /// Pull, for machines.
    pub(crate) fn machines(&self, downloads: Downloads) -> Router {
        match (&self.through, &self.layout) {
            (Some(through), _) => pull_through_router(Arc::clone(through), downloads),
            (None, Some(layout)) => registry_router(layout.clone(), downloads),
            (None, None) => Router::new(),
        }
    }

    /// Pull and push, for operators, who are told where machines pull. Where the layout may only be read, images are served and none can
    /// be pushed.
    pub(crate) fn operators(self, site: &Site) -> Router {
        let router = match (self.writer, self.layout) {
            (Some(writer), _) => push_router(writer),
            (None, Some(layout)) => registry_router(layout, Downloads::unbounded()),
            (None, None) => return Router::new(),
        };
        let urls = site.addresses.iter().map(|address| format!("http://{address}:{}", site.http_port));
        let urls = HeaderValue::try_from(urls.collect::<Vec<_>>().join(", ")).ok();
        router.layer(middleware::map_response(move |mut response: Response| {
            if let Some(urls) = urls.clone() {
                response.headers_mut().insert(HeaderName::from_static(MACHINES), urls);
            }
            std::future::ready(response)
        }))
    }
}

fn upstream(registry: &Registry) -> Result<Upstream, String> {
    let trust = match Trust::of_system() {
        Err(error) if registry.upstream.starts_with("https://") => return Err(error.to_string()),
        trust => trust.or_else(|_| Trust::of_nobody()).map_err(|error| error.to_string())?,
    };
    Upstream::new(&registry.upstream, trust.config())
}

#[async_trait]
impl ImageIndex for Index {
    async fn resolve(&self, name: &str) -> Result<Option<String>, ImageError> {
        match (self.through.get(), &self.layout) {
            (Some(through), _) => through.resolve(name).await,
            (None, Some(layout)) => layout.resolve(name).await,
            (None, None) => Ok(None),
        }
    }
}
