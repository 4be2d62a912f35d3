//! What decides: documents, templates, boot decisions, the workflow log and its rules, and the ports to everything else.
//!
//! ```text
//!  documents --apply--> Store --watch--> Snapshot --(HardwareSource, NetworkSource, WorkSource)--> plan_boot --> BootStep
//!                         |
//!                         +--log--> workflow::State::apply --> workflow::decide --> events --append--> Store
//! ```
//!
//! Nothing here knows DHCP options, TFTP opcodes, HTTP, containers or flags. Without the feature `engine` there is no async runtime in the tree.
//!
//! ```
//! use bootcode_core::mac::MacAddr;
//! let mac: MacAddr = "52:54:00:00:00:01".parse()?;
//! assert_eq!(mac.to_string(), "52:54:00:00:00:01");
//! # Ok::<(), bootcode_core::mac::MacParseError>(())
//! ```

#[cfg(feature = "engine")]
pub mod apply;
pub mod arch;
pub mod boot;
pub mod clock;
pub mod document;
#[cfg(feature = "engine")]
pub mod engine;
pub mod files;
pub mod image;
pub mod ipxe;
pub mod journal;
pub mod lease;
pub mod limits;
pub mod loader;
pub mod mac;
pub mod policy;
pub mod preview;
pub mod secret;
pub mod session;
#[cfg(all(feature = "engine", feature = "testing"))]
pub mod simulation;
#[cfg(feature = "engine")]
pub mod snapshot;
pub mod source;
pub mod store;
pub mod template;
pub mod timeline;
pub mod unknown;
pub mod workflow;
pub mod yaml;
