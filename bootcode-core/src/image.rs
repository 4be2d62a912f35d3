//! Container images that the server holds.

use async_trait::async_trait;

/// Resolves image names without a registry (`disk-wipe:v3`) to digests in the built-in one.
#[async_trait]
pub trait ImageIndex: Send + Sync {
    /// The manifest's digest (`sha256:<hex>`), or `None` where there is no such image.
    ///
    /// # Errors
    /// See [`ImageError`].
    async fn resolve(&self, name: &str) -> Result<Option<String>, ImageError>;
}

/// The images could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the image layout {layout} cannot be read: {source}")]
pub struct ImageError {
    /// The layout's place.
    pub layout: String,
    /// The cause.
    #[source]
    pub source: std::io::Error,
}
