//! What protocols look up for each request: machines, networks and work. Cheap, idempotent, asked many times a boot.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use async_trait::async_trait;

use crate::{
    document::{Hardware, Network},
    mac::MacAddr,
};

/// How a machine is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HardwareKey {
    /// One of its interfaces' hardware address.
    Mac(MacAddr),
    /// One of its interfaces' network address.
    Ip(IpAddr),
    /// Its name.
    Name(String),
    /// Option 97 (RFC 4578 2.3): the SMBIOS UUID.
    MachineId([u8; 16]),
    /// The switch port that it asks from.
    Circuit(CircuitKey),
}

/// What a relay agent says of the port that it heard a machine on (RFC 3046).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CircuitKey {
    /// `giaddr`.
    pub relay: Ipv4Addr,
    /// Agent Circuit ID, sub-option 1.
    pub circuit_id: Option<Vec<u8>>,
    /// Agent Remote ID, sub-option 2.
    pub remote_id: Option<Vec<u8>>,
    /// The address that asks, which no Hardware has. The machine that is answered has it at the interface of that port, and is found by it
    /// from then on.
    pub mac: MacAddr,
}

/// How a network is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NetworkKey {
    /// The `giaddr` of a relay agent.
    Relay(Ipv4Addr),
    /// A link selection sub-option (RFC 3527) or option 118.
    Link(Ipv4Addr),
    /// An address of the interface that received the packet.
    Interface(Ipv4Addr),
    /// The network that contains this address.
    Of(IpAddr),
}

/// A source could not answer. On the wire this is silence, never "unknown machine".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The backend does not answer.
    #[error("the source of {what} does not answer: {message}")]
    Unavailable {
        /// What was asked for.
        what: &'static str,
        /// The backend's words.
        message: String,
    },
    /// More than one fits.
    #[error("more than one {what} fits: {names:?}")]
    Ambiguous {
        /// What was asked for.
        what: &'static str,
        /// Those that fit.
        names: Vec<String>,
    },
}

/// Machines, their profile merged in.
#[async_trait]
pub trait HardwareSource: Send + Sync {
    /// The machine with this key.
    ///
    /// # Errors
    /// See [`SourceError`].
    async fn find(&self, key: &HardwareKey) -> Result<Option<Arc<Hardware>>, SourceError>;
}

/// Networks.
#[async_trait]
pub trait NetworkSource: Send + Sync {
    /// The network with this key.
    ///
    /// # Errors
    /// See [`SourceError`].
    async fn network(&self, key: NetworkKey) -> Result<Option<Arc<Network>>, SourceError>;

    /// The network of this name, for operators who ask about it; no packet is answered by it.
    ///
    /// # Errors
    /// See [`SourceError`]; a source that does not know them by name says so.
    async fn named(&self, name: &str) -> Result<Option<Arc<Network>>, SourceError> {
        let message = format!("it cannot be asked for `{name}`");
        Err(SourceError::Unavailable { what: "networks by name", message })
    }
}

/// What a system said that called home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledHome {
    /// The instance that its token is of.
    pub instance: String,
    /// Its public SSH host keys, a line each; none where it told none.
    pub host_keys: Vec<String>,
}

/// Which instance a machine is, another one after each installation, and whether it is installed.
#[async_trait]
pub trait InstanceStore: Send + Sync {
    /// The id of this machine's instance: printable ASCII without a slash. The same over boots and restarts of the server, and another one
    /// from the moment at which an installation begins to write; never again one that it had.
    ///
    /// # Errors
    /// See [`SourceError`].
    async fn instance_id(&self, hardware: &Hardware) -> Result<String, SourceError>;

    /// Keeps that an instance of this machine called home: it is `Installed` until the next one begins. The same again changes nothing.
    /// Returns whether the machine still is that instance; of another one nothing is kept. Durable on return (I4).
    ///
    /// # Errors
    /// See [`SourceError`].
    async fn called_home(&self, hardware: &Hardware, home: &CalledHome) -> Result<bool, SourceError>;
}

/// What there is to do on machines.
#[async_trait]
pub trait WorkSource: Send + Sync {
    /// The work of this machine.
    ///
    /// # Errors
    /// See [`SourceError`].
    async fn work(&self, hardware: &Hardware) -> Result<Work, SourceError>;
}

/// What there is to do on one machine (DESIGN: netboot policy).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Work {
    /// Nothing: it boots its own disk.
    #[default]
    Idle,
    /// A workflow is open and has an unfinished task for it: OSIE, which works.
    Provision {
        /// The workflow's name.
        workflow: String,
    },
    /// A workflow stopped, or is held after it wrote to a disk: OSIE, which waits.
    Wait {
        /// The workflow's name.
        workflow: String,
        /// Why, in one line.
        reason: String,
    },
}

/// For embedders without a workflow engine: every machine is idle, and its first instance.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWork;

#[async_trait]
impl WorkSource for NoWork {
    async fn work(&self, _: &Hardware) -> Result<Work, SourceError> {
        Ok(Work::Idle)
    }
}

#[async_trait]
impl InstanceStore for NoWork {
    async fn instance_id(&self, hardware: &Hardware) -> Result<String, SourceError> {
        Ok(hardware.instance_id())
    }

    async fn called_home(&self, hardware: &Hardware, home: &CalledHome) -> Result<bool, SourceError> {
        Ok(home.instance == hardware.instance_id())
    }
}
