//! cloud-init-seed: what the first boot must know, on the disk, so that it needs nothing of the network.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{
    file,
    root_fs::{INCOMPLETE, RECORD},
    seed_files::{DATASOURCES, meta_data, network_config, user_data},
};
use crate::{ActionError, metadata::Metadata, mount::Mounted, target};

/// Why there is no seed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The files are not all there.
    #[error("the root file system is not completely installed: run install-root-fs before this action")]
    Incomplete,
    /// The image has no cloud-init.
    #[error("the installed system has no cloud-init (/etc/cloud is missing): its image needs the package")]
    NoCloudInit,
    /// An address without its network's size.
    #[error("interface `{interface}` has an address but no prefix: is its `network` declared?")]
    NoPrefix {
        /// The interface.
        interface: String,
    },
    /// A prefix that is none.
    #[error("interface `{interface}` has a prefix of {prefix} bits, which its address does not have")]
    Prefix {
        /// The interface.
        interface: String,
        /// The prefix.
        prefix: u8,
    },
    /// A hardware address that is none.
    #[error("interface `{interface}`: `{mac}` is not a hardware address (six octets, 52:54:00:00:00:01)")]
    Mac {
        /// The interface.
        interface: String,
        /// What was given.
        mac: String,
    },
    /// Two interfaces of one id.
    #[error("interface `{interface}` stands twice in the document")]
    Twice {
        /// The interface.
        interface: String,
    },
    /// User data of no kind that cloud-init knows.
    #[error("`userData` begins with no line that cloud-init knows: `#cloud-config` or `#!/bin/sh` as a rule")]
    UserData,
    /// A URL that cannot be called.
    #[error("the metadata's `phoneHome` is not an http:// URL with a printable token")]
    PhoneHome,
}

/// Where cloud-init's NoCloud looks.
const SEED: &str = "/var/lib/cloud/seed/nocloud";

/// Writes the seed.
pub(super) async fn run(metadata: &Metadata) -> Result<String, ActionError> {
    let texts = [
        ("meta-data", meta_data(metadata), 0o644),
        ("network-config", network_config(metadata)?, 0o644),
        // It holds the phone-home token, and may hold the owner's secrets.
        ("user-data", user_data(metadata)?, 0o600),
    ];
    let volumes = target::volumes(metadata)?;
    let mounted = Mounted::layout(&volumes, false)?;
    if file::exists(INCOMPLETE)? || !file::exists(RECORD)? {
        return Err(SeedError::Incomplete.into());
    }
    if !file::exists("/etc/cloud")? {
        return Err(SeedError::NoCloudInit.into());
    }
    for (name, text, mode) in &texts {
        file::write(&format!("{SEED}/{name}"), text, *mode)?;
    }
    let directory = file::in_target(SEED)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))
        .map_err(|source| ActionError::File { path: directory, doing: "setting its mode", source })?;
    file::write("/etc/cloud/cloud.cfg.d/90-bootcode-datasource.cfg", DATASOURCES, 0o644)?;
    tokio::task::spawn_blocking(move || mounted.finish()).await??;
    let home = if metadata.phone_home.is_some() { "phones home" } else { "does not phone home" };
    Ok(format!(
        "{SEED}: {} as {}, {} interfaces, {} keys, {home}",
        metadata.hostname(),
        metadata.id,
        metadata.interfaces.len(),
        metadata.instance.ssh_keys.len()
    ))
}
