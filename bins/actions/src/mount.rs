//! The layout, mounted below one directory for as long as an action works on it.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::syncfs,
};

use crate::{
    limits,
    metadata::{Format, Kind},
    target::{TargetError, Volume},
};

/// Where the target's root is mounted: in the container's own mount namespace, so nothing of it stays behind.
pub(crate) const BASE: &str = "/mnt/bootcode";

/// Mounting or unmounting failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// The place cannot be made.
    #[error("{} cannot be made: {source}", path.display())]
    Place {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file system cannot be mounted.
    #[error("{} cannot be mounted as {format}: {source}; does this system have the file system's module?", node.display())]
    Mount {
        /// The partition.
        node: PathBuf,
        /// The file system.
        format: &'static str,
        /// The cause.
        #[source]
        source: Errno,
    },
    /// What was written did not reach the disk.
    #[error("{}: not all that was written reached the disk: {source}", path.display())]
    Sync {
        /// Where it is mounted.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It stays in use.
    #[error("{} cannot be unmounted: {source}", path.display())]
    Unmount {
        /// Where it is mounted.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Errno,
    },
    /// There is no root.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Mounted file systems; dropped without [`Mounted::finish`] they are let go of without waiting.
#[derive(Debug)]
pub(crate) struct Mounted {
    // In the order in which they were mounted.
    places: Vec<PathBuf>,
}

impl Mounted {
    /// Mounts what the layout mounts, the root first. An ESP without a mount point goes to `/boot/efi` when `esp` says so.
    pub(crate) fn layout(volumes: &[Volume], esp: bool) -> Result<Self, MountError> {
        detach_all();
        let mut order: Vec<(String, &Volume)> = Vec::new();
        for volume in volumes {
            let spec = &volume.part.spec;
            let implied = (esp && spec.kind == Kind::Esp).then(|| "/boot/efi".to_owned());
            if let Some(place) = spec.mount.clone().or(implied) {
                order.push((place, volume));
            }
        }
        order.sort_by_key(|(place, _)| place.split('/').filter(|part| !part.is_empty()).count());
        if order.first().is_none_or(|(place, _)| place != "/") {
            return Err(TargetError::NoRoot.into());
        }
        let mut mounted = Self { places: Vec::new() };
        for (place, volume) in order {
            mounted.add(&below_base(&place), volume)?;
        }
        Ok(mounted)
    }

    /// Mounts one file system alone, as the base.
    pub(crate) fn single(volume: &Volume) -> Result<Self, MountError> {
        detach_all();
        let mut mounted = Self { places: Vec::new() };
        mounted.add(Path::new(BASE), volume)?;
        Ok(mounted)
    }

    /// Everything is on the disk and nothing is mounted any more.
    pub(crate) fn finish(mut self) -> Result<(), MountError> {
        while let Some(path) = self.places.last().cloned() {
            let synced = File::open(&path).and_then(|dir| Ok(syncfs(dir.as_fd())?));
            synced.map_err(|source| MountError::Sync { path: path.clone(), source })?;
            let begin = Instant::now();
            loop {
                match umount2(&path, MntFlags::UMOUNT_NOFOLLOW) {
                    Ok(()) => break,
                    Err(Errno::EBUSY) if begin.elapsed() < limits::BUSY => sleep(Duration::from_millis(100)),
                    Err(source) => return Err(MountError::Unmount { path, source }),
                }
            }
            self.places.pop();
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, volume: &Volume) -> Result<(), MountError> {
        let format = volume.part.format().unwrap_or(Format::Ext4);
        fs::create_dir_all(path).map_err(|source| MountError::Place { path: path.to_owned(), source })?;
        let begin = Instant::now();
        loop {
            let flags = MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
            match mount(Some(&volume.node), path, Some(format.name()), flags, None::<&str>) {
                Ok(()) => break,
                Err(Errno::EBUSY) if begin.elapsed() < limits::BUSY => sleep(Duration::from_millis(200)),
                Err(source) => {
                    return Err(MountError::Mount {
                        node: volume.node.clone(),
                        format: format.name(),
                        source,
                    });
                }
            }
        }
        self.places.push(path.to_owned());
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for path in self.places.iter().rev() {
            let _ = umount2(path, MntFlags::MNT_DETACH);
        }
    }
}

/// Lets go of whatever an earlier, killed run left mounted here.
pub(crate) fn detach_all() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for place in stale(&mounts) {
        let _ = umount2(Path::new(place), MntFlags::MNT_DETACH);
    }
}

/// Mount points at or below the base, the last mounted first (proc(5): the fifth field).
fn stale(mountinfo: &str) -> Vec<&str> {
    let places = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let ours =
        |place: &&str| place.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut found: Vec<_> = places.filter(ours).collect();
    found.reverse();
    found
}

fn below_base(place: &str) -> PathBuf {
    Path::new(BASE).join(place.trim_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_stale_mounts_are_found_deepest_first() {
        let mountinfo = "\
            21 1 0:19 / / rw - ext4 /dev/vda rw\n\
            30 21 254:3 / /mnt/bootcode rw,relatime - ext4 /dev/vda3 rw\n\
            31 30 254:2 / /mnt/bootcode/boot/efi rw - vfat /dev/vda2 rw\n\
            32 21 0:20 / /mnt/bootcode-other rw - tmpfs tmpfs rw\n";
        assert_eq!(stale(mountinfo), ["/mnt/bootcode/boot/efi", "/mnt/bootcode"]);
    }

    #[test]
    fn mount_points_stay_below_the_base() {
        assert_eq!(below_base("/"), Path::new("/mnt/bootcode/"));
        assert_eq!(below_base("/boot/efi"), Path::new("/mnt/bootcode/boot/efi"));
    }
}
