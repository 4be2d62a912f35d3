//! `netboot.ipxe` and static routes of an interface of Tinkerbell's, as ours.

use serde_json::{Map, Value, json};

use super::{
    reading::Reading,
    types::{Dhcp, Interface},
};
use crate::document::{Netboot, Route};

/// iPXE's builds that Tinkerbell carries. Ours are chosen by the machine's architecture and have other names.
const BUILT_IN: [&str; 5] = ["undionly.kpxe", "ipxe.efi", "snp-arm64.efi", "snp-x86_64.efi", "ipxe.iso"];

/// What the first interface that boots says of another file or script. There it is served whether or not a workflow is open.
pub(super) fn netboot(
    spec: &mut Map<String, Value>,
    interfaces: &[(usize, &Interface)],
    reading: &mut Reading<'_>,
) {
    let booting =
        |interface: &Interface| interface.netboot.as_ref().is_some_and(|n| n.allow_pxe == Some(true));
    let Some((n, interface)) = interfaces.iter().find(|(_, interface)| booting(interface)) else { return };
    let Some(ipxe) = interface.netboot.as_ref().and_then(|netboot| netboot.ipxe.as_ref()) else { return };
    let path = format!("spec.interfaces[{n}].netboot.ipxe");
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let (url, contents) = (given(&ipxe.url), given(&ipxe.contents));
    let binary = given(&ipxe.binary);
    if let Some(name) = binary.as_deref().filter(|name| BUILT_IN.contains(name)) {
        let message = format!(
            "`{name}` is a build that Tinkerbell carries: here the file follows from the architecture"
        );
        reading.warn(&format!("{path}.binary"), message);
    }
    if url.is_some() && contents.is_some() {
        reading.warn(&format!("{path}.contents"), "`url` is beside it, and counts");
    }
    let with_first_line =
        |text: String| if text.starts_with("#!ipxe") { text } else { format!("#!ipxe\n{text}") };
    let always = url.is_some() || contents.is_some();
    let ours = Netboot {
        nbp: binary.filter(|name| !BUILT_IN.contains(&name.as_str())),
        script_text: contents.filter(|_| url.is_none()).map(with_first_line),
        script: url,
        always,
        ..Netboot::default()
    };
    if ours.is_empty() {
        return;
    }
    for (field, place) in [("nbp", "binary"), ("script", "url"), ("scriptText", "contents")] {
        reading.paths.add(format!("spec.netboot.{field}"), format!("{path}.{place}"));
    }
    // Made of plain types, so this cannot fail.
    spec.insert("netboot".to_owned(), serde_json::to_value(&ours).unwrap_or_default());
}

/// Option 121 of an interface: its static routes, and the default one, which whoever reads them takes from there (RFC 3442).
pub(super) fn routes(dhcp: &Dhcp, path: &str, reading: &mut Reading<'_>) -> Option<Value> {
    let mut routes: Vec<Route> = Vec::new();
    for (n, route) in dhcp.routes.iter().flatten().enumerate() {
        let at = |field: &str| format!("{path}.classless_static_routes[{n}].{field}");
        let to: ipnet::Ipv4Net = reading.parse(
            &at("destination_descriptor"),
            route.destination.as_deref(),
            "destination of a route, as in 10.8.0.0/16",
        )?;
        let via = reading.parse(&at("router"), route.router.as_deref(), "IPv4 address of a router")?;
        routes.push(Route { to: to.trunc(), via });
    }
    if routes.is_empty() {
        return None;
    }
    let gateway =
        dhcp.ip.as_ref().and_then(|ip| ip.gateway.as_ref()).and_then(|gateway| gateway.parse().ok());
    if let Some(via) = gateway.filter(|_| routes.iter().all(|route| route.to.prefix_len() > 0)) {
        routes.push(Route { to: ipnet::Ipv4Net::default(), via });
    }
    Some(json!([{"code": 121, "routes": routes}]))
}
