//! The distribution's kernel and those of its modules that OSIE takes along.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::command::{output, tool};
use super::control::Package;
use super::cpio::Archive;
use super::error::BuildError;
use super::packages;
use crate::modules::{AliasTable, DependencyTable, module_name};

/// Loaded on every machine (`efivarfs` where UEFI is): no device asks for a file system. A kernel without one of these
/// cannot serve.
const ALWAYS: [&str; 5] = ["overlay", "vfat", "nls_ascii", "nls_cp437", "efivarfs"];

/// Loaded for the devices of a virtual machine; a kernel without one of these cannot serve.
const VIRTIO: [&str; 3] = ["virtio_pci", "virtio_net", "virtio_blk"];

/// Taken when the kernel has them, loaded when a device asks: disks, cards and buses of clouds and of servers.
const WHERE_PRESENT: [&str; 34] = [
    "8021q",
    "ahci",
    "ata_piix",
    "bnxt_en",
    "e1000",
    "e1000e",
    "ena",
    "gve",
    "hv_netvsc",
    "hv_storvsc",
    "hv_utils",
    "hv_vmbus",
    "i40e",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "loop",
    "megaraid_sas",
    "mpi3mr",
    "mpt3sas",
    "nvme",
    "r8169",
    "sd_mod",
    "tg3",
    "virtio_mmio",
    "virtio_rng",
    "virtio_scsi",
    "vmw_pvscsi",
    "vmxnet3",
    "xen_blkfront",
    "xen_netfront",
    "crc32c_intel",
];

/// Loaded on every machine besides [`ALWAYS`], where the kernel has them: SCSI disks show themselves too late to be
/// asked for.
const ALWAYS_WHERE_PRESENT: [&str; 2] = ["sd_mod", "crc32c_intel"];

/// One kernel, unpacked in the cache.
pub(super) struct Kernel {
    tree: PathBuf,
    pub(super) version: String,
    pub(super) digest: String,
}

impl Kernel {
    /// Finds the first of `names` that apt knows, fetches and unpacks it.
    pub(super) fn fetch(names: &[String], cache: &Path) -> Result<Self, BuildError> {
        let packages = first_known(names)?;
        let tree = packages::unpacked(&packages, cache, |tree| {
            if !tree.join("lib").exists() {
                symlink("usr/lib", tree.join("lib")).map_err(BuildError::file("make", tree.join("lib")))?;
            }
            let mut command = tool("depmod");
            command.arg("-b").arg(tree).arg(version(tree)?);
            output(&mut command, "kmod", "").map(drop)
        })?;
        Ok(Self { version: version(&tree)?, digest: packages::digest(&packages), tree })
    }

    /// The bootable image.
    pub(super) fn image(&self) -> PathBuf {
        self.tree.join("boot").join(format!("vmlinuz-{}", self.version))
    }

    /// Puts the module closure and its tables into the initramfs; gives how many modules that are.
    pub(super) fn add_modules(&self, archive: &mut Archive) -> Result<usize, BuildError> {
        let directory = modules_directory(&self.tree).join(&self.version);
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(BuildError::file("read", path))
        };
        let dependencies = DependencyTable::parse(&read("modules.dep")?);
        let aliases = AliasTable::parse(&read("modules.alias")?);
        let builtin: BTreeSet<String> = read("modules.builtin")?.lines().map(module_name).collect();
        let required = ALWAYS.iter().chain(&VIRTIO).filter(|name| !builtin.contains(**name));
        let optional = WHERE_PRESENT.iter().filter(|name| dependencies.contains(name));
        let order = dependencies.load_order(required.chain(optional))?;
        let target = format!("usr/lib/modules/{}", self.version);
        for name in &order {
            let path = dependencies.path(name).map(|path| directory.join(path)).unwrap_or_default();
            archive.file(&format!("{target}/kernel/{name}.ko"), 0o644, plain_module(&path)?);
        }
        let always =
            ALWAYS.iter().chain(&ALWAYS_WHERE_PRESENT).filter(|name| order.iter().any(|one| one == **name));
        let load: String = always.map(|name| format!("{name}\n")).collect();
        archive.file(&format!("{target}/modules.load"), 0o644, load);
        archive.file(&format!("{target}/modules.dep"), 0o644, dependencies.render(&order, "kernel"));
        archive.file(&format!("{target}/modules.alias"), 0o644, aliases.render(&order));
        Ok(order.len())
    }
}

fn first_known(names: &[String]) -> Result<Vec<Package>, BuildError> {
    for name in names {
        match packages::closure(name, |name| {
            name.starts_with("linux-image-") || name.starts_with("linux-modules-")
        }) {
            Err(BuildError::PackageUnknown { .. }) => {}
            found => return found,
        }
    }
    Err(BuildError::PackageUnknown { names: names.join(", ") })
}

fn modules_directory(tree: &Path) -> PathBuf {
    tree.join("lib/modules")
}

/// The one version whose modules the tree holds.
fn version(tree: &Path) -> Result<String, BuildError> {
    let directory = modules_directory(tree);
    let entries = fs::read_dir(&directory).map_err(BuildError::file("read", &directory))?;
    let with_image = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    with_image
        .into_iter()
        .find(|version| tree.join("boot").join(format!("vmlinuz-{version}")).exists())
        .ok_or(BuildError::PackageContent {
            package: "with the kernel".into(),
            file: "boot/vmlinuz with its modules".into(),
        })
}

/// A module's file without the compression that some distributions put on it: init hands it to the kernel as it is.
fn plain_module(path: &Path) -> Result<Vec<u8>, BuildError> {
    let (program, package) = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => ("xz", "xz-utils"),
        Some("zst") => ("zstd", "zstd"),
        Some("gz") => ("gzip", "gzip"),
        _ => return fs::read(path).map_err(BuildError::file("read", path)),
    };
    output(tool(program).arg("-dc").arg(path), package, "")
}
