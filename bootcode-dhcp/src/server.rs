//! The shell: sockets, look-ups, and one trunk from a packet to its reply.

mod error;
mod frame;
mod link;
mod socket;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bootcode_core::{
    boot::Site,
    clock::{Clock, Timestamp},
    document::{Hardware, Network},
    policy::BootPolicy,
    session::BootSessions,
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError, Work, WorkSource},
    timeline::{BootEvent, BootRecorder, Reason, Subject},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use self::{error::BindError, link::interface_addresses};
use self::{link::Link, socket::Port};
use crate::{
    limits,
    query::{Query, RxMeta, ServerPort, classify},
    record::events,
    responder::{Facts, Notice, Response, Verdict, respond},
    wire::{Packet, ReplyType},
};

/// What a server is told at start.
#[derive(Clone)]
pub struct DhcpConfig {
    /// The interfaces where machines are. Each must exist.
    pub interfaces: Vec<String>,
    /// How machines reach us: options 54 and 66, `siaddr`, and what boot files and scripts are named by.
    pub site: Site,
}

/// Where facts come from and events go to.
#[derive(Clone)]
pub struct Sources {
    /// Machines.
    pub hardware: Arc<dyn HardwareSource>,
    /// Networks.
    pub networks: Arc<dyn NetworkSource>,
    /// Work.
    pub work: Arc<dyn WorkSource>,
    /// Told which address just did DHCP for which machine, before the machine itself is.
    pub sessions: Arc<BootSessions>,
    /// What machines boot.
    pub policy: Arc<dyn BootPolicy>,
    /// The timeline.
    pub recorder: Arc<dyn BootRecorder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A DHCP server whose sockets are open.
pub struct DhcpServer {
    ports: Vec<Port>,
    shell: Arc<Shell>,
}

impl DhcpServer {
    /// Opens ports 67 and 4011 on each interface. Nothing is sent on a network whose Network document does not say so.
    ///
    /// # Errors
    /// [`BindError`]: a site without an address, an interface that is missing, a port that another program holds, no right to open it.
    // Registers sockets with the runtime, so it belongs into one even though nothing is awaited.
    #[allow(clippy::unused_async)]
    pub async fn bind(config: DhcpConfig, sources: Sources) -> Result<Self, BindError> {
        if config.site.addresses.is_empty() {
            return Err(BindError::NoAddress { interfaces: config.interfaces });
        }
        let mut ports = Vec::new();
        for name in &config.interfaces {
            let link = Arc::new(Link::find(name)?);
            for port in [ServerPort::Dhcp, ServerPort::Proxy] {
                ports.push(Port::open(&link, port)?);
            }
            info!(interface = %name, addresses = ?link.addresses, "DHCP listens");
        }
        Ok(Self { ports, shell: Arc::new(Shell { config, sources }) })
    }

    /// Serves until cancelled, then returns with every task ended.
    pub async fn run(self, cancel: CancellationToken) {
        let mut tasks = JoinSet::new();
        for port in self.ports {
            let (shell, cancel) = (Arc::clone(&self.shell), cancel.clone());
            tasks.spawn(async move { cancel.run_until_cancelled(shell.serve(&port)).await });
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                error!(%error, "a DHCP task ended by itself; its interface is no longer served");
            }
        }
    }
}

/// What all tasks share.
struct Shell {
    config: DhcpConfig,
    sources: Sources,
}

impl Shell {
    async fn serve(&self, port: &Port) {
        let mut buffer = [0; limits::MESSAGE_MAX_BYTES + 1];
        loop {
            match port.receive(&mut buffer).await {
                Ok((length, SocketAddr::V4(source))) => {
                    let rx = RxMeta { source, port: port.number };
                    self.handle(&buffer[..length], &rx, port).await;
                }
                Ok((_, SocketAddr::V6(_))) => (),
                Err(error) => {
                    warn!(interface = %port.link.name, %error, "receiving DHCP failed; trying again");
                    tokio::time::sleep(limits::RECEIVE_RETRY).await;
                }
            }
        }
    }

    /// One packet from its bytes to its reply.
    async fn handle(&self, bytes: &[u8], rx: &RxMeta, port: &Port) {
        let packet = match Packet::decode(bytes) {
            Ok(packet) => packet,
            Err(error) => {
                return debug!(%error, source = %rx.source, reason = ?Reason::Malformed, "DHCP ignored");
            }
        };
        let query = match classify(&packet, rx) {
            Verdict::Answer(query) => query,
            Verdict::Ignore(reason) => return debug!(?reason, source = %rx.source, "DHCP ignored"),
        };
        let now = self.sources.clock.now();
        let found = match tokio::time::timeout(limits::LOOKUP, self.look_up(&query, &port.link)).await {
            Ok(Ok(found)) => found,
            // Silence on the wire, and never "unknown machine": firmware asks again.
            Ok(Err(error)) => return warn!(mac = %query.mac, %error, "DHCP not answered"),
            Err(_) => {
                return warn!(mac = %query.mac, reason = ?Reason::StoreAway, "DHCP not answered: look-ups took too long");
            }
        };
        let facts = found.facts();
        let verdict = respond(&query, &facts, &*self.sources.policy, &self.config.site, now);
        for kind in events(&query, &facts, &verdict) {
            self.sources.recorder.record(BootEvent { at: now, subject: Subject::Mac(query.mac), kind });
        }
        self.tell_sessions(&query, &verdict, now);
        let sending = match verdict {
            Verdict::Ignore(reason) => {
                return debug!(mac = %query.mac, ?reason, message = ?query.message, "DHCP ignored");
            }
            Verdict::Answer(Response::Noted(notice)) => {
                if let Notice::Declined { ip } = notice {
                    warn!(mac = %query.mac, %ip, "the machine says that another one uses its address");
                }
                return debug!(mac = %query.mac, ?notice, "DHCP noted");
            }
            Verdict::Answer(Response::Send(sending)) => sending,
        };
        let reply = &sending.reply;
        let encoded = reply.encode();
        match port.send(&encoded.bytes, sending.server, sending.to).await {
            Ok(()) => debug!(
                mac = %query.mac, kind = ?reply.kind, ip = %reply.yiaddr, boot = ?sending.boot, to = ?sending.to,
                left_out = ?encoded.left_out, "DHCP answered"
            ),
            Err(error) => warn!(mac = %query.mac, to = ?sending.to, %error, "sending a DHCP reply failed"),
        }
    }

    async fn look_up(&self, query: &Query, link: &Link) -> Result<Found, SourceError> {
        let hardware = self.sources.hardware.find(&HardwareKey::Mac(query.mac)).await?;
        let work = match &hardware {
            Some(hardware) => self.sources.work.work(hardware).await?,
            None => Work::Idle,
        };
        if !query.giaddr.is_unspecified() {
            let key = query.link.map_or(NetworkKey::Relay(query.giaddr), NetworkKey::Link);
            let network = self.sources.networks.network(key).await?;
            return Ok(Found { hardware, network, work });
        }
        // An interface may have addresses of several networks, or none of its own where the site's is reached through it.
        for &address in link.addresses.iter().chain(&self.config.site.addresses) {
            let network = self.sources.networks.network(NetworkKey::Interface(address)).await?;
            if network.is_some() {
                return Ok(Found { hardware, network, work });
            }
        }
        Ok(Found { hardware, network: None, work })
    }

    /// Before the reply leaves: a machine asks for its script a millisecond after its ACK.
    fn tell_sessions(&self, query: &Query, verdict: &Verdict<Response>, now: Timestamp) {
        let sessions = &self.sources.sessions;
        match verdict {
            Verdict::Answer(Response::Noted(Notice::LeasedElsewhere { ip })) => {
                sessions.saw_ack(query.mac, (*ip).into(), now);
            }
            Verdict::Answer(Response::Send(sending)) => match (sending.reply.kind, sending.reply.yiaddr) {
                (ReplyType::Offer, Ipv4Addr::UNSPECIFIED) => sessions.saw_discover(query.mac, now),
                (ReplyType::Ack, ip) if !ip.is_unspecified() => sessions.saw_ack(query.mac, ip.into(), now),
                _ => (),
            },
            _ => (),
        }
    }
}

/// What was looked up, owned.
struct Found {
    hardware: Option<Arc<Hardware>>,
    network: Option<Arc<Network>>,
    work: Work,
}

impl Found {
    fn facts(&self) -> Facts<'_> {
        Facts { hardware: self.hardware.as_deref(), network: self.network.as_deref(), work: &self.work }
    }
}
