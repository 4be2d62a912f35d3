//! What machines fetch, from the configured directories and from `plan_boot`.

use std::{path::Path, sync::Arc, time::Duration};

use bootcode_core::{
    boot::DISK_LOADER,
    files::{Autoexec, BelowMac, Chain, Dir, FileSource, Hot, Rendered},
    limits,
};

use crate::{config::Config, control::Control, error::ServerError, images::Images};

/// The same files by both protocols.
pub(crate) struct MachineFiles {
    /// By HTTP path, without the first slash.
    pub http: Arc<dyn FileSource>,
    /// By TFTP name.
    pub tftp: Arc<dyn FileSource>,
    /// What `/files/` serves, by name.
    pub files: Arc<dyn FileSource>,
}

/// Opens the configured directories. One that was configured must exist; a default one that is missing is a warning.
///
/// # Errors
/// [`ServerError::Path`] names the key.
pub(crate) fn open(
    config: &Config,
    control: &Control,
    images: &Images,
    rendered: Rendered,
    autoexec: Autoexec,
) -> Result<MachineFiles, ServerError> {
    let memory = Hot::new(Arc::new(Chain::new()), Arc::clone(&control.clock), config.hot_mib << 20)
        .trusting(Duration::from_millis(limits::HOT_TRUST_MS));
    let open_dir = |key, path: &Path| {
        let dir = open_dir(config, key, path)?;
        Ok::<_, ServerError>(dir.map(|dir| Arc::new(memory.beside(dir)) as Arc<dyn FileSource>))
    };
    let mut files = Chain::new();
    for path in &config.files {
        if let Some(dir) = open_dir("files", path)? {
            files = files.with(dir);
        }
    }
    // After the directories: a file that somebody put there is what they want.
    if let Some(images) = images.files() {
        files = files.with(images);
    }
    let files: Arc<dyn FileSource> = Arc::new(files);
    let rendered: Arc<dyn FileSource> = Arc::new(rendered);
    let mut http = Chain::new()
        .with_prefix("files", Arc::clone(&files))
        .with_prefix("ipxe/script", Arc::clone(&rendered))
        .with(Arc::clone(&rendered));
    let mut tftp = Chain::new();
    if let Some(ipxe) = open_dir("ipxe", &config.ipxe)? {
        http = http.with_prefix("ipxe/binary", Arc::clone(&ipxe));
        tftp = tftp.with(Arc::clone(&ipxe));
        let below_mac: Arc<dyn FileSource> = Arc::new(BelowMac::new(ipxe));
        http = http.with_prefix("ipxe/binary", Arc::clone(&below_mac));
        tftp = tftp.with(below_mac);
    }
    // An NBP that a document names, such as a signed shim, and what that loads next to itself.
    http = http.with_prefix("ipxe/binary", Arc::clone(&files));
    // Last, so that a file of that name goes before it.
    let autoexec: Arc<dyn FileSource> = Arc::new(autoexec);
    http = http.with_prefix("ipxe/binary", Arc::clone(&autoexec)).with_prefix("grub", Arc::clone(&autoexec));
    if let Some(osie) = open_dir("osie", &config.osie)? {
        http = http.with_prefix("osie", Arc::clone(&osie));
        // Not its kernel, which iPXE fetches by HTTP: DISK_LOADER, for UEFI's PXE client.
        tftp = tftp.with_prefix("osie", osie);
    }
    tftp = tftp.with(rendered).with(Arc::clone(&files)).with(autoexec);
    Ok(MachineFiles { http: Arc::new(http), tftp: Arc::new(tftp), files })
}

/// Whether there is a program that starts the boot loader on a UEFI machine's own disk. Looked for once: an OSIE that gets one later takes a restart.
pub(crate) fn has_disk_loader(config: &Config) -> bool {
    let there = DISK_LOADER.strip_prefix("osie/").is_some_and(|name| config.osie.join(name).is_file());
    if !there {
        tracing::warn!(
            directory = %config.osie.display(),
            file = DISK_LOADER,
            "a UEFI machine without work takes a minute or more to come to its disk; `cargo xtask osie` makes the program that spares it"
        );
    }
    there
}

/// Whether the configured directories can be opened.
///
/// # Errors
/// [`ServerError::Path`] names the key.
pub(crate) fn check(config: &Config) -> Result<(), ServerError> {
    for path in &config.files {
        open_dir(config, "files", path)?;
    }
    open_dir(config, "ipxe", &config.ipxe)?;
    open_dir(config, "osie", &config.osie).map(drop)
}

fn open_dir(
    config: &Config,
    key: &'static str,
    path: &Path,
) -> Result<Option<Arc<dyn FileSource>>, ServerError> {
    match Dir::new(path) {
        Ok(dir) => Ok(Some(Arc::new(dir))),
        Err(error) if config.is_default(key) => {
            tracing::warn!(key, directory = %path.display(), %error, "a default directory is missing; machines get nothing from it");
            Ok(None)
        }
        Err(error) => {
            let message = format!("cannot be opened as a directory: {error}; make it, or name another");
            Err(ServerError::Path { key, path: path.to_owned(), message })
        }
    }
}
