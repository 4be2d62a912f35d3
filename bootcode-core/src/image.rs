//! Images that the server holds: of containers, and of operating systems.

use async_trait::async_trait;

/// `artifactType` of the manifest (OCI image specification 1.1) of an operating system's image: its one layer is the image, byte by
/// byte, whose format the layer's media type says; its configuration is the empty one.
pub const OS_IMAGE: &str = "application/vnd.bootcode.os-image.v1";

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
