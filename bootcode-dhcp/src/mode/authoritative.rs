//! We are the network's server: addresses and boot information (RFC 2131 4.3).

use std::net::Ipv4Addr;

use bootcode_core::{
    clock::Timestamp,
    document::{Hardware, Network, UnknownMachines},
    lease::{Lease, LeaseState},
    timeline::Reason,
};

use crate::{
    boot::Boot,
    destination::is_host,
    lease::{LeaseAsk, LeaseChange, Refusal, Standing, later},
    limits,
    query::{Message, Query, RequestKind},
    reply::Draft,
    responder::{Commit, Facts, Notice, Response},
    wire::ReplyType,
};

/// Whether machines that nobody declared get an address here.
pub(crate) fn admits_unknown(network: &Network) -> bool {
    matches!(network.spec.unknown, UnknownMachines::Pool | UnknownMachines::Boot)
}

/// What a client's message wants of the network's pool; `None` where the pool is not for it.
pub(crate) fn lease_ask(
    query: &Query,
    hardware: Option<&Hardware>,
    network: &Network,
    server: Ipv4Addr,
) -> Option<LeaseAsk> {
    let admitted = match hardware {
        Some(hardware) => hardware.interface(query.mac).is_some_and(|interface| {
            interface.ip.is_none() && interface.network.as_ref().is_none_or(|name| *name == network.name)
        }),
        None => admits_unknown(network),
    };
    if !admitted || network.spec.pool.is_empty() {
        return None;
    }
    match query.message {
        Message::Discover => Some(LeaseAsk::Any(query.requested_ip)),
        Message::Request(RequestKind::Selecting { server: chosen, ip }) => {
            (chosen == server).then_some(LeaseAsk::Select(ip))
        }
        Message::Request(RequestKind::InitReboot { ip } | RequestKind::Extending { ip }) => {
            Some(LeaseAsk::Keep(ip))
        }
        Message::Decline { ip } | Message::Release { ip } => Some(LeaseAsk::Leave(ip)),
        Message::Request(RequestKind::BootServer) | Message::Inform => None,
    }
}

/// The address of the interface that asks, in this network.
pub(crate) fn reservation(query: &Query, hardware: &Hardware, network: &Network) -> Option<Ipv4Addr> {
    let interface = hardware.interface(query.mac)?;
    let here = interface.network.as_ref().is_none_or(|name| *name == network.name);
    interface.ip.filter(|ip| here && network.spec.cidr.contains(ip))
}

pub(crate) fn respond(
    query: &Query,
    facts: &Facts<'_>,
    network: &Network,
    server: Ipv4Addr,
    boot: Boot,
    now: Timestamp,
) -> Result<Response, Reason> {
    let answers = Answers { query, hardware: facts.hardware, network, server, boot, now };
    match (query.message, facts.lease) {
        (Message::Request(RequestKind::Selecting { server: chosen, .. }), _) if chosen != server => {
            Err(Reason::OtherServer)
        }
        (Message::Request(RequestKind::BootServer), _) => Err(Reason::IllegalRequest),
        // RFC 2131 4.3.5; a reply to an address elsewhere, or of all, would make us a reflector.
        (Message::Inform, _) if !is_host(network, query.ciaddr) => Err(Reason::IllegalRequest),
        (Message::Inform, _) => Ok(answers
            .draft(ReplyType::Ack)
            .settings(facts.hardware, network)
            .boot(answers.boot.clone())
            .send()),
        (_, Some(Standing::Taken { .. })) => Err(Reason::AddressInUse),
        (_, Some(standing)) => answers.pooled(standing),
        (_, None) => {
            let reserved = facts.hardware.and_then(|hardware| reservation(query, hardware, network));
            answers.reserved(reserved.ok_or(Reason::NoAddress)?)
        }
    }
}

/// What all answers to one query are made of.
struct Answers<'a> {
    query: &'a Query,
    hardware: Option<&'a Hardware>,
    network: &'a Network,
    server: Ipv4Addr,
    boot: Boot,
    now: Timestamp,
}

impl<'a> Answers<'a> {
    /// Of a machine with a reservation. RFC 2131 4.3.2: a wrong address is refused, so that the client starts anew.
    fn reserved(&self, reserved: Ipv4Addr) -> Result<Response, Reason> {
        match self.query.message {
            Message::Discover => Ok(self.lease(self.discovered(), reserved, self.lease_s())),
            Message::Request(_) => match self.query.named() {
                Some(ip) if ip != reserved => Ok(self.nak(&format!("{ip} is not yours, {reserved} is"))),
                _ => Ok(self.lease(ReplyType::Ack, reserved, self.lease_s())),
            },
            Message::Decline { ip } if reserved == ip => Ok(Response::Noted(Notice::Declined { ip })),
            Message::Release { ip } if reserved == ip => Ok(Response::Noted(Notice::Released { ip })),
            Message::Decline { .. } | Message::Release { .. } | Message::Inform => Err(Reason::NoAddress),
        }
    }

    /// Of a machine that gets its address from the pool.
    fn pooled(&self, standing: Standing) -> Result<Response, Reason> {
        match (self.query.message, standing) {
            (Message::Discover | Message::Request(_), Standing::May { ip, clear: false, .. }) => {
                Ok(Response::Probe { ip })
            }
            (Message::Discover, Standing::May { ip, .. }) if !self.query.rapid_commit => {
                Ok(self.lease(ReplyType::Offer, ip, self.lease_s()))
            }
            (Message::Discover | Message::Request(_), Standing::May { ip, leased, .. }) => {
                Ok(self.bind(ip, leased))
            }
            // A promise that was made lasts, and no new one is made.
            (Message::Discover, Standing::Kept { ip, ends }) => {
                Ok(self.lease(ReplyType::Offer, ip, self.left_s(ends)))
            }
            (Message::Request(_), Standing::Kept { ip, ends }) => {
                Ok(self.lease(ReplyType::Ack, ip, self.left_s(ends)))
            }
            (Message::Request(_), Standing::Refused { ip, because }) => Ok(self.nak(&match because {
                Refusal::NotHere => format!("{ip} is not for machines of this pool"),
                Refusal::Taken => format!("{ip} is not free"),
                Refusal::Ended => format!("your lease of {ip} has ended"),
                Refusal::Other(own) => format!("{ip} is not yours, {own} is"),
            })),
            (Message::Decline { ip }, Standing::May { .. }) => {
                let ends = later(self.now, limits::QUARANTINE);
                Ok(self.change(ip, LeaseState::Quarantined, ends, Response::Noted(Notice::Declined { ip })))
            }
            (Message::Release { ip }, Standing::May { leased: Some(_), .. }) => {
                Ok(self.change(ip, LeaseState::Released, self.now, Response::Noted(Notice::Released { ip })))
            }
            (_, Standing::Away | Standing::Kept { .. }) => Err(Reason::StoreAway),
            (_, Standing::Exhausted) => Err(Reason::PoolExhausted),
            _ => Err(Reason::NoAddress),
        }
    }

    /// The ACK that leaves when the lease is durable, and the shorter one where the store turns out to be away.
    fn bind(&self, ip: Ipv4Addr, leased: Option<Timestamp>) -> Response {
        let ends = later(self.now, std::time::Duration::from_secs(self.lease_s()));
        // Where the clock went back, what was promised before lasts longer.
        let ends = leased.map_or(ends, |leased| leased.max(ends));
        let kind = self.discovered();
        let then = self.lease(kind, ip, self.lease_s());
        let otherwise = leased.map(|leased| self.lease(kind, ip, self.left_s(leased).min(self.lease_s())));
        let lease =
            Lease { mac: self.query.mac, state: LeaseState::Bound, ends, client_id: self.client_id() };
        let change = LeaseChange { network: self.network.name.clone(), ip, lease };
        Response::Commit(Box::new(Commit { change, then, otherwise }))
    }

    fn change(&self, ip: Ipv4Addr, state: LeaseState, ends: Timestamp, noted: Response) -> Response {
        let lease = Lease { mac: self.query.mac, state, ends, client_id: self.client_id() };
        let change = LeaseChange { network: self.network.name.clone(), ip, lease };
        Response::Commit(Box::new(Commit { change, then: noted.clone(), otherwise: Some(noted) }))
    }

    /// What a DISCOVER is answered with: its ACK at once where it asks for that (RFC 4039), else an offer. A REQUEST's is the ACK.
    fn discovered(&self) -> ReplyType {
        match self.query.message {
            Message::Discover if !self.query.rapid_commit => ReplyType::Offer,
            _ => ReplyType::Ack,
        }
    }

    fn draft(&self, kind: ReplyType) -> Draft<'a> {
        Draft::new(self.query, self.server, kind)
    }

    fn lease(&self, kind: ReplyType, ip: Ipv4Addr, lease_s: u64) -> Response {
        let mut draft = self.draft(kind);
        if kind == ReplyType::Ack && self.query.message == Message::Discover {
            draft = draft.rapid_commit();
        }
        draft.lease(ip, lease_s, self.hardware, self.network).boot(self.boot.clone()).send()
    }

    fn nak(&self, because: &str) -> Response {
        self.draft(ReplyType::Nak).because(because).send()
    }

    fn lease_s(&self) -> u64 {
        self.network.spec.lease.as_secs().clamp(limits::LEASE_MIN_S, limits::LEASE_MAX_S)
    }

    /// Seconds until then, rounded down: never more than was promised.
    fn left_s(&self, ends: Timestamp) -> u64 {
        let left = ends.as_second().saturating_sub(self.now.as_second());
        u64::try_from(left).unwrap_or(0).min(limits::LEASE_MAX_S)
    }

    fn client_id(&self) -> Option<String> {
        use std::fmt::Write as _;
        let id = self.query.client_id.as_deref()?;
        let mut text = String::with_capacity(2 * limits::CLIENT_ID_BYTES);
        for byte in id.iter().take(limits::CLIENT_ID_BYTES) {
            write!(text, "{byte:02x}").ok()?;
        }
        Some(text)
    }
}
