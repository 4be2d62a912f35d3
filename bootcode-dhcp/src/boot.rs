//! What a client is told to load: the policy's decision in DHCP's terms.

use bootcode_core::{
    boot::{BootAsk, BootStep, Client, Site, Stage},
    clock::Timestamp,
    document::LocalBoot,
    policy::BootPolicy,
    timeline::Reason,
};

use crate::{query::Query, responder::Facts};

/// What a client is told to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// It did not ask: an operating system.
    NotAsked,
    /// A file by TFTP from us.
    Tftp {
        /// Its name.
        file: String,
    },
    /// The files of a Raspberry Pi's own loader by TFTP from us, each under its own name.
    RaspberryPi {
        /// The first of them; later models have it built in.
        file: String,
    },
    /// A network boot program by HTTP, for firmware.
    Http {
        /// Where it is.
        url: String,
    },
    /// A script, for iPXE.
    Script {
        /// Where it is.
        url: String,
    },
    /// Nothing: it shall go on to its disk.
    Local(Onward),
    /// Nothing, since something is wrong.
    Refused(Reason, Onward),
}

/// How a client that shall load nothing is brought to its next boot device at once. Silence, or a lease alone, would do it too late:
/// EDK2 takes neither for an answer and asks for a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// A lease that names no file: iPXE then leaves.
    NoFile,
    /// A PXE boot menu whose one entry, chosen without waiting, is type 0, local boot (PXE 2.1, table 2-1).
    LocalBoot,
    /// HTTP boot knows no such thing; a file that is not there ends it.
    NoSuchFile {
        /// Where there is none.
        url: String,
    },
}

impl Boot {
    /// The name that goes into `file`.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Tftp { file } | Self::RaspberryPi { file } => Some(file),
            Self::Http { url } | Self::Script { url } => Some(url),
            Self::Local(Onward::NoSuchFile { url }) | Self::Refused(_, Onward::NoSuchFile { url }) => {
                Some(url)
            }
            Self::NotAsked | Self::Local(_) | Self::Refused(..) => None,
        }
    }
}

/// Asks the policy what this client boots.
pub(crate) fn boot(
    query: &Query,
    facts: &Facts<'_>,
    policy: &dyn BootPolicy,
    site: &Site,
    now: Timestamp,
) -> Boot {
    let Some(stage) = query.client.stage() else { return Boot::NotAsked };
    let ask = |arch| BootAsk {
        client: Client { mac: query.mac, arch, stage },
        hardware: facts.hardware,
        network: facts.network,
        work: facts.work,
        site,
    };
    let base_url = || site.base_url(facts.network);
    let onward = || match stage {
        Stage::HttpBoot => Onward::NoSuchFile { url: format!("{}/ipxe/binary/local-disk", base_url()) },
        Stage::Firmware if !query.client.ipxe => Onward::LocalBoot,
        // A Pi's loader goes on by itself where no boot menu of its own is offered.
        Stage::Firmware | Stage::RaspberryPi | Stage::Ipxe | Stage::Loader => Onward::NoFile,
    };
    // Of a list of architectures the first that can be served: which that is, documents may say.
    let plan = |arch| policy.plan(&ask(arch), now);
    let mut steps = query.client.archs.iter().map(|arch| plan(Some(*arch)));
    let step = steps
        .find(|step| *step != BootStep::Refuse(Reason::NoNbp))
        .unwrap_or_else(|| plan(query.client.arch()));
    match (step, stage) {
        (BootStep::Nbp { url, .. }, Stage::HttpBoot) => Boot::Http { url },
        (BootStep::Nbp { file, .. }, Stage::RaspberryPi) => Boot::RaspberryPi { file: file.into_owned() },
        (BootStep::Nbp { file, .. }, Stage::Firmware | Stage::Ipxe | Stage::Loader) => {
            Boot::Tftp { file: file.into_owned() }
        }
        (BootStep::Script { url, .. }, _) => Boot::Script { url },
        // Only a script can tell iPXE to boot a disk by itself; without a file it leaves, which is what `Exit` means.
        (BootStep::LocalDisk { how: LocalBoot::Sanboot }, Stage::Ipxe) => {
            Boot::Script { url: format!("{}/ipxe/script/{}/auto.ipxe", base_url(), query.mac) }
        }
        (BootStep::LocalDisk { .. }, _) => Boot::Local(onward()),
        (BootStep::Refuse(reason), _) => Boot::Refused(reason, onward()),
    }
}
