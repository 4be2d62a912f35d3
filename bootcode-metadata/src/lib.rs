//! What machines learn about themselves: the JSON document, the files of NoCloud, EC2, OpenStack and Ignition, those of
//! installers (kickstart, preseed, autoinstall), and where an installed system phones home.
//!
//! ```text
//!  request -> request::Asker (token, else source address) -> Hardware -> document / nocloud / ec2 / openstack / ignition / install -> answer
//! ```
//!
//! ```
//! use bootcode_metadata::nocloud;
//! let text = nocloud::meta_data("i-node-1", "node-1", &[]);
//! assert!(text.contains("local-hostname"));
//! ```

mod clouds;
mod document;
pub mod ec2;
pub mod forwarded;
mod hops;
pub mod ignition;
pub mod imds;
pub mod install;
pub mod limits;
mod metrics;
pub mod nocloud;
pub mod openstack;
mod parts;
pub mod phone_home;
mod refusal;
mod request;
mod reservation;
mod router;
mod service;
#[cfg(test)]
mod tests;

pub use document::{Addresses, Rendered, document, part, render};
pub use hops::HopLimit;
pub use metrics::MetadataMetrics;
pub use parts::MetadataParts;
pub use request::{Asker, Identified, identify};
pub use router::router;
pub use service::{MetadataService, PeerService};
