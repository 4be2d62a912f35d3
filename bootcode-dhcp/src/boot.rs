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
    Local,
    /// Nothing, since something is wrong.
    Refused(Reason),
}

impl Boot {
    /// The name that goes into `file`.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Tftp { file } => Some(file),
            Self::Http { url } | Self::Script { url } => Some(url),
            Self::NotAsked | Self::Local | Self::Refused(_) => None,
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
    let client = Client { mac: query.mac, arch: query.client.arch(), stage };
    let ask = BootAsk { client, hardware: facts.hardware, network: facts.network, work: facts.work, site };
    match (policy.plan(&ask, now), stage) {
        (BootStep::Nbp { url, .. }, Stage::HttpBoot) => Boot::Http { url },
        (BootStep::Nbp { file, .. }, Stage::Firmware | Stage::Ipxe) => Boot::Tftp { file: file.to_owned() },
        (BootStep::Script { url }, _) => Boot::Script { url },
        // Only a script can tell iPXE to boot a disk by itself; without a file it leaves, which is what `Exit` means.
        (BootStep::LocalDisk { how: LocalBoot::Sanboot }, Stage::Ipxe) => Boot::Script {
            url: format!("{}/ipxe/script/{}/auto.ipxe", site.base_url(facts.network), query.mac),
        },
        (BootStep::LocalDisk { .. }, _) => Boot::Local,
        (BootStep::Refuse(reason), _) => Boot::Refused(reason),
    }
}
