//! Documents: what owners declare. `bootcode/v1` in YAML, camelCase keys, strict.

mod envelope;
mod hardware;
mod network;
mod profile;
mod template;
mod workflow;

pub use envelope::{API_VERSION, Document, Kind, Metadata, UnknownKind};
pub use hardware::{
    Disk, Hardware, HardwareSpec, Identity, Instance, Interface, LocalBoot, Os, Partition, PartitionTable,
    Storage,
};
pub use network::{
    AddressRange, Dhcp, DhcpMode, Dns, MetadataIdentity, Network, NetworkSpec, UnknownMachines,
};
pub use profile::{ProfileError, merge};
pub use template::TemplateSpec;
pub use workflow::{Overwrite, WorkflowDocSpec};
