//! The shell: sockets, look-ups, and one trunk from a packet to its reply.

mod arp;
mod echo;
mod error;
mod flight;
mod frame;
mod inbox;
mod leases;
mod link;
mod metrics;
mod outbox;
mod preview;
mod probe;
mod relays;
mod rival;
mod sendmmsg;
mod serve;
mod socket;
mod solicit;
mod throttle;

use std::{
    collections::HashMap, future::poll_fn, net::Ipv4Addr, pin::pin, sync::Arc, task::Poll, time::Instant,
};

use bootcode_core::{
    boot::Site,
    clock::{Clock, Timestamp},
    document::{Hardware, Network},
    mac::MacAddr,
    policy::BootPolicy,
    preview::BootPreview,
    session::BootSessions,
    source::{HardwareKey, HardwareSource, NetworkKey, NetworkSource, SourceError, Work, WorkSource},
    store::Store,
    timeline::{BootEvent, BootEventKind, BootRecorder, Reason, Subject},
    unknown::UnknownRecorder,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use self::{error::BindError, link::interface_addresses, metrics::DhcpMetrics};
use self::{
    leases::{Exchange, Leases, Touch, Writer},
    link::Link,
    probe::{Doubt, Doubts, Prober},
    relays::Relays,
    rival::Searches,
    socket::{Addressed, Port},
};
use crate::{
    lease::Standing,
    limits,
    query::{Query, RxMeta, ServerPort, classify},
    record::events,
    responder::{Facts, Notice, Response, Verdict, respond},
    rival::searching,
    unknown::unknown,
    wire::{Packet, ReplyType},
};

/// What a server is told at start.
#[derive(Clone)]
pub struct DhcpConfig {
    /// The interfaces where machines are. Each must exist.
    pub interfaces: Vec<String>,
    /// How machines reach us: options 54 and 66, `siaddr`, and what boot files and scripts are named by.
    pub site: Site,
    /// Whether the wire is asked who has an address of a pool before it is offered (RFC 2131 4.4.1). Without it first offers leave 300 ms
    /// earlier, and an address that somebody took by hand is given to a second machine.
    pub probe: bool,
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
    /// Where leases of pools are kept; without it no Network has a pool.
    pub leases: Option<Arc<dyn Store>>,
    /// Told of machines that no Hardware names, where their Network wants that.
    pub unknown: Option<Arc<dyn UnknownRecorder>>,
    /// The timeline.
    pub recorder: Arc<dyn BootRecorder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A DHCP server whose sockets are open.
pub struct DhcpServer {
    ports: Vec<Arc<Port>>,
    shell: Arc<Shell>,
    writer: Option<Writer>,
    probers: Vec<Prober>,
    watched: Vec<(String, mpsc::Receiver<Ipv4Addr>)>,
}

impl DhcpServer {
    /// Opens ports 67 and 4011 on each interface. Nothing is sent on a network whose Network document does not say so.
    ///
    /// # Errors
    /// [`BindError`]: a site without an address, an interface that is missing, a port that another program holds, no right to open it.
    pub async fn bind(config: DhcpConfig, sources: Sources) -> Result<Self, BindError> {
        if config.site.addresses.is_empty() {
            return Err(BindError::NoAddress { interfaces: config.interfaces });
        }
        let mut ports = Vec::new();
        for name in &config.interfaces {
            let link = Arc::new(Link::find(name)?);
            for port in [ServerPort::Dhcp, ServerPort::Proxy] {
                ports.push(Arc::new(Port::open(&link, port)?));
            }
            info!(interface = %name, addresses = ?link.addresses, "DHCP listens");
        }
        let own: Vec<Ipv4Addr> = ports
            .iter()
            .flat_map(|port| &port.link.addresses)
            .chain(&config.site.addresses)
            .copied()
            .collect();
        let (leases, writer) = match &sources.leases {
            Some(store) => {
                let (leases, writer) = Leases::open(Arc::clone(store), &own).await;
                (Some(leases), Some(writer))
            }
            None => (None, None),
        };
        let (mut doubts, mut probers) = (HashMap::new(), Vec::new());
        for port in
            ports.iter().filter(|port| port.number == ServerPort::Dhcp && config.probe && leases.is_some())
        {
            if let Some((sender, prober)) = Prober::open(&port.link) {
                doubts.insert(port.link.name.clone(), sender);
                probers.push(prober);
            }
        }
        let (mut searches, mut watched) = (HashMap::new(), Vec::new());
        for name in &config.interfaces {
            let (sender, receiver) = mpsc::channel(limits::RIVALS);
            searches.insert(name.clone(), sender);
            watched.push((name.clone(), receiver));
        }
        let (relays, metrics) = (Relays::default(), DhcpMetrics::default());
        let shell = Shell { config, sources, leases, doubts, searches, relays, metrics };
        Ok(Self { ports, shell: Arc::new(shell), writer, probers, watched })
    }

    /// What it counts; register it where metrics are exposed.
    #[must_use]
    pub fn metrics(&self) -> DhcpMetrics {
        self.shell.metrics.clone()
    }

    /// Says what a client would be told, as long as the server lives, by the same look-ups and rules.
    #[must_use]
    pub fn preview(&self) -> Arc<dyn BootPreview> {
        Arc::new(preview::Preview(Arc::clone(&self.shell)))
    }

    /// Serves until cancelled, then returns with every task ended.
    pub async fn run(self, cancel: CancellationToken) {
        let mut tasks = JoinSet::new();
        if let Some(writer) = self.writer {
            let (shell, cancel) = (Arc::clone(&self.shell), cancel.clone());
            tasks.spawn(async move { cancel.run_until_cancelled(writer.run(shell)).await });
        }
        for port in &self.ports {
            if port.number == ServerPort::Dhcp {
                let (link, shell, cancel) = (Arc::clone(&port.link), Arc::clone(&self.shell), cancel.clone());
                tasks.spawn(async move {
                    cancel.run_until_cancelled(solicit::serve(&link.name, &shell.sources)).await
                });
            }
        }
        for prober in self.probers {
            let (shell, cancel) = (Arc::clone(&self.shell), cancel.clone());
            tasks.spawn(async move { cancel.run_until_cancelled(prober.run(shell)).await });
        }
        for (interface, searches) in self.watched {
            let (shell, cancel) = (Arc::clone(&self.shell), cancel.clone());
            tasks.spawn(async move {
                cancel.run_until_cancelled(rival::watch(&shell, &interface, searches)).await
            });
        }
        for port in self.ports {
            let (shell, cancel) = (Arc::clone(&self.shell), cancel.clone());
            tasks.spawn(async move { cancel.run_until_cancelled(serve::serve(&shell, port)).await });
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
    leases: Option<Arc<Leases>>,
    /// By interface; one that is missing cannot be asked.
    doubts: HashMap<String, Doubts>,
    searches: Searches,
    relays: Relays,
    metrics: DhcpMetrics,
}

impl Shell {
    /// One packet from its bytes to its question; `None` where it is none of ours.
    fn read(&self, bytes: &[u8], rx: &RxMeta, link: &Link) -> Option<Query> {
        let reason = match Packet::decode(bytes) {
            Ok(packet) => match classify(&packet, rx) {
                Verdict::Answer(query) => return Some(query),
                Verdict::Ignore(reason) => {
                    if let (Some(server), Some(searches)) =
                        (searching(&packet), self.searches.get(&link.name))
                    {
                        // One that is lost there comes again.
                        let _ = searches.try_send(server);
                    }
                    reason
                }
            },
            Err(error) => {
                debug!(%error, source = %rx.source, "DHCP malformed");
                Reason::Malformed
            }
        };
        self.metrics.ignored(reason);
        debug!(?reason, source = %rx.source, "DHCP ignored");
        None
    }

    /// Whether we are meant: an address of this interface, or one that the site is reached by.
    fn own(&self, link: &Link, server: Ipv4Addr) -> bool {
        link.addresses.contains(&server) || self.config.site.addresses.contains(&server)
    }

    /// A client that asks too often is not answered; its timeline says so once.
    fn hold(&self, mac: MacAddr, first: bool) {
        self.metrics.ignored(Reason::TooMany);
        if first {
            warn!(%mac, reason = ?Reason::TooMany, "DHCP ignored: this client asks too often");
            let kind = BootEventKind::Ignored { reason: Reason::TooMany };
            let at = self.sources.clock.now();
            self.sources.recorder.record(BootEvent { at, subject: Subject::Mac(mac), kind });
        }
    }

    /// One question to its reply, or to what has to happen before: a lease that is to be durable, an address that may be in use. Neither
    /// is waited for here.
    async fn answer(&self, query: Query, port: &Arc<Port>, tried: u32) {
        let now = self.sources.clock.now();
        let Some((mut found, mut verdict)) = self.decide(&query, port, now).await else { return };
        if tried == 0
            && let (None, Some(network), Some(recorder)) =
                (&found.hardware, &found.network, &self.sources.unknown)
            && let Some(machine) = unknown(&query, network, now)
        {
            recorder.saw(machine);
        }
        if let (Verdict::Answer(Response::Probe { ip }), Some(leases)) = (&verdict, &self.leases) {
            let ip = *ip;
            match self.doubts.get(&port.link.name) {
                Some(doubts) => {
                    let doubt = Doubt { query, found, port: Arc::clone(port), ip, tried };
                    return self.doubt(doubts, doubt, now).await;
                }
                None => leases.clear(&found, ip, query.mac),
            }
            let Some(again) = self.decide(&query, port, now).await else { return };
            (found, verdict) = again;
        }
        match (verdict, &self.leases) {
            (Verdict::Answer(Response::Commit(commit)), Some(leases)) => {
                leases.write(self, Exchange { query, found, port: Arc::clone(port), commit }, now).await;
            }
            (verdict, _) => self.conclude(&query, &found, verdict, port, now).await,
        }
    }

    /// Has the wire asked; where too much is asked already the client has to come again.
    async fn doubt(&self, doubts: &Doubts, doubt: Doubt, now: Timestamp) {
        let reason = if doubt.tried >= limits::PROBE_TRIES { Reason::AddressInUse } else { Reason::TooMany };
        let refused = if doubt.tried >= limits::PROBE_TRIES {
            Some(Box::new(doubt))
        } else {
            doubts.try_send(Box::new(doubt)).err().map(mpsc::error::TrySendError::into_inner)
        };
        if let Some(doubt) = refused {
            self.conclude(&doubt.query, &doubt.found, Verdict::Ignore(reason), &doubt.port, now).await;
        }
    }

    /// The facts and what follows from them; `None` where they could not be had.
    async fn decide(&self, query: &Query, port: &Port, now: Timestamp) -> Option<(Found, Verdict<Response>)> {
        let mut look_up = pin!(self.look_up(query, At::Link(&port.link), (Touch::Hold, now)));
        // What is in memory is here at the first look, and no timer is made for it.
        let looked = match poll_fn(|context| Poll::Ready(look_up.as_mut().poll(context))).await {
            Poll::Ready(looked) => Ok(looked),
            Poll::Pending => tokio::time::timeout(limits::LOOKUP, look_up).await,
        };
        let found = match looked {
            Ok(Ok(found)) => found,
            // Silence on the wire, and never "unknown machine": firmware asks again.
            Ok(Err(error)) => {
                self.metrics.ignored(Reason::StoreAway);
                warn!(mac = %query.mac, %error, "DHCP not answered");
                return None;
            }
            Err(_) => {
                self.metrics.ignored(Reason::StoreAway);
                warn!(mac = %query.mac, reason = ?Reason::StoreAway, "DHCP not answered: look-ups took too long");
                return None;
            }
        };
        let verdict = respond(query, &found.facts(), &*self.sources.policy, &self.config.site, now);
        Some((found, verdict))
    }

    /// What was decided reaches the timeline, the boot sessions and the wire.
    async fn conclude(
        &self,
        query: &Query,
        found: &Found,
        verdict: Verdict<Response>,
        port: &Port,
        now: Timestamp,
    ) {
        for kind in events(query, &found.facts(), &verdict) {
            self.sources.recorder.record(BootEvent { at: now, subject: Subject::Mac(query.mac), kind });
        }
        self.tell_sessions(query, &verdict, now);
        let sending = match verdict {
            Verdict::Ignore(reason) => {
                self.metrics.ignored(reason);
                return debug!(mac = %query.mac, ?reason, message = ?query.message, "DHCP ignored");
            }
            Verdict::Answer(Response::Noted(notice)) => {
                if let Notice::Declined { ip } = notice {
                    warn!(mac = %query.mac, %ip, "the machine says that another one uses its address");
                }
                return debug!(mac = %query.mac, ?notice, "DHCP noted");
            }
            // Both come here as what they led to.
            Verdict::Answer(Response::Probe { .. } | Response::Commit(_)) => return,
            Verdict::Answer(Response::Send(sending)) => sending,
        };
        let reply = &sending.reply;
        let encoded = reply.encode();
        if !encoded.left_out.is_empty() {
            warn!(
                mac = %query.mac, options = ?encoded.left_out, bytes = reply.max_bytes,
                "these DHCP options did not fit into what the client takes: give it fewer, or shorter ones"
            );
        }
        // From where it was sent to, where that was us alone.
        let from = query.rx.to.unwrap_or(sending.server);
        debug!(
            mac = %query.mac, kind = ?reply.kind, ip = %reply.yiaddr, boot = ?sending.boot, to = ?sending.to,
            "DHCP answers"
        );
        let (to, kind) = (sending.to, reply.kind);
        port.send(Addressed { bytes: encoded.bytes, server: from, to, kind, mac: query.mac }, &self.metrics)
            .await;
    }

    async fn look_up(
        &self,
        query: &Query,
        at: At<'_>,
        touched: (Touch, Timestamp),
    ) -> Result<Found, SourceError> {
        let mut hardware = self.sources.hardware.find(&HardwareKey::Mac(query.mac)).await?;
        if let (None, Some(circuit)) = (&hardware, query.circuit()) {
            hardware = self.sources.hardware.find(&HardwareKey::Circuit(circuit)).await?;
        }
        let work = match &hardware {
            Some(hardware) => self.sources.work.work(hardware).await?,
            None => Work::Idle,
        };
        let network = self.network(query, at).await?;
        if let Some(network) = network.as_deref().filter(|_| touched.0 == Touch::Hold)
            && !query.giaddr.is_unspecified()
        {
            self.relays.learn(query.giaddr, network, Instant::now());
        }
        let lease = match (&network, &self.leases) {
            (Some(network), Some(leases)) => {
                leases.standing(self, query, hardware.as_deref(), network, touched).await?
            }
            _ => None,
        };
        Ok(Found { hardware, network, work, lease })
    }

    async fn network(&self, query: &Query, at: At<'_>) -> Result<Option<Arc<Network>>, SourceError> {
        if !query.giaddr.is_unspecified() {
            let key = query.link.map_or(NetworkKey::Relay(query.giaddr), NetworkKey::Link);
            return self.sources.networks.network(key).await;
        }
        match at {
            At::Link(link) => self.network_of(link).await,
            At::Network(network) => Ok(network.cloned()),
        }
    }

    /// The Network of an interface.
    async fn network_of(&self, link: &Link) -> Result<Option<Arc<Network>>, SourceError> {
        // An interface may have addresses of several networks, or none of its own where the site's is reached through it.
        for &address in link.addresses.iter().chain(&self.config.site.addresses) {
            let network = self.sources.networks.network(NetworkKey::Interface(address)).await?;
            if network.is_some() {
                return Ok(network);
            }
        }
        Ok(None)
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

/// Where a question came in.
#[derive(Clone, Copy)]
enum At<'a> {
    Link(&'a Link),
    /// It did not come in: a preview says where it would have.
    Network(Option<&'a Arc<Network>>),
}

/// What was looked up, owned.
struct Found {
    hardware: Option<Arc<Hardware>>,
    network: Option<Arc<Network>>,
    work: Work,
    lease: Option<Standing>,
}

impl Found {
    fn facts(&self) -> Facts<'_> {
        let (hardware, network) = (self.hardware.as_deref(), self.network.as_deref());
        Facts { hardware, network, work: &self.work, lease: self.lease }
    }
}
