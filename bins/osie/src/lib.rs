//! OSIE, the operating-system installation environment: what a machine runs in memory while it is
//! being installed.
//!
//! ```text
//!   built here, once                                 run on the machine, at every netboot
//!
//!   Debian's kernel package ──┐                      kernel ── unpacks ──> initramfs
//!   its modules ── closure ───┤   build()                                   │ /init
//!   crun and its libraries ───┼──────────> vmlinuz-x86_64                   ▼
//!   bootcode-init  (static) ──┤            initramfs-x86_64     root on a tmpfs, modules,
//!   bootcode-worker (static) ─┘                                 network from the command line
//!                                                                           │
//!                                                                           ▼
//!                                                               /bin/bootcode-worker, kept alive
//! ```
//!
//! [`build()`] makes the two files; [`init`] is what `bootcode-init` runs as process 1. What both
//! decide with is pure and stands beside them: [`cmdline`], [`modules`], [`netlink`], [`backoff`].
//!
//! ```
//! use bootcode_osie::cmdline::BootArgs;
//! let line = "console=ttyS0 bootcode.mac=52:54:00:00:00:01 bootcode.addr=192.168.99.11/24 \
//!             bootcode.server=http://192.168.99.1:7080 bootcode.worker=node-1 bootcode.token=t";
//! let args = BootArgs::parse(line).expect("every key is there");
//! assert_eq!(args.addr.prefix_len(), 24);
//! ```

pub mod backoff;
pub mod build;

pub mod cmdline;
pub mod init;
pub mod limits;
pub mod modules;
pub mod netlink;

pub use build::{BuildError, BuildOptions, Built, build};
