//! The one function that decides what a machine boots (I7).

use std::{borrow::Cow, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::{
    arch::{Arch, ClientArch, Firmware},
    clock::Timestamp,
    document::{Hardware, LocalBoot, Netboot, Network, UnknownMachines, http_uri, nbp},
    mac::MacAddr,
    source::Work,
    timeline::Reason,
};

/// Which program asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// PXE firmware: fetches an NBP by TFTP.
    Firmware,
    /// UEFI HTTP boot: fetches an NBP by HTTP.
    HttpBoot,
    /// A Raspberry Pi's own loader: fetches a fixed set of files by TFTP.
    RaspberryPi,
    /// Any iPXE.
    Ipxe,
    /// Another boot loader that fetches a configuration by its machine's name: pxelinux, U-Boot, GRUB, a Raspberry Pi's with its `cmdline.txt`.
    Loader,
}

/// The program that asks, as far as protocols know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The interface that boots.
    pub mac: MacAddr,
    /// Option 93; `None` where the protocol does not tell.
    pub arch: Option<ClientArch>,
    /// Which program.
    pub stage: Stage,
}

/// What is the same for every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Where machines reach us: `advertise`, or our interfaces' addresses. At least one.
    pub addresses: Vec<Ipv4Addr>,
    /// The port of the machines' HTTP.
    pub http_port: u16,
    /// Whether [`DISK_LOADER`] is served.
    pub disk_loader: bool,
}

/// The boot program that starts the boot loader on the disk of an x64 UEFI machine, by TFTP and by HTTP. Told to load nothing, EDK2 asks for a
/// minute by every other network protocol before it comes to its disk.
pub const DISK_LOADER: &str = "osie/local-disk-x86_64.efi";

impl Site {
    /// Our address for machines of this network: the one inside it, else the first.
    #[must_use]
    pub fn address(&self, network: Option<&Network>) -> Ipv4Addr {
        let inside =
            |address: &&Ipv4Addr| network.is_some_and(|network| network.spec.cidr.contains(*address));
        let address = self.addresses.iter().find(inside).or_else(|| self.addresses.first());
        address.copied().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Where machines of this network reach our HTTP: `http://192.168.99.1:7080`, no slash at the end.
    #[must_use]
    pub fn base_url(&self, network: Option<&Network>) -> String {
        format!("http://{}:{}", self.address(network), self.http_port)
    }
}

/// All that the decision takes.
#[derive(Debug, Clone)]
pub struct BootAsk<'a> {
    /// Who asks.
    pub client: Client,
    /// The machine, where it is known.
    pub hardware: Option<&'a Hardware>,
    /// The network that it asks from.
    pub network: Option<&'a Network>,
    /// What there is to do.
    pub work: &'a Work,
    /// The site.
    pub site: &'a Site,
}

/// What the asking program is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootStep {
    /// Load this network boot program: a file name for TFTP, and the same by HTTP.
    Nbp {
        /// Its name in the directory of iPXE binaries, or among the other files; or [`DISK_LOADER`].
        file: Cow<'static, str>,
        /// The same by HTTP.
        url: String,
    },
    /// iPXE: fetch the machine's script. Another boot loader is told the same in its own words, unless the script is somebody's own.
    Script {
        /// Where it is.
        url: String,
        /// Whose it is.
        script: Script,
    },
    /// Boot the machine's own disk.
    LocalDisk {
        /// How the asking program does that; never `Auto`.
        how: LocalBoot,
    },
    /// Nothing is answered.
    Refuse(Reason),
}

/// Whose script it is that iPXE is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Ours, which boots OSIE.
    Osie,
    /// Ours, which boots OSIE to look at a machine that nobody declared, and for nothing else.
    Inventory,
    /// `netboot.scriptText` of the machine, which we hand out.
    Declared,
    /// `netboot.script` of the machine or its network, on whatever server.
    Elsewhere,
}

/// Decides what a machine boots (DESIGN: netboot policy).
///
/// Whether the disk or OSIE is next depends on the work alone; the stage decides how the asking program is brought there.
#[must_use]
pub fn plan_boot(ask: &BootAsk<'_>, _now: Timestamp) -> BootStep {
    let Some(hardware) = ask.hardware else { return undeclared(ask) };
    let Some(interface) = hardware.interface(ask.client.mac) else {
        return BootStep::Refuse(Reason::UnknownMachine);
    };
    if !interface.netboot {
        return BootStep::Refuse(Reason::NetbootOff);
    }
    let netboot = &hardware.spec.netboot;
    let from_network = netboot.always || !matches!(ask.work, Work::Idle);
    if from_network && let Some(reason) = mismatch(hardware, ask.client.arch) {
        return BootStep::Refuse(reason);
    }
    if !from_network {
        return local_disk(ask, hardware.spec.local_boot);
    }
    match ask.client.stage {
        Stage::Ipxe | Stage::Loader => script(ask, hardware),
        Stage::Firmware | Stage::HttpBoot | Stage::RaspberryPi => nbp_step(ask, &hardware.spec.netboot),
    }
}

/// A machine that nobody declared: OSIE for its inventory where its Network says `unknown: boot`. A script that the Network names is for
/// its declared machines: whatever that installs, it is not for strangers.
fn undeclared(ask: &BootAsk<'_>) -> BootStep {
    if ask.network.is_none_or(|network| network.spec.unknown != UnknownMachines::Boot) {
        return BootStep::Refuse(Reason::UnknownMachine);
    }
    match ask.client.stage {
        Stage::Ipxe | Stage::Loader => own_script(ask, Script::Inventory),
        Stage::Firmware | Stage::HttpBoot | Stage::RaspberryPi => nbp_step(ask, &Netboot::default()),
    }
}

fn own_script(ask: &BootAsk<'_>, script: Script) -> BootStep {
    let base_url = ask.site.base_url(ask.network);
    BootStep::Script { url: format!("{base_url}/ipxe/script/{}/auto.ipxe", ask.client.mac), script }
}

fn script(ask: &BootAsk<'_>, hardware: &Hardware) -> BootStep {
    let netboot = &hardware.spec.netboot;
    let own = |script| own_script(ask, script);
    let of_network = || ask.network?.spec.netboot.script.as_ref();
    match (&netboot.script_text, netboot.script.as_ref().or_else(of_network)) {
        (Some(_), _) => own(Script::Declared),
        (None, Some(url)) => BootStep::Script { url: url.clone(), script: Script::Elsewhere },
        (None, None) => own(Script::Osie),
    }
}

fn nbp_step(ask: &BootAsk<'_>, netboot: &Netboot) -> BootStep {
    let of_network = ask.network.map(|network| &network.spec.netboot);
    let Some(arch) = ask.client.arch else { return BootStep::Refuse(Reason::NoNbp) };
    let elsewhere = http_uri(netboot, of_network, arch)
        .filter(|_| ask.client.stage == Stage::HttpBoot)
        .map(str::to_owned);
    let Some(file) = nbp(netboot, of_network, arch).or(elsewhere.as_deref()) else {
        return BootStep::Refuse(Reason::NoNbp);
    };
    let url =
        elsewhere.clone().unwrap_or_else(|| format!("{}/ipxe/binary/{file}", ask.site.base_url(ask.network)));
    BootStep::Nbp { file: Cow::Owned(file.to_owned()), url }
}

/// Why a machine that asks with this architecture cannot be the declared one.
fn mismatch(hardware: &Hardware, arch: Option<ClientArch>) -> Option<Reason> {
    let arch = arch?;
    let differs = |declared: Option<Arch>| declared.zip(arch.arch()).is_some_and(|(a, b)| a != b);
    let firmware = |declared: Option<Firmware>| declared.zip(arch.firmware()).is_some_and(|(a, b)| a != b);
    (differs(hardware.spec.arch) || firmware(hardware.spec.firmware)).then_some(Reason::WrongArch)
}

fn local_disk(ask: &BootAsk<'_>, declared: LocalBoot) -> BootStep {
    let runs_it =
        matches!(ask.client.arch, Some(ClientArch::X64_EFI | ClientArch::EBC | ClientArch::X64_EFI_HTTP));
    if declared == LocalBoot::Auto && runs_it && ask.site.disk_loader {
        let url = format!("{}/{DISK_LOADER}", ask.site.base_url(ask.network));
        return BootStep::Nbp { file: Cow::Borrowed(DISK_LOADER), url };
    }
    BootStep::LocalDisk { how: local_boot(declared, &ask.client) }
}

const fn local_boot(declared: LocalBoot, client: &Client) -> LocalBoot {
    match (declared, client.stage) {
        // Firmware has no script to leave: without a boot file it goes on to the next entry of its boot order.
        (_, Stage::Firmware | Stage::HttpBoot | Stage::RaspberryPi) => LocalBoot::NoReply,
        (LocalBoot::Auto, Stage::Ipxe | Stage::Loader) => LocalBoot::Exit,
        (declared, Stage::Ipxe | Stage::Loader) => declared,
    }
}

#[cfg(test)]
mod tests;
