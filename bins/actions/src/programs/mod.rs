//! The five actions.

mod file;
mod fstab;
mod grub;
mod grub_config;
mod partition;
mod root_fs;
mod seed;
mod seed_files;
mod wipe;

pub use grub::GrubError;
#[cfg(test)]
pub(crate) use partition::entry;
pub use seed::SeedError;

use crate::{ActionError, Environment, metadata::Metadata, mount};

/// An action by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Empties the selected disks.
    DiskWipe,
    /// Writes their tables and file systems.
    DiskPartition,
    /// Writes the operating system's files.
    InstallRootFs,
    /// Makes it boot.
    InstallGrub,
    /// Tells its first boot what it is.
    CloudInitSeed,
}

impl Program {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 5] =
        [Self::DiskWipe, Self::DiskPartition, Self::InstallRootFs, Self::InstallGrub, Self::CloudInitSeed];

    /// Its name, which is its image's too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskWipe => "disk-wipe",
            Self::DiskPartition => "disk-partition",
            Self::InstallRootFs => "install-root-fs",
            Self::InstallGrub => "install-grub",
            Self::CloudInitSeed => "cloud-init-seed",
        }
    }

    /// The program with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name() == name)
    }
}

/// Runs an action to its end and says in one line what it did.
///
/// # Errors
/// What was off; the disk may then be half-written, and nothing calls the system installed.
pub async fn run(program: Program, environment: &Environment) -> Result<String, ActionError> {
    // In a mount namespace that outlived a killed run, its mounts would hold the disk.
    mount::detach_all();
    let metadata = Metadata::fetch(environment).await?;
    match program {
        Program::DiskWipe => tokio::task::spawn_blocking(move || wipe::run(&metadata)).await?,
        Program::DiskPartition => partition::run(&metadata).await,
        Program::InstallRootFs => root_fs::run(&metadata, environment).await,
        Program::InstallGrub => grub::run(&metadata).await,
        Program::CloudInitSeed => seed::run(&metadata).await,
    }
}

/// Lets go of everything at once: called when the action is told to end.
pub fn abandon() {
    mount::detach_all();
}
