//! Whatever is declared of whatever machines, and whoever asks in whatever way: nothing of another machine is answered.

use std::{net::Ipv4Addr, sync::Arc};

use axum::{body::Body, http::Request};
use bootcode_core::{document::MetadataIdentity, session::Use};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::site::{Machines, NOW, World, forged_token, named, token};

/// Every form, its listings and some of its leaves; `{token}` stands for what the machine that asks holds.
const PATHS: [&str; 31] = [
    "/metadata",
    "/metadata/interfaces",
    "/metadata/interfaces/0/mac",
    "/nocloud/meta-data",
    "/nocloud/user-data",
    "/nocloud/vendor-data",
    "/nocloud/network-config",
    "/nocloud/t/{token}/meta-data",
    "/nocloud/t/{token}/user-data",
    "/latest/",
    "/latest/meta-data/",
    "/latest/meta-data/hostname",
    "/latest/meta-data/public-keys/0/openssh-key",
    "/latest/meta-data/network/interfaces/macs/",
    "/latest/meta-data/network/interfaces/macs/52:54:00:00:00:01/local-ipv4s",
    "/2009-04-04/user-data",
    "/2021-03-23/vendor-data",
    "/latest/dynamic/instance-identity/document",
    "/openstack/latest/meta_data.json",
    "/openstack/latest/network_data.json",
    "/openstack/latest/user_data",
    "/openstack/2018-08-27/vendor_data.json",
    "/openstack/latest/",
    "/ignition",
    "/install/",
    "/install/ks.cfg",
    "/install/user-data",
    "/install/meta-data",
    "/install/t/{token}/",
    "/install/t/{token}/ks.cfg",
    "/install/t/{token}/network-config",
];

/// What of a machine is declared, a bit each.
fn machine(number: usize, declared: u16) -> (String, Value) {
    let name = name(number);
    let nic = |id: &str, of: usize| json!({"id": format!("{id}-{name}"), "mac": format!("52:54:00:00:{of:02x}:{number:02x}"), "netboot": of == 0});
    let mut first = nic("nic", 0);
    first["network"] = "lab".into();
    first["ip"] = ip(number).to_string().into();
    let mut spec = json!({"interfaces": [first]});
    let has = |bit: u16| declared & (1 << bit) != 0;
    if has(0) {
        spec["hostname"] = format!("host-{name}").into();
    }
    if has(1) {
        spec["sshKeys"] = json!([format!("ssh-ed25519 AAAA {name}")]);
    }
    if has(2) {
        spec["userData"] = format!("#cloud-config\n{{\"x\": \"{name}\"}}\n").into();
    } else if has(3) {
        spec["userData"] = json!({"ignition": {"version": "3.0.0"}, "x": name}).to_string().into();
    }
    if has(4) {
        spec["vendorData"] = format!("#cloud-config\n{{\"v\": \"{name}\"}}\n").into();
    }
    if has(5) {
        spec["instance"] = json!({"tags": [format!("tag-{name}")], "httpTokens": "required"});
    }
    if has(6) {
        spec["interfaces"] = json!([spec["interfaces"][0], nic("second", 1)]);
    }
    if has(7) {
        spec["os"] = json!({"image": format!("{name}.tar"), "sha256": "0".repeat(64)});
    }
    if has(8) {
        // Whatever a template can see, so that nothing of another machine is among it.
        let all = "{{ toJson .hardware }} {{ toJson .Hardware }} {{ .device_1 }} {{ toJson .references }}";
        spec["instance"]["install"] = json!({"ks.cfg": format!("# {name}\n{all}\n"), "user-data": all});
    }
    if has(9) {
        spec["instance"]["install"]["user-data"] = format!("# {name} {{{{ .nothing }}}}\n").into();
    }
    (name, spec)
}

/// What stands in everything of a machine, and in nothing of another.
fn name(number: usize) -> String {
    format!("m{number:02}x")
}

fn ip(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 99, 100 + u8::try_from(number).unwrap())
}

/// How a machine says who it is.
#[derive(Debug, Clone, Copy)]
enum Shows {
    Nothing,
    Instance(usize),
    Session(usize),
    Forged(usize),
    Boot(usize),
    Expired(usize),
}

fn shows(machines: usize) -> impl Strategy<Value = Shows> {
    let of = 0..machines;
    prop_oneof![
        Just(Shows::Nothing),
        of.clone().prop_map(Shows::Instance),
        of.clone().prop_map(Shows::Session),
        of.clone().prop_map(Shows::Forged),
        of.clone().prop_map(Shows::Boot),
        of.prop_map(Shows::Expired),
    ]
}

/// A fleet, and who asks it: a machine, or an address that is nobody's.
fn case() -> impl Strategy<Value = (Vec<u16>, usize, Shows, bool)> {
    prop::collection::vec(any::<u16>(), 2..7).prop_flat_map(|fleet| {
        let machines = fleet.len();
        (Just(fleet), 0..=machines, shows(machines), any::<bool>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn nothing_of_another_machine_is_answered((fleet, asks, shows, by_address) in case()) {
        let machines = fleet.iter().enumerate().map(|(number, declared)| {
            let (name, spec) = machine(number, *declared);
            named(&name, spec)
        });
        let identity = if by_address { MetadataIdentity::Address } else { MetadataIdentity::Token };
        let world = World::with_sources(Arc::new(Machines(machines.collect())), identity);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let shown = runtime.block_on(shown(&world, shows));
        // Who sits at an address reads of himself; who sits at nobody's, of the machine whose token he holds.
        let may_see = match shows {
            _ if asks < fleet.len() => Some(asks),
            Shows::Instance(of) => Some(of),
            _ => None,
        };
        for path in PATHS {
            let (header, value) = shown.clone().unwrap_or(("accept", String::new()));
            let token = value.strip_prefix("Bearer ").unwrap_or(&value);
            let path = path.replace("{token}", if token.is_empty() { "none" } else { token });
            let request = Request::get(&path).header(header, &value);
            let answer = runtime.block_on(world.send(&ip(asks).to_string(), request, Body::empty()));
            // One template in two cannot be rendered.
            let broken = answer.status == 500 && path.contains("/user-data") && path.contains("/install");
            prop_assert!(broken || !answer.status.is_server_error(), "{path}: {}", answer.status);
            prop_assert!(!broken || answer.body.len() < 100, "{path}: {}", answer.body);
            for other in (0..fleet.len()).filter(|number| Some(*number) != may_see) {
                prop_assert!(!answer.body.contains(&name(other)), "{path} tells of {other}: {}", answer.body);
                prop_assert!(!answer.body.contains(&ip(other).to_string()), "{path} tells of {other}: {}", answer.body);
                prop_assert!(!answer.body.contains(&format!(":{other:02x}\"")), "{path} tells of {other}: {}", answer.body);
            }
        }
    }
}

/// The header and what stands in it.
async fn shown(world: &World, shows: Shows) -> Option<(&'static str, String)> {
    let bearer = |token: String| Some(("authorization", format!("Bearer {token}")));
    match shows {
        Shows::Nothing => None,
        Shows::Instance(of) => bearer(token(&name(of), Use::Instance, NOW + 60)),
        Shows::Boot(of) => bearer(token(&name(of), Use::Boot, NOW + 60)),
        Shows::Expired(of) => bearer(token(&name(of), Use::Instance, NOW - 1)),
        Shows::Forged(of) => bearer(forged_token(&name(of))),
        Shows::Session(of) => {
            let request =
                Request::put("/latest/api/token").header("x-aws-ec2-metadata-token-ttl-seconds", "60");
            let answer = world.send(&ip(of).to_string(), request, Body::empty()).await;
            Some(("x-aws-ec2-metadata-token", answer.body.trim().replace(' ', "-")))
        }
    }
}

#[tokio::test]
async fn a_fleet_has_something_to_tell() {
    let (name, spec) = machine(1, 0b1_1111_0111);
    let world = World::with_machine(&name, spec);
    for path in PATHS.iter().filter(|path| !path.contains("{token}") && !path.contains(":01")) {
        let instance = token(&name, Use::Instance, NOW + 60);
        let answer = world.get(&ip(1).to_string(), path, Some(&instance)).await;
        let own_language = *path == "/ignition";
        assert_eq!(answer.status, if own_language { 404 } else { 200 }, "{path}: {}", answer.body);
    }
}
