//! Disks of this machine: what is there, which of them the document names, and the few calls that act on one.

mod block;
mod inventory;
mod select;
mod signature;
mod sys;

pub use block::{BlockError, Device};
pub use inventory::{BlockDisk, InventoryError, inventory, resolve};
pub use select::{SelectError, Selected, select};
pub(crate) use signature::PROBE_BYTES;
pub use signature::{FileSystem, probe};
