//! Loads the modules for the devices that are there, and those that every machine needs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use super::console::say;
use super::error::InitError;
use super::mounts;
use crate::limits::{MODALIAS_BYTES, MODULE_PASSES, MODULE_TABLE_BYTES};
use crate::modules::{AliasTable, DependencyTable};

/// The modules of the initramfs.
pub(super) struct Drivers {
    directory: PathBuf,
    dependencies: DependencyTable,
    aliases: AliasTable,
    always: Vec<String>,
    loaded: BTreeSet<String>,
}

impl Drivers {
    /// Opens the tables for the running kernel.
    ///
    /// # Errors
    /// There are none for it, or one cannot be read.
    pub(super) fn open() -> Result<Self, InitError> {
        let uname = nix::sys::utsname::uname().map_err(InitError::call("uname"))?;
        let running = uname.release().to_string_lossy().into_owned();
        let directory = Path::new("/lib/modules").join(&running);
        if !directory.exists() {
            return Err(InitError::OtherKernel { running });
        }
        let table = |name: &str| read_bounded(&directory.join(name), MODULE_TABLE_BYTES);
        let always = table("modules.load")?.lines().map(str::to_owned).collect();
        Ok(Self {
            dependencies: DependencyTable::parse(&table("modules.dep")?),
            aliases: AliasTable::parse(&table("modules.alias")?),
            always,
            loaded: BTreeSet::new(),
            directory,
        })
    }

    /// Loads what every machine needs, then what its devices ask for, until no further device appears.
    ///
    /// # Errors
    /// The tables are damaged. A module that the kernel refuses is told on the console and passed over.
    pub(super) fn load(&mut self) -> Result<(), InitError> {
        let mut wanted = BTreeSet::from_iter(self.always.iter().cloned());
        if !mounts::booted_by_uefi() {
            wanted.remove("efivarfs");
        }
        wanted.append(&mut self.wanted_by_devices());
        self.load_until_settled(wanted)
    }

    fn load_until_settled(&mut self, mut wanted: BTreeSet<String>) -> Result<(), InitError> {
        for _ in 0..MODULE_PASSES {
            let before = self.loaded.len();
            let present = wanted.iter().filter(|name| self.dependencies.contains(name));
            for name in self.dependencies.load_order(present)? {
                self.insert(&name);
            }
            if self.loaded.len() == before {
                break;
            }
            wanted = self.wanted_by_devices();
        }
        Ok(())
    }

    fn wanted_by_devices(&self) -> BTreeSet<String> {
        devices().iter().flat_map(|device| self.aliases.modules_for(device)).collect()
    }

    /// Loads the modules of devices that appeared since.
    ///
    /// # Errors
    /// As [`Drivers::load`].
    pub(super) fn rescan(&mut self) -> Result<(), InitError> {
        self.load_until_settled(self.wanted_by_devices())
    }

    /// Loads one module that no device asks for; nothing when the initramfs lacks it, as when it is built in.
    ///
    /// # Errors
    /// As [`Drivers::load`].
    pub(super) fn load_named(&mut self, name: &str) -> Result<(), InitError> {
        self.load_until_settled(BTreeSet::from([name.to_owned()]))
    }

    /// How many modules this loaded or found loaded.
    pub(super) fn count(&self) -> usize {
        self.loaded.len()
    }

    fn insert(&mut self, name: &str) {
        if !self.loaded.insert(name.to_owned()) {
            return;
        }
        let Some(path) = self.dependencies.path(name).map(|path| self.directory.join(path)) else { return };
        let outcome = File::open(&path).map_err(InitError::file("open", &path)).and_then(|file| {
            match finit_module(&file, c"", ModuleInitFlags::empty()) {
                Ok(()) | Err(Errno::EEXIST) => Ok(()),
                // What the module drives is not in this machine.
                Err(Errno::ENODEV) => Ok(()),
                Err(source) => Err(InitError::Call { call: format!("loading module {name}"), source }),
            }
        });
        if let Err(error) = outcome {
            say(error);
        }
    }
}

/// The `modalias` of every device that every bus has.
fn devices() -> BTreeSet<String> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    entries(Path::new("/sys/bus"))
        .flat_map(|bus| entries(&bus.join("devices")))
        .filter_map(|device| read_bounded(&device.join("modalias"), MODALIAS_BYTES).ok())
        .map(|modalias| modalias.trim().to_owned())
        .filter(|modalias| !modalias.is_empty())
        .collect()
}

fn read_bounded(path: &Path, limit: u64) -> Result<String, InitError> {
    let mut text = String::new();
    let file = File::open(path).map_err(InitError::file("open", path))?;
    file.take(limit).read_to_string(&mut text).map_err(InitError::file("read", path))?;
    Ok(text)
}
