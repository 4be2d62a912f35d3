//! One faulty fleet a row: a good one with one thing changed, and the one fault that this is.

use crate::{
    clock::worked,
    document::{Origin, validate},
};

const GOOD: &str = "apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec:
  cidr: 10.0.0.0/24
  gateway: 10.0.0.1
  pool: [10.0.0.100-10.0.0.149, 10.0.0.150-10.0.0.199]
---
apiVersion: bootcode/v1
kind: Network
metadata: {name: other}
spec: {cidr: 10.0.1.0/24}
---
apiVersion: bootcode/v1
kind: Secret
metadata: {name: site}
spec: {keys: {token: {env: TOKEN}}}
---
apiVersion: bootcode/v1
kind: Profile
metadata: {name: small}
spec:
  vendorData: {secretRef: site/token}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: a}
spec:
  profile: small
  identity: {uuid: 00000000-0000-0000-0000-00000000000a}
  interfaces:
    - {id: nic0, mac: 02:00:00:00:00:0a, network: lab, ip: 10.0.0.10, netboot: true}
  userData: {secretRef: site/token}
  storage:
    disks:
      - {id: root, match: {size: 1GiB..2GiB, serial: S1}}
    partitions:
      - disk: root
        table: gpt
        layout:
          - {id: esp, size: 512MiB, type: esp}
          - {id: data, size: 1GiB, type: linux}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: b}
spec:
  identity: {uuid: 00000000-0000-0000-0000-00000000000b}
  interfaces:
    - {id: nic0, mac: 02:00:00:00:00:0b, network: lab, ip: 10.0.0.11}
---
apiVersion: bootcode/v1
kind: Template
metadata: {name: t}
spec:
  data: |
    version: '0.1'
    name: t
    global_timeout: 60
    tasks:
    - name: one
      worker: '{{.device_1}}'
      actions:
      - {name: look, image: x, environment: {KEY: {secretRef: site/token}}}
    - name: two
      worker: '{{.second}}'
      actions: [{name: see, image: x}]
---
apiVersion: bootcode/v1
kind: Workflow
metadata: {name: w}
spec: {template: t, hardware: a, hardwareMap: {second: b}}
";

#[test]
fn each_mistake_across_documents_is_one_fault_with_its_place() {
    assert_eq!(
        validate(&[("f.yaml", GOOD)], &[], Origin::Operator, crate::clock::Timestamp::UNIX_EPOCH)
            .map(|set| set.len()),
        Ok(8)
    );
    let rows = [
        ("cidr: 10.0.1.0/24", "cidr: 10.0.0.128/25"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.110\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.0\n"),
        (
            "spec: {cidr: 10.0.1.0/24}",
            "spec: {cidr: 10.0.1.0/24, unknown: boot, dhcp: {mode: authoritative}}",
        ),
        ("10.0.0.100-10.0.0.149", "10.0.0.100-10.0.0.150"),
        ("10.0.0.150-10.0.0.199", "10.0.0.150-10.0.0.255"),
        ("profile: small", "profile: smal"),
        ("mac: 02:00:00:00:00:0b", "mac: 02-00-00-00-00-0A"),
        ("mac: 02:00:00:00:00:0b", "mac: 03:00:00:00:00:0b"),
        ("ip: 10.0.0.11}", "ip: 10.0.0.10}"),
        ("ip: 10.0.0.11}", "ip: 10.0.1.11}"),
        ("ip: 10.0.0.11}", "ip: 10.0.0.1}"),
        ("network: lab, ip: 10.0.0.11", "network: labs, ip: 10.0.0.11"),
        ("00000000000b}", "00000000000A}"),
        ("size: 1GiB..2GiB", "size: 2GiB..1GiB"),
        ("size: 1GiB..2GiB", "size: 1GiB"),
        ("serial: S1", "serial: ''"),
        ("serial: S1", "path: vda"),
        ("serial: S1", "wwm: S1"),
        ("size: 1GiB, type: linux", "size: 3GiB, type: linux"),
        ("disk: root", "disk: rooot"),
        ("userData: {secretRef: site/token}", "userData: {secretRef: sit/token}"),
        ("userData: {secretRef: site/token}", "userData: {secretRef: site/tokn}"),
        ("userData: {secretRef: site/token}", "userData: {secretRef: site}"),
        ("userData: {secretRef: site/token}", "userData: {file: cloud.yaml}"),
        ("userData: {secretRef: site/token}", "userData: {file: ../cloud.yaml}"),
        ("userData: {secretRef: site/token}", "userData: {file: f.yaml}"),
        ("vendorData: {secretRef: site/token}", "vendorData: {secretRef: nobody/token}"),
        ("KEY: {secretRef: site/token}", "KEY: {secretRef: site/other}"),
        ("KEY: {secretRef: site/token}", "KEY: {secretRef: other/token}"),
        ("second: b", "second: c"),
        ("worker: '{{.second}}'", "worker: nobody"),
        ("template: t,", "template: u,"),
        ("hardware: a,", "hardware: z,"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  mtu: 100\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  routes: [{to: 10.9.0.1/16, via: 10.0.0.2}]\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  routes: [{to: 10.9.0.0/16, via: 10.0.1.2}]\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  routes: [{to: 0.0.0.0/0, via: 10.0.0.2}]\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  dhcp: {vlan: 4095}\n"),
        (
            "gateway: 10.0.0.1\n",
            "gateway: 10.0.0.1\n  dhcp: {options: [{code: 26, u16: 1400}, {code: 26, u16: 1500}]}\n",
        ),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  dhcp: {options: [{code: 53, u8: 1}]}\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  dhcp: {options: [{code: 26, u8: 1, u16: 2}]}\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  netboot: {nbp: {x64-efi: ../shim.efi}}\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  netboot: {nbp: {x64: shimx64.efi}}\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  netboot: {httpUri: {x64-efi: ftp://h/x}}\n"),
        ("gateway: 10.0.0.1\n", "gateway: 10.0.0.1\n  netboot: {script: boot.ipxe}\n"),
        ("ip: 10.0.0.11}", "ip: 10.0.0.11, dhcpOptions: [{code: 3, ips: []}]}"),
        ("ip: 10.0.0.11}", "ip: 10.0.0.11, dhcpOptions: [{code: 23, u8: 1}, {code: 23, u8: 2}]}"),
        ("ip: 10.0.0.11}", "ip: 10.0.0.11, circuit: {}}"),
        ("ip: 10.0.0.11}", "ip: 10.0.0.11, circuit: {circuitId: 0xabc}}"),
        ("ip: 10.0.0.11}", "ip: 10.0.0.11, circuit: {relay: 10.0.0.1}}"),
        ("profile: small", "profile: small\n  netboot: {nbp: shim x64.efi}"),
        ("profile: small", "profile: small\n  netboot: {script: 'http://h/a b'}"),
        ("profile: small", "profile: small\n  netboot: {scriptText: echo}"),
        ("profile: small", "profile: small\n  netboot: {script: http://h/a, scriptText: '#!ipxe'}"),
        ("profile: small", "profile: small\n  netboot: {always: true}"),
        ("profile: small", "profile: small\n  dhcpOptions: [{code: 24, u16: 1}, {code: 24, u16: 2}]"),
    ];
    let mut all = String::new();
    for (good, bad) in rows {
        assert_eq!(GOOD.matches(good).count(), 1, "{good}");
        let text = GOOD.replacen(good, bad, 1);
        let faults = match validate(
            &[("f.yaml", &text)],
            &[],
            Origin::Operator,
            crate::clock::Timestamp::UNIX_EPOCH,
        ) {
            Ok(_) => "NO FAULT".to_owned(),
            Err(faults) => faults.to_string(),
        };
        all.push_str(&format!("{}\n  {}\n", bad.trim_end(), faults.replace('\n', "\n  ")));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn one_switch_port_is_one_interface() {
    let port = ", circuit: {circuitId: eth0/7}}";
    let text = GOOD.replace("ip: 10.0.0.10, netboot: true}", &format!("ip: 10.0.0.10, netboot: true{port}"));
    let both = text.replace("ip: 10.0.0.11}", &format!("ip: 10.0.0.11{port}"));
    let at = crate::clock::Timestamp::UNIX_EPOCH;
    assert!(validate(&[("f.yaml", &text)], &[], Origin::Operator, at).is_ok());
    let faults = validate(&[("f.yaml", &both)], &[], Origin::Operator, at).unwrap_err().to_string();
    assert!(faults.contains("interfaces[0].circuit") && faults.contains("switch port"), "{faults}");
}

#[test]
fn bonds_and_vlans_stand_on_what_is_there() {
    let links = "
    - {id: nic1, mac: 02:00:00:00:00:1b}
  links:
    bonds: [{id: bond0, interfaces: [nic0, nic1], mode: 802.3ad}]
    vlans: [{id: storage, link: bond0, vlan: 42, network: other, ip: 10.0.1.11}]";
    let whole = GOOD.replace("ip: 10.0.0.11}", &format!("ip: 10.0.0.11}}{links}"));
    let check = |text: &str| {
        let faults =
            validate(&[("f.yaml", text)], &[], Origin::Operator, crate::clock::Timestamp::UNIX_EPOCH);
        faults.map(|_| ()).map_err(|faults| faults.to_string())
    };
    assert_eq!(check(&whole), Ok(()));
    for (good, bad, fault) in [
        ("[nic0, nic1]", "[nic0, nic2]", "`nic2` is no interface of this machine"),
        ("[nic0, nic1]", "[nic0, nic0]", "`nic0` is in the bond `bond0` already"),
        ("[nic0, nic1]", "[]", "a bond needs its interfaces"),
        ("00:1b}", "00:1b, network: lab, ip: 10.0.0.12}", "a bond has one address"),
        ("id: bond0,", "id: nic1,", "two interfaces are called `nic1`"),
        ("id: bond0,", "id: a-name-of-16-byt,", "a name of 1 to 15"),
        ("id: bond0,", "id: 'bond 0',", "a name of 1 to 15"),
        ("link: bond0", "link: bond1", "`bond1` is no interface or bond"),
        ("link: bond0", "link: nic1", "put the VLAN on the bond"),
        ("vlan: 42", "vlan: 4095", "from 1 to 4094"),
        ("10.0.1.11}]", "10.0.1.11}, {id: more, link: bond0, vlan: 42}]", "VLAN 42 is on `bond0` already"),
        ("network: other, ip: 10.0.1.11", "ip: 10.0.1.11", "an `ip` needs its `network`"),
        ("network: other", "network: others", "others"),
        ("ip: 10.0.1.11", "ip: 10.0.2.11", "10.0.2.11"),
        ("network: other, ip: 10.0.1.11", "network: lab, ip: 10.0.0.10", "is taken"),
        ("mode: 802.3ad", "mode: lacp", "mode"),
    ] {
        assert_eq!(whole.matches(good).count(), 1, "{good}");
        let found = check(&whole.replacen(good, bad, 1)).unwrap_err();
        assert!(found.contains(fault), "{bad}: {found}");
    }
}

#[test]
fn a_session_s_token_goes_one_to_sixty_four_hops() {
    let vendor_data = "vendorData: {secretRef: site/token}";
    assert_eq!(GOOD.matches(vendor_data).count(), 1);
    for (hops, is_good) in [("0", false), ("1", true), ("64", true), ("65", false), ("256", false)] {
        let instance = format!("{vendor_data}\n  instance: {{httpPutResponseHopLimit: {hops}}}");
        let text = GOOD.replace(vendor_data, &instance);
        let found =
            validate(&[("f.yaml", &text)], &[], Origin::Operator, crate::clock::Timestamp::UNIX_EPOCH);
        let said = found.map_or_else(|faults| faults.to_string(), |_| String::new());
        assert_eq!(said.contains("httpPutResponseHopLimit"), !is_good, "{hops}: {said}");
        assert_eq!(said.is_empty(), is_good, "{hops}: {said}");
    }
}

#[test]
fn checking_grows_with_the_fleet_and_not_with_its_square() {
    // 4,000 Networks, each overlapping none, and as many machines that all name a Network that is not there.
    let mut text = String::new();
    for n in 0..4_000_u32 {
        text.push_str(&format!(
            "---\napiVersion: bootcode/v1\nkind: Network\nmetadata: {{name: net-{n}}}\nspec: {{cidr: 10.{}.{}.0/24}}\n---\napiVersion: bootcode/v1\nkind: Hardware\nmetadata: {{name: node-{n}}}\nspec: {{interfaces: [{{id: a, mac: 02:00:00:00:{:02x}:{:02x}, network: nett-{n}}}]}}\n",
            n >> 8, n & 255, n >> 8, n & 255
        ));
    }
    let begun = worked();
    let faults = validate(&[("f.yaml", &text)], &[], Origin::Operator, crate::clock::Timestamp::UNIX_EPOCH)
        .unwrap_err();
    assert_eq!(faults.len(), crate::limits::FAULTS);
    // Compared each with each, the networks would be 8 million pairs and the names 16 million distances.
    assert!((worked() - begun).as_secs() < 30, "{:?}", worked() - begun);
}
