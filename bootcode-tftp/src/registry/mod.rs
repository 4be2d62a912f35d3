//! The OCI distribution specification 1.1 over an OCI image layout on disk: pull for everybody, push for whom the embedder lets,
//! and, where wanted, a cache of another registry.

mod digest;
mod error;
mod index;
mod layout;
mod manifest;
mod os_images;
mod push;
mod reference;
mod route;
mod router;
mod sweep;
mod upload;
#[cfg(feature = "upstream")]
mod upstream;
mod verified;
mod wanted;
mod writer;

pub use digest::{Digest, DigestError};
pub use error::RegistryError;
pub use index::{Descriptor, Index};
pub use layout::{Layout, LayoutError, Manifest};
pub use manifest::{Content, ManifestError, Referred};
pub use os_images::OsImages;
pub use push::{FREED, FREED_LATER, push_router};
pub use reference::{Reference, is_repository, is_tag};
pub use route::Route;
#[cfg(feature = "upstream")]
pub use router::pull_through_router;
pub use router::registry_router;
pub use sweep::Swept;
#[cfg(feature = "upstream")]
pub use upstream::{PullThrough, Upstream, UpstreamError, UpstreamIndex};
pub use writer::Writer;
