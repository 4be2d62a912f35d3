use serde_json::json;

use super::*;
use crate::{
    document::Kind,
    store::{Key, Stored},
};

fn put(kind: Kind, name: &str, spec: serde_json::Value) -> Change {
    let value = json!({"apiVersion": "bootcode/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    Change::Put(Stored { key: Key::new(kind.name(), name), revision: Revision(1), value })
}

fn machine(profile: &str, mac: &str, ip: &str) -> serde_json::Value {
    json!({"profile": profile, "interfaces": [{"id": "nic0", "mac": mac, "network": "lab", "ip": ip, "netboot": true}]})
}

#[test]
fn a_machine_is_found_by_each_of_its_keys_and_follows_its_profile() {
    let mut index = Index::default();
    let mac = "52:54:00:00:00:01".parse().unwrap();
    change_index(&mut index, &put(Kind::Hardware, "a", machine("p", "52:54:00:00:00:01", "10.0.0.1")));
    change_index(&mut index, &put(Kind::Profile, "p", json!({"kernelArgs": ["quiet"]})));
    let found = index.hardware(&HardwareKey::Mac(mac)).unwrap();
    assert_eq!(
        (found.name.as_str(), found.spec.kernel_args.as_slice()),
        ("a", ["quiet".to_owned()].as_slice())
    );
    let by_ip = HardwareKey::Ip([10, 0, 0, 1].into());
    assert!(index.hardware(&by_ip).is_some());

    change_index(&mut index, &put(Kind::Hardware, "a", machine("p", "52:54:00:00:00:01", "10.0.0.2")));
    assert!(index.hardware(&by_ip).is_none(), "the old address is forgotten");
    change_index(&mut index, &Change::Deleted(Key::new("Hardware", "a")));
    assert!(index.hardware(&HardwareKey::Mac(mac)).is_none());
}

#[test]
fn a_machine_is_found_by_the_address_of_its_vlan() {
    let mut index = Index::default();
    let mut spec = machine("small", "02:00:00:00:00:01", "10.0.0.1");
    spec["links"] = json!({"vlans": [{"id": "storage", "link": "nic0", "vlan": 42, "network": "other", "ip": "10.0.1.1"}]});
    change_index(&mut index, &put(Kind::Hardware, "a", spec));
    let by_ip = HardwareKey::Ip([10, 0, 1, 1].into());
    assert_eq!(index.hardware(&by_ip).unwrap().name, "a");
    change_index(&mut index, &put(Kind::Hardware, "a", machine("small", "02:00:00:00:00:01", "10.0.0.1")));
    assert!(index.hardware(&by_ip).is_none(), "the old address is forgotten");
}

#[test]
fn the_narrowest_network_answers() {
    let mut index = Index::default();
    change_index(&mut index, &put(Kind::Network, "wide", json!({"cidr": "10.0.0.0/8"})));
    change_index(&mut index, &put(Kind::Network, "lab", json!({"cidr": "10.0.0.0/24"})));
    assert_eq!(index.network([10, 0, 0, 9].into()).unwrap().name, "lab");
    assert_eq!(index.network([10, 1, 0, 9].into()).unwrap().name, "wide");
    assert!(index.network([192, 168, 0, 1].into()).is_none());
}
