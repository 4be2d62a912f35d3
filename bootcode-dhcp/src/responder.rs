//! What is answered: a pure function of the question, the facts, the policy and the time.

use std::net::Ipv4Addr;

use bootcode_core::{
    boot::Site,
    clock::Timestamp,
    document::{DhcpMode, Hardware, Network, UnknownMachines},
    policy::BootPolicy,
    source::Work,
    timeline::Reason,
};

use crate::{
    boot::Boot,
    destination::Destination,
    lease::{LeaseAsk, LeaseChange, Standing},
    mode::{authoritative, proxy},
    query::{Message, Query, ServerPort},
    wire::Reply,
};

/// An answer, or silence with its reason (I5: ignoring is no error).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<T> {
    /// This is answered.
    Answer(T),
    /// This is not.
    Ignore(Reason),
}

/// What was looked up for a query.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The machine with this hardware address.
    pub hardware: Option<&'a Hardware>,
    /// The network that it asks from.
    pub network: Option<&'a Network>,
    /// What there is to do on it.
    pub work: &'a Work,
    /// How it stands with the network's pool; `None` for who gets nothing from one.
    pub lease: Option<Standing>,
}

/// What is done about a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// A reply is sent.
    Send(Box<Sending>),
    /// It was understood, and the protocol owes no reply.
    Noted(Notice),
    /// Before this address is offered, the wire is asked whether somebody has it (RFC 2131 4.4.1); then the query is decided again.
    Probe {
        /// The address.
        ip: Ipv4Addr,
    },
    /// A lease is written, and what follows from it leaves when that is durable (I4).
    Commit(Box<Commit>),
}

/// A change of a lease and what is answered when it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The change.
    pub change: LeaseChange,
    /// When it is durable.
    pub then: Response,
    /// When the store is away; `None` is silence.
    pub otherwise: Option<Response>,
}

/// A reply and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// The reply.
    pub reply: Reply,
    /// Our address that it comes from.
    pub server: Ipv4Addr,
    /// Where it goes.
    pub to: Destination,
    /// What the client is told to load; `Refused` says why it is told nothing.
    pub boot: Boot,
}

/// What a client told us without asking anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The client found its address in use by another.
    Declined {
        /// The address.
        ip: Ipv4Addr,
    },
    /// The client gave its address back; a reservation stays.
    Released {
        /// The address.
        ip: Ipv4Addr,
    },
    /// The client takes this address from the network's own server, beside which we are a proxy.
    LeasedElsewhere {
        /// The address.
        ip: Ipv4Addr,
    },
}

/// Decides what a query is answered with.
#[must_use]
pub fn respond(
    query: &Query,
    facts: &Facts<'_>,
    policy: &dyn BootPolicy,
    site: &Site,
    now: Timestamp,
) -> Verdict<Response> {
    let answer = || {
        let network = facts.network.filter(|network| serves(network, query)).ok_or(Reason::UnknownNetwork)?;
        if network.spec.dhcp.mode == DhcpMode::None {
            return Err(Reason::DhcpOff);
        }
        let server = site.address(Some(network));
        let authoritative =
            network.spec.dhcp.mode == DhcpMode::Authoritative && query.rx.port == ServerPort::Dhcp;
        // A boot answer holds no address, so that it needs no pool: it is given beside another server and on port 4011 too.
        let admitted = network.spec.unknown == UnknownMachines::Boot
            || (authoritative && authoritative::admits_unknown(network));
        if facts.hardware.is_none() && !admitted {
            return Err(Reason::UnknownMachine);
        }
        let boot = crate::boot::boot(query, facts, policy, site, now);
        if authoritative {
            authoritative::respond(query, facts, network, server, boot, now)
        } else {
            proxy::respond(query, network, server, boot)
        }
    };
    match answer() {
        Ok(response) => Verdict::Answer(response),
        Err(reason) => Verdict::Ignore(reason),
    }
}

/// What this client's question wants of the network's pool; `None` where the pool is not for it, or not for this network's mode.
pub(crate) fn lease_ask(
    query: &Query,
    hardware: Option<&Hardware>,
    network: &Network,
    site: &Site,
) -> Option<LeaseAsk> {
    leases_here(query, network)
        .then(|| authoritative::lease_ask(query, hardware, network, site.address(Some(network))))?
}

/// The reservation that a DISCOVER or REQUEST would be answered with.
pub(crate) fn reservation(query: &Query, hardware: &Hardware, network: &Network) -> Option<Ipv4Addr> {
    let asks = matches!(query.message, Message::Discover | Message::Request(_));
    (asks && leases_here(query, network)).then(|| authoritative::reservation(query, hardware, network))?
}

fn leases_here(query: &Query, network: &Network) -> bool {
    network.spec.dhcp.mode == DhcpMode::Authoritative
        && query.rx.port == ServerPort::Dhcp
        && serves(network, query)
}

/// Whether the relay that asks may ask for this network: a declared one, or, where none is declared, any inside it.
pub(crate) fn serves(network: &Network, query: &Query) -> bool {
    let relays = &network.spec.dhcp.relays;
    query.giaddr.is_unspecified()
        || relays.contains(&query.giaddr)
        || (relays.is_empty() && network.spec.cidr.contains(&query.giaddr))
}
