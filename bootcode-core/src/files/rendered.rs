//! Files made for the machine that asks: iPXE scripts, configurations of other boot loaders. `plan_boot` decides, this finds out what that
//! takes, and [`form`] writes it down.

mod form;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use async_trait::async_trait;

use self::form::{Asked, Told};
use super::{Blob, FileError, FileRequest, FileSource, memory::content_tag};
use crate::{
    arch::Arch,
    boot::{BootAsk, BootStep, Client, Script, Site, Stage},
    clock::{Clock, Timestamp},
    document::{Hardware, Interface, Network},
    limits::INSTALL_TOKEN_SECONDS,
    mac::MacAddr,
    policy::BootPolicy,
    session::{BootSessions, Claims, Entropy, Holder, Sealer, Use, random_id},
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError, Work, WorkSource},
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason, Subject},
};

/// How long after its start a server accepts that a machine asks from its reserved address without a DHCP exchange that it saw:
/// firmware fetches its script within seconds of its ACK, or sits some minutes in its boot menu.
const START_GRACE: std::time::Duration = std::time::Duration::from_secs(300);

/// What a script of somebody's own calls the machine's `/install/`, its token included.
const INSTALL_VARIABLE: &str = "bootcode-install";

/// What scripts are made from.
#[derive(Clone)]
pub struct RenderedParts {
    /// Machines.
    pub hardware: Arc<dyn HardwareSource>,
    /// Their networks.
    pub networks: Arc<dyn NetworkSource>,
    /// Their work.
    pub work: Arc<dyn WorkSource>,
    /// Who decides.
    pub policy: Arc<dyn BootPolicy>,
    /// Where machines reach us.
    pub site: Site,
    /// Who did DHCP just now.
    pub sessions: Arc<BootSessions>,
    /// Makes boot tokens.
    pub sealer: Sealer,
    /// Randomness of tokens.
    pub entropy: Entropy,
    /// The timeline.
    pub recorder: Arc<dyn BootRecorder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// iPXE scripts by machine: `<mac>/auto.ipxe`, and `auto.ipxe` for the machine with the asking address. In any directory
/// `pxelinux.cfg/01-<mac>` (pxelinux, U-Boot) and `grub.cfg-01-<mac>`, and a Raspberry Pi's `<serial>/cmdline.txt` or `<mac>/cmdline.txt`.
#[derive(Clone)]
pub struct Rendered {
    parts: RenderedParts,
    /// Until then a machine may ask that did DHCP with the server before this one.
    knows_all_from: Timestamp,
}

impl Rendered {
    /// Made from these parts.
    #[must_use]
    pub fn new(parts: RenderedParts) -> Self {
        let knows_all_from = parts.clock.now().saturating_add(START_GRACE).unwrap_or(Timestamp::MAX);
        Self { parts, knows_all_from }
    }

    /// What the machine is told to boot; `None` where that is a script of somebody's own, which only iPXE reads.
    async fn told(&self, mac: Option<MacAddr>, peer: IpAddr, stage: Stage) -> Result<Option<Told>, Reason> {
        let parts = &self.parts;
        let key = mac.map_or(HardwareKey::Ip(peer), HardwareKey::Mac);
        let hardware = match (parts.hardware.find(&key).await.map_err(|e| reason(&e))?, mac) {
            (Some(hardware), _) => hardware,
            (None, Some(mac)) => return self.undeclared(mac, peer, stage).await.map(Some),
            (None, None) => return Err(Reason::UnknownMachine),
        };
        let mac = match mac {
            Some(mac) => mac,
            None => hardware.netboot_interface().ok_or(Reason::NetbootOff)?.mac,
        };
        let interface = hardware.interface(mac).ok_or(Reason::UnknownMachine)?;
        let network = match interface.ip {
            Some(ip) => parts.networks.network(NetworkKey::Of(ip.into())).await.map_err(|e| reason(&e))?,
            None => None,
        };
        let work = parts.work.work(&hardware).await.map_err(|e| reason(&e))?;
        let now = parts.clock.now();
        let ask = BootAsk {
            client: Client { mac, arch: None, stage },
            hardware: Some(&hardware),
            network: network.as_deref(),
            work: &work,
            site: &parts.site,
        };
        let told = match parts.policy.plan(&ask, now) {
            BootStep::Script { script: Script::Elsewhere | Script::Declared, .. } if stage != Stage::Ipxe => {
                return Ok(None);
            }
            BootStep::Script { url, script: Script::Elsewhere } => Told::Elsewhere { url },
            BootStep::Script { script: Script::Declared, .. } => {
                let text = hardware.spec.netboot.script_text.as_deref().ok_or(Reason::NotFound)?;
                if !text.contains(&format!("${{{INSTALL_VARIABLE}}}")) {
                    return Ok(Some(Told::Declared { text: text.to_owned() }));
                }
                self.saw_after_start(interface, peer, now);
                parts.sessions.admit(mac, peer, now)?;
                let base_url = parts.site.base_url(network.as_deref());
                let url = format!("{base_url}/install/t/{}", self.install_token(&hardware, now));
                Told::Declared { text: with_setting(text, INSTALL_VARIABLE, &url) }
            }
            BootStep::Script { .. } | BootStep::Nbp { .. } => {
                self.saw_after_start(interface, peer, now);
                let holder = Holder::Machine { name: hardware.name.clone() };
                let token =
                    parts.sessions.boot_token(&holder, mac, peer, &parts.sealer, &parts.entropy, now)?;
                let base_url = parts.site.base_url(network.as_deref());
                Told::Osie {
                    arguments: osie_arguments(&hardware, mac, network.as_deref(), &base_url, &token),
                    arch: hardware.spec.arch.unwrap_or(Arch::X86_64),
                    again: format!("{base_url}/ipxe/script/{mac}/auto.ipxe"),
                    machine: hardware.name.clone(),
                    base_url,
                }
            }
            BootStep::LocalDisk { how } => Told::LocalDisk { how },
            BootStep::Refuse(reason) => return Err(reason),
        };
        Ok(Some(told))
    }

    /// In its first minutes a server may be asked by a machine whose DHCP exchange another one saw.
    fn saw_after_start(&self, interface: &Interface, peer: IpAddr, now: Timestamp) {
        if now < self.knows_all_from && interface.ip.map(IpAddr::from) == Some(peer) {
            self.parts.sessions.saw_after_start(interface.mac, peer, now);
        }
    }

    /// For metadata, as an action's: an installer is no instance yet, so it is bound to none.
    fn install_token(&self, hardware: &Hardware, now: Timestamp) -> String {
        self.parts.sealer.seal(&Claims {
            used_for: Use::Instance,
            hardware: hardware.name.clone(),
            id: random_id(&self.parts.entropy),
            bound: String::new(),
            expires: now.as_second().saturating_add(INSTALL_TOKEN_SECONDS.cast_signed()),
        })
    }

    /// Of a machine that nobody declared, where its Network wants to know what it is.
    async fn undeclared(&self, mac: MacAddr, peer: IpAddr, stage: Stage) -> Result<Told, Reason> {
        let (parts, now) = (&self.parts, self.parts.clock.now());
        let network = parts.networks.network(NetworkKey::Of(peer)).await.map_err(|e| reason(&e))?;
        let ask = BootAsk {
            client: Client { mac, arch: None, stage },
            hardware: None,
            network: network.as_deref(),
            work: &Work::Idle,
            site: &parts.site,
        };
        match (parts.policy.plan(&ask, now), network.as_deref(), peer) {
            (BootStep::Refuse(reason), ..) => Err(reason),
            (BootStep::Script { script: Script::Inventory, url }, Some(network), IpAddr::V4(ip)) => {
                let holder = Holder::Undeclared { network: network.name.clone() };
                let token =
                    parts.sessions.boot_token(&holder, mac, peer, &parts.sealer, &parts.entropy, now)?;
                let base_url = parts.site.base_url(Some(network));
                let mut arguments = vec![
                    format!("bootcode.server={base_url}"),
                    format!("bootcode.inventory={token}"),
                    format!("bootcode.mac={mac}"),
                ];
                arguments.extend(address_arguments(ip, network));
                Ok(Told::Inventory { mac, base_url, again: url, arguments })
            }
            // Whatever else a policy of somebody's own says: a stranger is given nothing but that.
            _ => Err(Reason::UnknownMachine),
        }
    }

    fn record(&self, mac: Option<MacAddr>, peer: IpAddr, kind: BootEventKind) {
        let subject = mac.map_or(Subject::Ip(peer), Subject::Mac);
        self.parts.recorder.record(BootEvent { at: self.parts.clock.now(), subject, kind });
    }
}

#[async_trait]
impl FileSource for Rendered {
    async fn open(&self, request: &FileRequest) -> Result<Option<Blob>, FileError> {
        let name = request.name.as_str();
        let Some(Asked { form, mac }) = Asked::of(name) else { return Ok(None) };
        let told = self.told(mac, request.peer, form.stage()).await;
        match told.and_then(|told| told.map(|told| Ok((told.boots(), form.write(&told)?))).transpose()) {
            Ok(None) => Ok(None),
            Ok(Some((boots, text))) => {
                self.record(mac, request.peer, BootEventKind::ScriptServed { boots: boots.to_owned() });
                let tag = content_tag(text.as_bytes());
                Ok(Some(Blob::memory(text, tag)))
            }
            Err(reason) => Err(FileError::Refused { name: name.to_owned(), reason }),
        }
    }
}

/// The script with a setting of iPXE's, from its second line on: the first says what it is.
fn with_setting(script: &str, name: &str, value: &str) -> String {
    let (first, rest) = script.split_once('\n').unwrap_or((script, ""));
    format!("{first}\nset {name} {value}\n{rest}")
}

/// The kernel command line that tells OSIE its network, its server and its token; no DHCP follows.
fn osie_arguments(
    hardware: &Hardware,
    mac: MacAddr,
    network: Option<&Network>,
    base_url: &str,
    token: &str,
) -> Vec<String> {
    let mut arguments = hardware.spec.kernel_args.clone();
    arguments.push(format!("bootcode.server={base_url}"));
    arguments.push(format!("bootcode.worker={}", hardware.name));
    arguments.push(format!("bootcode.token={token}"));
    arguments.push(format!("bootcode.mac={mac}"));
    let ip = hardware.interface(mac).and_then(|interface| interface.ip);
    if let Some((ip, network)) = ip.zip(network) {
        arguments.extend(address_arguments(ip, network));
    }
    arguments
}

/// The part of it that the card is set up by.
fn address_arguments(ip: Ipv4Addr, network: &Network) -> Vec<String> {
    let mut arguments = vec![format!("bootcode.addr={ip}/{}", network.spec.cidr.prefix_len())];
    arguments.extend(network.spec.mtu.map(|mtu| format!("bootcode.mtu={mtu}")));
    arguments.extend(network.spec.gateway.map(|gateway| format!("bootcode.gw={gateway}")));
    let servers: Vec<String> = network.spec.dns.servers.iter().map(ToString::to_string).collect();
    if !servers.is_empty() {
        arguments.push(format!("bootcode.dns={}", servers.join(",")));
    }
    arguments
}

const fn reason(error: &SourceError) -> Reason {
    match error {
        SourceError::Unavailable { .. } => Reason::StoreAway,
        SourceError::Ambiguous { .. } => Reason::Ambiguous,
    }
}

#[cfg(feature = "engine")]
#[cfg(test)]
mod tests;
