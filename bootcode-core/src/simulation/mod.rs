//! A whole fleet by seed: the engine on a failing store, any number of workers behind a failing network, operators, and a checker.
//!
//! ```text
//!             operators, applies                    faults: loss, repeats, delay, partitions, restarts, jumps of the clock
//!                    |                                              |
//!  any Store <-- FaultyStore <-- Engine <==== network (virtual) ====> SimWorker --effects--> machine: spool, disks, container
//!                    |                                              |
//!                    +--entries as committed--> Checker <--answers, containers, disks--+--> Outcome { hash, counts, broken }
//! ```
//!
//! One thread, virtual time, one die: the same seed gives the same run, to the last message. The engine and the workers are the real
//! ones; the checker reads raw log entries and physical disks and shares no code with the rules that it checks.
//! `bootcode_worker::simulation` plugs the real agent in; a backend's author runs it on a store of their own.

mod chaos;
mod check;
mod counts;
mod dice;
mod faulty;
mod fleet;
mod machine;
mod network;
mod operator;
mod perform;
mod server;
mod tasks;
mod time;
mod trace;
mod worker;
mod world;

pub use check::Broken;
pub use counts::{COVERED, Counts};
pub use worker::{Attempt, Effect, Exit, Input, SimWorker};
pub use world::{Options, Outcome, run};
