//! What a query and its verdict leave in the timeline.

use std::net::Ipv4Addr;

use bootcode_core::{
    document::{DhcpMode, Network, UnknownMachines},
    timeline::{BootEventKind, Reason},
};

use crate::{
    boot::Boot,
    client::{UserClass, VendorClass},
    query::{Message, Query, RequestKind},
    responder::{Facts, Notice, Response, Verdict},
    wire::ReplyType,
};

/// The boot events of one exchange, in order. Of a network where DHCP is off, and of a machine that nobody declared and that does not boot
/// for its inventory, no more than the reason for silence is kept.
#[must_use]
pub fn events(query: &Query, facts: &Facts<'_>, verdict: &Verdict<Response>) -> Vec<BootEventKind> {
    let mut events = Vec::new();
    match (verdict, facts.hardware) {
        (Verdict::Ignore(reason @ Reason::UnknownMachine), None)
        | (Verdict::Ignore(reason @ Reason::DhcpOff), Some(_)) => {
            return vec![BootEventKind::Ignored { reason: *reason }];
        }
        (_, None) if !boots_undeclared(query, facts) => return events,
        _ => events.extend(asked(query)),
    }
    match verdict {
        Verdict::Ignore(reason) => events.push(BootEventKind::Ignored { reason: *reason }),
        Verdict::Answer(Response::Noted(Notice::Declined { .. })) => {
            events.push(BootEventKind::Ignored { reason: Reason::AddressInUse });
        }
        // What a probe or a write leads to is recorded when it is known.
        Verdict::Answer(Response::Noted(_) | Response::Probe { .. } | Response::Commit(_)) => (),
        Verdict::Answer(Response::Send(sending)) => {
            let reply = &sending.reply;
            let ip = if reply.yiaddr.is_unspecified() { reply.ciaddr } else { reply.yiaddr };
            // What leads to the disk is no boot file.
            let file =
                reply.file.clone().filter(|_| !matches!(sending.boot, Boot::Local(_) | Boot::Refused(..)));
            events.push(match reply.kind {
                ReplyType::Offer => BootEventKind::Offer { ip: reply.yiaddr, file },
                ReplyType::Ack => BootEventKind::Ack { ip, file },
                ReplyType::Nak => BootEventKind::Nak { ip: requested(query) },
            });
            if let Boot::Refused(reason, _) = sending.boot {
                let file = match (reason, query.client.arch()) {
                    (Reason::NoNbp, Some(arch)) => arch.remedy(),
                    _ => "boot file".to_owned(),
                };
                events.push(BootEventKind::Refused { file, reason });
            }
        }
    }
    events
}

/// Whether firmware or iPXE asks in a Network that boots machines that nobody declared: their systems ask for as long as they run.
fn boots_undeclared(query: &Query, facts: &Facts<'_>) -> bool {
    let boots = |network: &Network| {
        network.spec.unknown == UnknownMachines::Boot && network.spec.dhcp.mode != DhcpMode::None
    };
    facts.network.is_some_and(boots) && query.client.stage().is_some()
}

fn asked(query: &Query) -> Option<BootEventKind> {
    match query.message {
        Message::Discover => Some(BootEventKind::Discover {
            arch: query.client.archs.first().copied(),
            vendor_class: query.client.vendor_class.as_ref().map(VendorClass::text).map(str::to_owned),
            user_class: query.client.user_class.as_ref().map(UserClass::text),
        }),
        Message::Request(_) | Message::Inform => Some(BootEventKind::Request { ip: requested(query) }),
        Message::Decline { .. } | Message::Release { .. } => None,
    }
}

fn requested(query: &Query) -> Option<Ipv4Addr> {
    match query.message {
        Message::Request(
            RequestKind::Selecting { ip, .. }
            | RequestKind::InitReboot { ip }
            | RequestKind::Extending { ip },
        ) => Some(ip),
        _ => Some(query.ciaddr).filter(|ip| !ip.is_unspecified()),
    }
}
