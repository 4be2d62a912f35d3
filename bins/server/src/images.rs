//! The OCI images that machines pull and operators push.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    http::{HeaderName, HeaderValue},
    middleware,
    response::Response,
};
use bootcode_api::routes::MACHINES;
use bootcode_core::{
    boot::Site,
    files::FileSource,
    image::{ImageError, ImageIndex},
};
use bootcode_tftp::registry::{Layout, OsImages, Writer, push_router, registry_router};

use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    error::{ServerError, with_causes},
};

/// The configured layout, or none.
pub(crate) struct Images {
    layout: Option<Layout>,
    writer: Option<Arc<Writer>>,
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
        Ok(layout) => Ok(Images { layout: Some(layout), writer: None }),
        Err(error) if config.is_default("images") => {
            tracing::warn!(error = %with_causes(&error), "there are no images; actions cannot be run");
            Ok(Images { layout: None, writer: None })
        }
        Err(error) => Err(error.into()),
    }
}

impl Images {
    /// Makes the layout ready to be written. Only who has the data directory may: what an upload left there is removed.
    pub(crate) fn own(&mut self) {
        match self.layout.clone().map(Writer::open) {
            Some(Ok(writer)) => self.writer = Some(Arc::new(writer)),
            Some(Err(error)) => tracing::warn!(error = %with_causes(&error), "no images can be pushed"),
            None => {}
        }
    }

    /// What keeps the layout clean, until cancelled.
    pub(crate) fn tend(
        &self,
        cancel: CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.writer.clone().map(|writer| writer.tend(cancel))
    }

    pub(crate) fn index(&self) -> Arc<dyn ImageIndex> {
        match &self.layout {
            Some(layout) => Arc::new(layout.clone()),
            None => Arc::new(NoImages),
        }
    }

    /// The images of operating systems as files, for machines.
    pub(crate) fn files(&self) -> Option<Arc<dyn FileSource>> {
        self.layout.clone().map(|layout| Arc::new(OsImages::new(layout)) as _)
    }

    /// Pull, for machines.
    pub(crate) fn machines(&self) -> Router {
        self.layout.clone().map(registry_router).unwrap_or_default()
    }

    /// Pull and push, for operators, who are told where machines pull. Where the layout may only be read, images are served and none can
    /// be pushed.
    pub(crate) fn operators(self, site: &Site) -> Router {
        let router = match (self.writer, self.layout) {
            (Some(writer), _) => push_router(writer),
            (None, Some(layout)) => registry_router(layout),
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

/// A server without images.
struct NoImages;

#[async_trait]
impl ImageIndex for NoImages {
    async fn resolve(&self, _: &str) -> Result<Option<String>, ImageError> {
        Ok(None)
    }
}
