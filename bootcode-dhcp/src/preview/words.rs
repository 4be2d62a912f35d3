//! What was found out about a client, in words.

use bootcode_core::{
    arch::ClientArch,
    boot::Stage,
    document::{DhcpMode, Network, UnknownMachines},
    preview::PreviewClient,
};

use crate::{
    client::VendorClass,
    destination::Destination,
    lease::{Refusal, Standing},
    query::{Message, Query, RequestKind, ServerPort},
    wire::{Packet, code},
};

/// What the client is taken for, and by which option.
pub(crate) fn client(query: &Query, packet: &Packet<'_>) -> PreviewClient {
    let arch = query.client.arch();
    PreviewClient {
        mac: query.mac,
        message: message(query),
        stage: query.client.stage(),
        stage_by: stage_by(query, packet),
        arch,
        arch_name: arch.and_then(ClientArch::name).map(str::to_owned),
        arch_by: match (arch, packet.option(code::CLIENT_ARCH)) {
            (None, _) => "neither option 93 nor option 60 says it".to_owned(),
            (Some(ClientArch::RASPBERRY_PI), sent) if sent != Some(&[0, 41]) => {
                "the MAC or option 97 of a Raspberry Pi".to_owned()
            }
            (Some(_), Some(_)) => "option 93".to_owned(),
            (Some(_), None) => "option 60".to_owned(),
        },
    }
}

fn message(query: &Query) -> String {
    match query.message {
        Message::Discover => match query.requested_ip {
            Some(ip) => format!("DISCOVER, rather {ip}"),
            None => "DISCOVER".to_owned(),
        },
        Message::Request(RequestKind::Selecting { server, ip }) => {
            format!("REQUEST for {ip}, offered by {server}")
        }
        Message::Request(RequestKind::InitReboot { ip }) => format!("REQUEST for {ip}, which it remembers"),
        Message::Request(RequestKind::Extending { ip }) => format!("REQUEST for {ip}, which it has"),
        Message::Request(RequestKind::BootServer) => {
            format!("REQUEST to port {}", ServerPort::Proxy.number())
        }
        Message::Decline { ip } => format!("DECLINE of {ip}"),
        Message::Release { ip } => format!("RELEASE of {ip}"),
        Message::Inform => "INFORM".to_owned(),
    }
}

fn stage_by(query: &Query, packet: &Packet<'_>) -> String {
    let client = &query.client;
    let class = client.vendor_class.as_ref().map(VendorClass::text);
    let option_60 = class.map_or("no option 60".to_owned(), |class| format!("option 60 `{class}`"));
    match client.stage() {
        Some(Stage::Ipxe) if client.user_class.as_ref().is_some_and(|class| class.has("iPXE")) => {
            "option 77 `iPXE`".to_owned()
        }
        Some(Stage::Ipxe) => format!("option {}", code::IPXE),
        Some(Stage::Firmware) if client.ipxe => "an iPXE whose option 175 has no HTTP".to_owned(),
        Some(Stage::RaspberryPi) if packet.option(code::CLIENT_ARCH) == Some(&[0, 41]) => {
            format!("{option_60} and option 93")
        }
        Some(Stage::RaspberryPi) => format!("{option_60} and a Raspberry Pi's MAC"),
        Some(Stage::Firmware | Stage::HttpBoot | Stage::Loader) => option_60,
        None => format!("{option_60}: neither PXEClient nor HTTPClient"),
    }
}

/// Where a reply goes.
pub(crate) fn destination(to: &Destination) -> String {
    match to {
        Destination::Relay(ip) => format!("{ip}:67, the relay agent"),
        Destination::Configured(ip) => format!("{ip}:68, which it has"),
        Destination::Unconfigured { mac, ip } => format!("{ip}:68, in a frame to {mac}"),
        Destination::Broadcast => "255.255.255.255:68".to_owned(),
        Destination::Peer(peer) => peer.to_string(),
    }
}

/// How it stands with a pool.
pub(crate) fn standing(standing: Standing) -> String {
    match standing {
        Standing::May { ip, leased: Some(ends), .. } => format!("it has {ip} until {ends:.0}"),
        Standing::May { ip, .. } => format!("it may have {ip}"),
        Standing::Refused { ip, because } => match because {
            Refusal::NotHere => format!("{ip} is not the pool's to give"),
            Refusal::Taken => format!("{ip} is another machine's, or in quarantine"),
            Refusal::Ended => format!("its lease of {ip} has ended"),
            Refusal::Other(own) => format!("{own} is its own, not {ip}"),
        },
        Standing::Unrecorded => "nothing is known of it".to_owned(),
        Standing::Exhausted => "no address is free".to_owned(),
        Standing::Taken { ip } => format!("its reservation {ip} is still leased to another machine"),
        Standing::Kept { ip, ends } => format!("the store is away; it keeps {ip} until {ends:.0}"),
        Standing::Away => "the store is away, and it has no lease".to_owned(),
    }
}

/// What a Network does with machines that nobody declared.
pub(crate) fn unknown(network: &Network) -> String {
    match network.spec.unknown {
        UnknownMachines::Ignore => "unknown: ignore; it is neither answered nor listed",
        UnknownMachines::Record => "unknown: record; it is listed, not answered",
        UnknownMachines::Pool => {
            "unknown: pool; it is listed, and gets an address where the Network is authoritative"
        }
        UnknownMachines::Boot if network.spec.dhcp.mode == DhcpMode::Authoritative => {
            "unknown: boot; it is listed, gets an address of the pool, and boots OSIE for its inventory"
        }
        UnknownMachines::Boot => "unknown: boot; it is listed, and boots OSIE for its inventory",
    }
    .to_owned()
}
