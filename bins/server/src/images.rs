//! The OCI images that machines pull.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use bootcode_core::image::{ImageError, ImageIndex};
use bootcode_tftp::registry::{Layout, registry_router};

use crate::{
    config::Config,
    error::{ServerError, with_causes},
};

/// The configured layout, or none.
pub(crate) struct Images {
    layout: Option<Layout>,
}

/// Opens the configured layout. A default one that is missing is a warning.
pub(crate) fn open(config: &Config) -> Result<Images, ServerError> {
    match Layout::open(&config.images) {
        Ok(layout) => Ok(Images { layout: Some(layout) }),
        Err(error) if config.is_default("images") => {
            tracing::warn!(error = %with_causes(&error), "there are no images; actions cannot be run");
            Ok(Images { layout: None })
        }
        Err(error) => Err(error.into()),
    }
}

impl Images {
    pub(crate) fn index(&self) -> Arc<dyn ImageIndex> {
        match &self.layout {
            Some(layout) => Arc::new(layout.clone()),
            None => Arc::new(NoImages),
        }
    }

    pub(crate) fn router(self) -> Router {
        self.layout.map(registry_router).unwrap_or_default()
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
