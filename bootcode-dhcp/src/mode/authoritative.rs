//! We are the network's server: addresses and boot information (RFC 2131 4.3).

use std::net::Ipv4Addr;

use bootcode_core::{
    document::{Hardware, Network},
    timeline::Reason,
};

use crate::{
    boot::Boot,
    query::{Message, Query, RequestKind},
    reply::Draft,
    responder::{Notice, Response},
    wire::ReplyType,
};

pub(crate) fn respond(
    query: &Query,
    hardware: &Hardware,
    network: &Network,
    server: Ipv4Addr,
    boot: Boot,
) -> Result<Response, Reason> {
    let draft = |kind| Draft::new(query, server, kind);
    let reserved = reservation(query, hardware, network);
    let lease = |kind, ip| draft(kind).lease(ip, hardware, network).boot(boot.clone()).send();
    match query.message {
        Message::Discover => Ok(lease(ReplyType::Offer, reserved.ok_or(Reason::NoAddress)?)),
        Message::Request(RequestKind::Selecting { server: chosen, .. }) if chosen != server => {
            Err(Reason::OtherServer)
        }
        // RFC 2131 4.3.2: a wrong address is refused, so that the client starts anew; of a machine that has no
        // reservation here we have no record and must be silent.
        Message::Request(
            RequestKind::Selecting { ip, .. }
            | RequestKind::InitReboot { ip }
            | RequestKind::Extending { ip },
        ) => match reserved.ok_or(Reason::NoAddress)? {
            reserved if reserved == ip => Ok(lease(ReplyType::Ack, ip)),
            reserved => {
                Ok(draft(ReplyType::Nak).because(&format!("{ip} is not yours, {reserved} is")).send())
            }
        },
        Message::Request(RequestKind::BootServer) => Err(Reason::IllegalRequest),
        Message::Decline { ip } if reserved == Some(ip) => Ok(Response::Noted(Notice::Declined { ip })),
        Message::Release { ip } if reserved == Some(ip) => Ok(Response::Noted(Notice::Released { ip })),
        Message::Decline { .. } | Message::Release { .. } => Err(Reason::NoAddress),
        // RFC 2131 4.3.5; a reply to an address elsewhere would make us a reflector.
        Message::Inform if !network.spec.cidr.contains(&query.ciaddr) => Err(Reason::IllegalRequest),
        Message::Inform => Ok(draft(ReplyType::Ack).settings(hardware, network).boot(boot).send()),
    }
}

/// The address of the interface that asks, in this network.
fn reservation(query: &Query, hardware: &Hardware, network: &Network) -> Option<Ipv4Addr> {
    let interface = hardware.interface(query.mac)?;
    let here = interface.network.as_ref().is_none_or(|name| *name == network.name);
    interface.ip.filter(|ip| here && network.spec.cidr.contains(ip))
}
