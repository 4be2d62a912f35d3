//! Documents: what owners declare. `bootcode/v1` in YAML, camelCase keys, strict.

mod catalog;
mod check;
mod dhcp_option;
mod diff;
mod envelope;
mod hardware;
mod included;
mod install;
mod links;
mod name;
mod netboot;
mod network;
mod origins;
mod plan;
mod profile;
mod rare;
mod read;
mod resolve;
#[cfg(feature = "schema")]
mod schema;
mod secret;
mod set;
mod size;
mod stamp;
mod template;
mod tinkerbell;
mod tree;
mod workflow;
mod writes;

#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod native_tests;
#[cfg(test)]
mod tests;

pub use catalog::{Catalog, CompileError};
pub use check::{Origin, check, validate};
pub use dhcp_option::{DhcpOption, OptionValue, Route, domain_list, route_list};
pub use diff::{Changed, Diff, FieldChange, Id, diff};
pub use envelope::{API_VERSION, Document, Kind, Metadata, UnknownKind};
pub use hardware::{
    Circuit, Disk, Hardware, HardwareSpec, HttpTokens, Identity, Instance, Interface, LocalBoot, Os,
    Partition, PartitionTable, Storage, first_instance,
};
pub use install::InstallFiles;
pub use links::{Bond, BondMode, Links, Vlan};
pub(crate) use name::document_name_fault as name_fault;
pub use netboot::{Netboot, NetworkNetboot};
pub(crate) use netboot::{http_uri, nbp};
pub use network::{
    AddressRange, Dhcp, DhcpMode, Dns, MetadataIdentity, Network, NetworkSpec, UnknownMachines,
};
pub use origins::{FieldOrigin, FieldValue};
pub use plan::Plan;
pub use profile::{ProfileError, merge};
pub use rare::{Blank, Rare};
pub use read::read;
pub use resolve::ResolveError;
#[cfg(feature = "schema")]
pub use schema::schema;
pub use secret::{SecretOrigin, SecretSpec};
pub use set::{DocumentSet, Entry};
pub use size::{parse_size, parse_size_range};
pub use stamp::TreeStamp;
pub use template::{NativeAction, NativeTask, NativeTemplate, Steps, TemplateSpec, TimeSpan};
pub use tree::{TreeError, read_tree};
pub use workflow::{Overwrite, WorkflowDocSpec};
pub use writes::{Sight, Write, writes};

pub use crate::yaml::{Fault, Faults};
