//! The agent that runs workflow actions as containers on a machine, and the writing of images.
//!
//! ```text
//!   WorkflowService <--hello, claim, report, heartbeat, log-- driver --effects-- agent (pure)
//!                                                               |
//!            hardware (inventory) - protect (read-only disks) --+-- runtime: Docker | OCI --> containers
//!            spool (outcomes, fsynced) - power (reboot, ..) ----+
//!
//!   image: HTTP -> hash -> decompress -> tar, used by the OCI runtime for layers and by actions for root file systems
//! ```
//!
//! The agent decides and does nothing; the driver does and decides nothing. Neither knows whether the service is in
//! process or behind HTTP, nor which runtime runs the containers.
//!
#![cfg_attr(feature = "agent", doc = "```")]
#![cfg_attr(not(feature = "agent"), doc = "```ignore")]
//! use bootcode_worker::agent::{Agent, Effect, Input};
//! use std::time::Duration;
//! let mut agent = Agent::new();
//! let effects = agent.handle(Input::Started { spooled: vec![] }, Duration::ZERO);
//! assert!(matches!(effects[..], [Effect::Hello]));
//! ```

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "agent")]
pub mod driver;
#[cfg(feature = "agent")]
pub mod hardware;
#[cfg(feature = "agent")]
pub mod identity;
#[cfg(feature = "image")]
pub mod image;
#[cfg(feature = "agent")]
pub mod limits;
#[cfg(feature = "agent")]
pub mod power;
#[cfg(feature = "agent")]
pub mod protect;
#[cfg(feature = "agent")]
pub mod runtime;
#[cfg(feature = "testing")]
pub mod simulation;
#[cfg(feature = "agent")]
pub mod spool;
#[cfg(feature = "agent")]
pub mod standby;
