//! What a machine that no Hardware names told, for whoever lists it.

use std::fmt::Write as _;

use bootcode_core::{
    clock::Timestamp,
    document::{Network, UnknownMachines},
    unknown::Unknown,
};

use crate::{
    client::{ClientMachineId, UserClass, VendorClass, text},
    limits,
    query::{Message, Query, sub_option},
    responder::serves,
};

/// The record of a machine; `None` where its Network does not want one, where the relay is none of its, and for what is no question.
pub(crate) fn unknown(query: &Query, network: &Network, now: Timestamp) -> Option<Unknown> {
    let asks = matches!(query.message, Message::Discover | Message::Request(_) | Message::Inform);
    if !asks || network.spec.unknown == UnknownMachines::Ignore || !serves(network, query) {
        return None;
    }
    // Without a relay agent option 82 is the client's own word.
    let relay = Some(query.giaddr).filter(|giaddr| !giaddr.is_unspecified());
    let agent = |code| Some(shown(sub_option(relay.and(query.relay_agent.as_deref())?, code)?));
    let client = &query.client;
    Some(Unknown {
        mac: query.mac,
        archs: client.archs.clone(),
        vendor_class: client.vendor_class.as_ref().map(VendorClass::text).map(str::to_owned),
        user_class: client.user_class.as_ref().map(UserClass::text),
        guid: client.machine_id.as_ref().and_then(ClientMachineId::uuid).map(|uuid| hex(&uuid)),
        client_id: query.client_id.as_deref().map(hex),
        hostname: query.hostname.clone(),
        relay,
        circuit_id: agent(1),
        remote_id: agent(2),
        network: network.name.clone(),
        first_seen: now,
        last_seen: now,
        times: 1,
    })
}

/// Text where all of it is printable, else hexadecimal: switches send either.
fn shown(data: &[u8]) -> String {
    let printable = !data.is_empty() && data.iter().all(|byte| (b' '..=b'~').contains(byte));
    if printable { text(data) } else { hex(data) }
}

fn hex(data: &[u8]) -> String {
    data.iter().take(limits::CLIENT_ID_BYTES).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
