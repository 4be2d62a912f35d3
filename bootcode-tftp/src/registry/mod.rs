//! The pull side of the OCI distribution specification 1.1, over an OCI image layout on disk.

mod digest;
mod error;
mod index;
mod layout;
mod reference;
mod route;
mod router;

pub use digest::{Digest, DigestError};
pub use error::RegistryError;
pub use index::{Descriptor, Index};
pub use layout::{Layout, LayoutError, Manifest};
pub use reference::{Reference, is_repository, is_tag};
pub use route::Route;
pub use router::registry_router;
