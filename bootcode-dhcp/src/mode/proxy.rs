//! Another server leases; we say what to boot (PXE 2.1, 2.2.3 to 2.2.5), on port 67 and on 4011.

use std::net::Ipv4Addr;

use bootcode_core::{document::Network, timeline::Reason};

use crate::{
    boot::{Boot, Onward},
    destination::is_host,
    query::{Message, Query, RequestKind, ServerPort},
    reply::Draft,
    responder::{Notice, Response},
    wire::ReplyType,
};

pub(crate) fn respond(
    query: &Query,
    network: &Network,
    server: Ipv4Addr,
    boot: Boot,
) -> Result<Response, Reason> {
    let kind = match query.message {
        Message::Discover => ReplyType::Offer,
        Message::Request(RequestKind::BootServer) | Message::Inform => ReplyType::Ack,
        // Never an ACK, whatever option 54 says: our offers hold no address, so the client answers the other server's, which may
        // sit on our own host and have our address.
        Message::Request(
            RequestKind::Selecting { ip, .. }
            | RequestKind::InitReboot { ip }
            | RequestKind::Extending { ip },
        ) if network.spec.cidr.contains(&ip) => {
            return Ok(Response::Noted(Notice::LeasedElsewhere { ip }));
        }
        Message::Request(_) | Message::Decline { .. } | Message::Release { .. } => {
            return Err(Reason::OtherServer);
        }
    };
    // A reply to an address elsewhere, or of all, would make us a reflector.
    let reflects = |ip: Ipv4Addr| !ip.is_unspecified() && !is_host(network, ip);
    if reflects(query.ciaddr) || (query.rx.port == ServerPort::Proxy && reflects(*query.rx.source.ip())) {
        return Err(Reason::IllegalRequest);
    }
    match boot {
        Boot::NotAsked => Err(Reason::NotPxe),
        // Firmware would wait for a minute; where the refusal is ours alone, another boot server may still answer.
        Boot::Local(Onward::NoFile) => Err(Reason::LocalBoot),
        Boot::Refused(reason, _) => Err(reason),
        boot => Ok(Draft::new(query, server, kind).proxy(network).boot(boot).send()),
    }
}
