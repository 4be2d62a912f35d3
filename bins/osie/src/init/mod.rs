//! What process 1 of OSIE does, from the kernel's start of `/init` to the last reboot.
//!
//! ```text
//!   /init in the initramfs         root.rs     root onto a tmpfs, /init again
//!   /init on the tmpfs             mounts.rs   /proc /sys /dev /run cgroup2 efivarfs
//!                                  drivers.rs  modules for the devices that are there
//!                                  network.rs  the card of bootcode.mac=, address, route, resolv.conf
//!                                  worker.rs   /bin/bootcode-worker, again and again
//! ```
//!
//! Signals to process 1: SIGTERM and SIGINT (Ctrl-Alt-Del too) restart the machine, SIGUSR2 powers it
//! off; both end every process and write all data to the disks first.

mod console;
mod drivers;
mod error;
mod mounts;
mod network;
mod root;
mod rtnetlink;
mod signals;
mod stages;
mod worker;

pub use error::InitError;
pub use stages::main;
