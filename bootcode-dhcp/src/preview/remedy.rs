//! What to do about silence or a refusal.

use bootcode_core::{
    document::{Network, UnknownMachines},
    preview::PreviewRefusal,
    timeline::Reason,
};

use crate::{query::Query, responder::Facts};

/// The refusal, with what an operator would do about it.
pub(crate) fn remedy(reason: Reason, query: &Query, facts: &Facts<'_>) -> PreviewRefusal {
    PreviewRefusal { reason: Some(reason), message: reason.to_string(), remedy: advice(reason, query, facts) }
}

/// A NAK, in its own words.
pub(crate) fn nak(because: &str) -> PreviewRefusal {
    PreviewRefusal {
        reason: None,
        message: format!("NAK: {because}"),
        remedy: Some("the client starts anew with a DISCOVER by itself".to_owned()),
    }
}

fn advice(reason: Reason, query: &Query, facts: &Facts<'_>) -> Option<String> {
    let mac = query.mac;
    let network = facts.network.map_or("the Network", |network| network.name.as_str());
    let machine = facts.hardware.map_or("its Hardware", |hardware| hardware.name.as_str());
    let interface = facts.hardware.and_then(|hardware| hardware.interface(mac));
    let interface = interface.map_or("the interface", |interface| interface.id.as_str());
    Some(match reason {
        Reason::UnknownNetwork => no_network(query, facts.network),
        Reason::DhcpOff => {
            format!("write `dhcp: {{mode: authoritative}}` or `proxy` into Network `{network}`")
        }
        Reason::UnknownMachine => no_machine(query, facts.network),
        Reason::NoAddress => format!(
            "give interface `{interface}` of Hardware `{machine}` an `ip` inside Network `{network}`, or the Network a `pool`"
        ),
        Reason::NetbootOff => {
            format!("write `netboot: true` at interface `{interface}` of Hardware `{machine}`")
        }
        Reason::WrongArch => format!(
            "correct `arch` or `firmware` of Hardware `{machine}`, or the firmware's own setting of how it boots"
        ),
        Reason::NoNbp => match query.client.arch() {
            Some(arch) => arch.remedy(),
            None => "name its architecture with --arch".to_owned(),
        },
        Reason::LocalBoot => {
            "nothing has to be mended; to boot it from the network apply a Workflow for it".to_owned()
        }
        Reason::NotPxe => format!(
            "Network `{network}` is a proxy, which answers PXE and HTTP boot clients only; addresses are the other server's"
        ),
        Reason::IllegalRequest => "name an address inside the Network with --ip".to_owned(),
        _ => return None,
    })
}

fn no_network(query: &Query, network: Option<&Network>) -> String {
    let giaddr = query.giaddr;
    match network {
        _ if giaddr.is_unspecified() => {
            "declare a Network whose `cidr` holds an address of the interface, or name one with --network"
                .to_owned()
        }
        Some(network) => format!(
            "{giaddr} is none of the `dhcp.relays` of Network `{}`: add it there, or take the list away",
            network.name
        ),
        None if query.link.is_some() => "no Network holds the link: declare one whose `cidr` does".to_owned(),
        None => format!(
            "no Network holds the relay {giaddr}: declare one whose `cidr` does, or have the relay name the link (82.5; --link)"
        ),
    }
}

fn no_machine(query: &Query, network: Option<&Network>) -> String {
    let mac = query.mac;
    match network.map(|network| network.spec.unknown) {
        None | Some(UnknownMachines::Ignore) => {
            format!(
                "declare a Hardware with an interface of MAC {mac}, or write `unknown: record` into its Network"
            )
        }
        Some(_) => format!("`bootcode adopt {mac}` declares it, once it has asked"),
    }
}
