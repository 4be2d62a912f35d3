//! Documents: bad ones with the exact text of their faults, good ones as they are stored.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::clock::{Timestamp, worked};

const GOOD: &str = r#"apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec:
  cidr: 192.168.99.0/24
  gateway: 192.168.99.1
  dns: {servers: [192.168.99.1], search: [lab.example]}
  ntp: []
  lease: 24h
  dhcp: {mode: authoritative}
  pool: [192.168.99.100-192.168.99.199]
  unknown: record
  identity: address
---
apiVersion: bootcode/v1
kind: Profile
metadata: {name: small}
spec:
  kernelArgs: ["console=ttyS0,115200n8"]
  localBoot: auto
  os: {image: debian-12.tar.zst, sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1, labels: {rack: a1, row: 7}}
spec:
  profile: small
  arch: amd64
  firmware: bios
  hostname: node-1
  identity: {serial: 7320}
  interfaces:
    - {id: nic0, mac: 52:54:00:00:00:01, network: lab, ip: 192.168.99.11, netboot: true}
  storage:
    disks:
      - {id: a, device: /dev/vda}
      - {id: b, match: {size: 400GB..1TB, type: nvme}, keep: true}
    partitions:
      - disk: a
        table: gpt
        layout:
          - {id: bios, size: 1MiB, type: bios-boot}
          - {id: root, size: rest, type: linux, format: ext4, mount: /}
  instance: {tags: [lab]}
  bmc: {}
  hold: ""
---
apiVersion: bootcode/v1
kind: Template
metadata: {name: debian}
spec:
  data: |
    version: '0.1'
    name: debian
    global_timeout: 6000
    tasks:
    - name: os-installation
      worker: "{{.device_1}}"
      volumes: [/dev:/dev]
      actions:
      - name: disk-wipe
        image: disk-wipe:v3
        timeout: 90
---
apiVersion: bootcode/v1
kind: Workflow
metadata: {name: install-node-1}
spec: {template: debian, hardware: node-1, hardwareMap: {device_2: 52-54-00-00-00-01}}
---
apiVersion: bootcode/v1
kind: Secret
metadata: {name: site}
spec: {keys: {ROOT: {file: /etc/bootcode/root}, API: {env: API_TOKEN}}}
"#;

fn faults(files: &[(&str, &str)], existing: &[Document], origin: Origin) -> String {
    validate(files, existing, origin, Timestamp::UNIX_EPOCH)
        .map(|set| set.len())
        .expect_err("the documents have faults")
        .to_string()
}

fn good() -> Vec<Document> {
    validate(&[("good.yaml", GOOD)], &[], Origin::Directory, Timestamp::UNIX_EPOCH)
        .unwrap_or_else(|f| panic!("{f}"))
        .into_documents()
}

#[test]
fn the_documents_of_the_design_are_read_and_stored_as_written() {
    let documents = good();
    let catalog = Catalog::new(&documents);
    let hardware = catalog.document(Kind::Hardware, "node-1").unwrap();
    assert_eq!(hardware.metadata.labels["row"], "7");
    assert_eq!(hardware.spec["identity"], json!({"serial": "7320"}));
    assert_eq!(hardware.spec["arch"], "x86_64");
    // Only what was written: a default here would override what a Profile says.
    assert!(hardware.spec.get("kernelArgs").is_none());
    assert_eq!(hardware.spec["hold"], "");
    let machine = catalog.hardware("node-1").unwrap();
    assert_eq!(machine.spec.kernel_args, ["console=ttyS0,115200n8"]);
    assert_eq!(machine.spec.os.unwrap().image, "debian-12.tar.zst");
    assert_eq!(catalog.network("lab").unwrap().spec.lease.as_secs(), 86_400);
    assert_eq!(catalog.machine("525400000001"), Some("node-1"));
    assert_eq!(catalog.machine("node-2"), None);
    let workflow =
        WorkflowDocSpec::from_document(catalog.document(Kind::Workflow, "install-node-1").unwrap()).unwrap();
    assert_eq!(workflow.expires.as_secs(), 86_400);
    assert_eq!(catalog.compile(&workflow).unwrap().tasks[0].worker, "node-1");
}

#[test]
fn what_is_stored_reads_back_the_same() {
    let documents = good();
    let text: String = documents
        .iter()
        .map(|d| format!("---\n{}", crate::yaml::to_string(&serde_json::to_value(d).unwrap()).unwrap()))
        .collect();
    let again =
        validate(&[("again.yaml", &text)], &documents, Origin::Directory, Timestamp::UNIX_EPOCH).unwrap();
    let diff = diff(&documents, again.documents());
    assert!(diff.is_empty(), "{diff:?}");
    assert_eq!(diff.unchanged.len(), documents.len());
}

#[test]
fn every_fault_of_shape_is_listed_across_files() {
    let first = "apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1, lables: {a: b}}
spec:
  arch: x86
  interfaces:
    - {id: nic0, mac: 52:54:00:00:00, netwrok: lab}
    - {mac: 52:54:00:00:00:02, ip: 300.1.1.1, netboot: yes}
  storage: {disks: [{id: a, divice: /dev/vda}]}
  os: {image: a}
  kernelArgs: console=ttyS0
---
apiVersion: bootcode/v2
kind: Network
metadata: {name: lab}
spec: {}
---
apiVersion: bootcode/v1
kind: Hardwares
metadata: {name: x}
spec: {}
---
apiVersion: bootcode/v1
metadata: {name: Big_Name}
kind: Network
spec: {cidr: 10.0.0.0, lease: 1 fortnight, pool: [10.0.0.9]}
---
kind: Template
metadata: {}
spec: {data: x, actions: []}
---
- a
";
    let second =
        "apiVersion: bootcode/v1\nkind: Secret\nmetadata: {name: s}\nspec: {keys: {A: hunter2}}\n---\na: [\n";
    insta::assert_snapshot!(faults(&[("first.yaml", first), ("second.yaml", second)], &[], Origin::Operator), @r"
    first.yaml:3:26: metadata: unknown key `lables` (did you mean `labels`?)
    first.yaml:5:9: spec.arch: `x86` is none of amd64, x86_64, aarch64, arm64
    first.yaml:7:23: spec.interfaces[0].mac: `52:54:00:00:00` is no MAC address: write six pairs of hexadecimal digits, as in 52:54:00:12:34:56
    first.yaml:7:39: spec.interfaces[0]: unknown key `netwrok` (did you mean `network`?)
    first.yaml:8:7: spec.interfaces[1]: the key `id` is missing
    first.yaml:8:36: spec.interfaces[1].ip: `300.1.1.1`: invalid IPv4 address syntax
    first.yaml:8:56: spec.interfaces[1].netboot: expected true or false, found `yes`
    first.yaml:9:21: spec.storage.disks[0]: a disk needs a `device`, as in /dev/sda, or a `match`
    first.yaml:9:29: spec.storage.disks[0]: unknown key `divice` (did you mean `device`?)
    first.yaml:10:7: spec.os: the key `sha256` is missing
    first.yaml:11:15: spec.kernelArgs: expected a list, found `console=ttyS0`
    first.yaml:13:13: apiVersion: `bootcode/v2` is no known version of documents: write bootcode/v1
    first.yaml:19:7: kind: `Hardwares` is no kind; known are Network, Secret, Profile, Hardware, Template, Workflow (did you mean `Hardware`?)
    first.yaml:24:18: metadata.name: `Big_Name` is no name: use lower-case letters, digits, `-` and `.`, with a letter or digit at both ends, at most 63 characters
    first.yaml:26:14: spec.cidr: `10.0.0.0`: invalid IP address syntax
    first.yaml:26:31: spec.lease: `1 fortnight` is no duration: write a number and a unit, as in 24h, 15m or 90s
    first.yaml:26:51: spec.pool[0]: `10.0.0.9` is no range of addresses: write FIRST-LAST, as in 10.0.0.10-10.0.0.99
    first.yaml:28:1: the key `apiVersion` is missing
    first.yaml:29:11: metadata: the key `name` is missing
    first.yaml:32:1: expected a mapping, found a list
    second.yaml:4:18: spec.keys.A: expected a mapping, found another value
    second.yaml:6:4: no valid YAML: unclosed bracket '['
    ");
}

#[test]
fn every_fault_of_sense_is_listed() {
    let bad = "apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec: {cidr: 10.0.0.1/24, gateway: 10.0.1.1, lease: 1s, dhcp: {mode: authoritative}, pool: [10.0.0.9-10.0.0.20, 10.0.0.20-10.0.1.3]}
---
apiVersion: bootcode/v1
kind: Network
metadata: {name: wide}
spec: {cidr: 10.0.0.0/16}
---
apiVersion: bootcode/v1
kind: Profile
metadata: {name: p}
spec: {interfaces: [], os: {image: ../x}, sshKeys: [secret]}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1}
spec:
  profile: p
  os: {sha256: abc}
  hostname: node_1
  identity: {uuid: 12}
  interfaces:
    - {id: nic0, mac: 52:54:00:00:00:01, network: lab, ip: 10.0.0.255, netboot: true}
    - {id: nic0, mac: ff:ff:ff:ff:ff:ff, network: labb, ip: 10.0.0.5}
    - {id: nic2, mac: 52:54:00:00:00:03, network: lab, netboot: true}
    - {id: nic3, mac: 52:54:00:00:00:04, ip: 10.0.0.7}
  storage:
    disks:
      - {id: a, device: vda}
      - {id: a, device: /dev/vdb, match: {size: 1GB}}
      - {id: c}
      - {id: d, match: {colour: red, size: big}}
      - {id: k, device: /dev/vdk, keep: true}
    partitions:
      - disk: z
        table: mbr
        layout:
          - {id: r, size: rest, type: linux, format: ext3, mount: /}
          - {id: r, size: 1G, type: root, mount: /}
      - {disk: k, table: gpt, layout: []}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-2}
spec:
  profile: q
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-3}
spec:
  interfaces: [{id: a, mac: 52-54-00-00-00-01, network: lab, ip: 10.0.0.255}]
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-3}
spec: {}
---
apiVersion: bootcode/v1
kind: Secret
metadata: {name: s}
spec: {keys: {A: {}, B: {file: a, env: b}}}
---
apiVersion: bootcode/v1
kind: Workflow
metadata: {name: w}
spec: {template: debain, hardware: node-3, overwrite: any, expires: 0s, hardwareMap: {device_2: node-9}}
---
apiVersion: bootcode/v1
kind: Template
metadata: {name: debian}
spec:
  data: |
    version: '0.1'
    {{ if }}
";
    insta::assert_snapshot!(faults(&[("bad.yaml", bad)], &[], Origin::Directory), @r"
    bad.yaml:4:14: spec.cidr: host bits are set: write 10.0.0.0/24
    bad.yaml:4:36: spec.gateway: 10.0.1.1 lies outside 10.0.0.0/24
    bad.yaml:4:53: spec.lease: a lease runs at least 60s
    bad.yaml:4:113: spec.pool[1]: 10.0.0.20-10.0.1.3 overlaps a range above
    bad.yaml:4:113: spec.pool[1]: 10.0.1.1 in it is the gateway
    bad.yaml:4:113: spec.pool[1]: 10.0.1.3 lies outside 10.0.0.0/24
    bad.yaml:9:14: spec.cidr: 10.0.0.0/16 overlaps 10.0.0.1/24 of Network `lab`
    bad.yaml:14:20: spec.interfaces: `interfaces` is of one machine: write it in a Hardware
    bad.yaml:14:36: spec.os.image: write a name under the server's `files:`, as in debian-12.tar.zst, or a whole URL
    bad.yaml:14:53: spec.sshKeys[0]: this is no public key of OpenSSH: write one line, as in ssh-ed25519 AAAA.. comment
    bad.yaml:21:16: spec.os.sha256: a SHA-256 has 64 hexadecimal digits, as sha256sum prints them
    bad.yaml:22:13: spec.hostname: `node_1` is no host name: use letters, digits and `-`, with a letter or digit at both ends of each part
    bad.yaml:23:20: spec.identity.uuid: `12` is no UUID: write 8-4-4-4-12 hexadecimal digits, as SMBIOS shows them
    bad.yaml:25:60: spec.interfaces[0].ip: 10.0.0.255 is the broadcast address of 10.0.0.0/24
    bad.yaml:26:12: spec.interfaces[1].id: two interfaces are called `nic0`
    bad.yaml:26:23: spec.interfaces[1].mac: ff:ff:ff:ff:ff:ff is no address of one machine
    bad.yaml:26:51: spec.interfaces[1].network: there is no Network `labb` (did you mean `lab`?)
    bad.yaml:27:7: spec.interfaces[2]: Network `lab` leases addresses, so an interface that boots from the network needs its `ip`
    bad.yaml:28:7: spec.interfaces[3]: an `ip` needs its `network`
    bad.yaml:31:25: spec.storage.disks[0].device: `vda` is no device: write its path, as in /dev/sda
    bad.yaml:32:9: spec.storage.disks[1]: a disk has a `device` or a `match`, not both
    bad.yaml:32:14: spec.storage.disks[1].id: two disks are called `a`
    bad.yaml:33:9: spec.storage.disks[2]: a disk needs a `device`, as in /dev/sda, or a `match`
    bad.yaml:34:33: spec.storage.disks[3].match.colour: a disk cannot be matched by `colour`; known are wwn, serial, type, size, path
    bad.yaml:34:44: spec.storage.disks[3].match.size: `big` is no size: write 960GB or 400GB..1TB
    bad.yaml:37:15: spec.storage.partitions[0].disk: there is no disk `z` above; known are a, a, c, d, k
    bad.yaml:38:16: spec.storage.partitions[0].table: `mbr` is no partition table: write gpt
    bad.yaml:40:27: spec.storage.partitions[0].layout[0].size: only the last partition takes the `rest`
    bad.yaml:40:54: spec.storage.partitions[0].layout[0].format: `ext3` is no format; known are ext4, vfat, swap
    bad.yaml:41:18: spec.storage.partitions[0].layout[1].id: two partitions are called `r`
    bad.yaml:41:27: spec.storage.partitions[0].layout[1].size: `1G` is no size: write 512MiB, 10GiB .. (at least 1MiB), or rest
    bad.yaml:41:37: spec.storage.partitions[0].layout[1].type: `root` is no type of partition; known are bios-boot, esp, linux, swap
    bad.yaml:41:50: spec.storage.partitions[0].layout[1].mount: / is mounted twice
    bad.yaml:41:50: spec.storage.partitions[0].layout[1].mount: what is mounted needs a `format` with files: ext4 or vfat
    bad.yaml:42:16: spec.storage.partitions[1].disk: disk `k` says `keep: true`, so it gets no layout
    bad.yaml:42:39: spec.storage.partitions[1].layout: a layout has at least one partition
    bad.yaml:48:12: spec.profile: there is no Profile `q` (did you mean `p`?)
    bad.yaml:54:29: spec.interfaces[0].mac: the hardware address 52:54:00:00:00:01 is taken: spec.interfaces[0].mac of Hardware `node-1` has it (bad.yaml:25)
    bad.yaml:54:66: spec.interfaces[0].ip: 10.0.0.255 is the broadcast address of 10.0.0.0/24
    bad.yaml:54:66: spec.interfaces[0].ip: the address 10.0.0.255 is taken: spec.interfaces[0].ip of Hardware `node-1` has it (bad.yaml:25)
    bad.yaml:58:18: metadata.name: Hardware `node-3` is declared twice, first at bad.yaml:50
    bad.yaml:64:18: spec.keys.A: a secret is read from either a `file` or a variable (`env`)
    bad.yaml:64:25: spec.keys.B: a secret is read from either a `file` or a variable (`env`)
    bad.yaml:69:18: spec.template: there is no Template `debain` (did you mean `debian`?)
    bad.yaml:69:55: spec.overwrite: `any` is for an operator's command only: apply this Workflow with `bootcode apply`
    bad.yaml:69:69: spec.expires: it would expire at once
    bad.yaml:69:97: spec.hardwareMap.device_2: `node-9` is no declared machine: write its name or one of its MACs
    bad.yaml:77:8: spec.data: this `if` has no `{{end}}`
    ");
}

#[test]
fn faults_of_a_template_have_their_place_in_the_file() {
    let bad =
        GOOD.replace("timeout: 90", "timeout: 90s\n        retires: 1").replace("[/dev:/dev]", "[dev:/dev]");
    insta::assert_snapshot!(faults(&[("bad.yaml", &bad)], &[], Origin::Operator), @r"
    bad.yaml:59:17: spec.data: tasks[0].volumes[0]: `dev:/dev` is no volume: both paths are absolute and go without `..` (for Workflow `install-node-1`)
    bad.yaml:63:18: spec.data: tasks[0].actions[0].timeout: expected a whole number, found `90s` (for Workflow `install-node-1`)
    bad.yaml:64:9: spec.data: tasks[0].actions[0]: unknown key `retires` (for Workflow `install-node-1`) (did you mean `retries`?)
    ");
    let quoted =
        "apiVersion: bootcode/v1\nkind: Template\nmetadata: {name: t}\nspec: {data: \"a\\n{{ end }}\"}\n";
    insta::assert_snapshot!(faults(&[("t.yaml", quoted)], &[], Origin::Operator), @"t.yaml:4:14: spec.data, line 2: this `end` closes nothing");
}

#[test]
fn a_machine_and_its_profile_make_one_whole() {
    let text = "apiVersion: bootcode/v1
kind: Profile
metadata: {name: p}
spec: {os: {image: 12}}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: a}
spec: {profile: p, hostname: 7, os: {sha256: 0000000000000000000000000000000000000000000000000000000000000001}}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: b}
spec: {profile: p}
";
    insta::assert_snapshot!(faults(&[("p.yaml", text)], &[], Origin::Operator), @"p.yaml:14:7: spec.os: with its Profile: the key `sha256` is missing");
    let (whole, _) = text.rsplit_once("---").unwrap();
    let documents = validate(&[("p.yaml", whole)], &[], Origin::Operator, Timestamp::UNIX_EPOCH)
        .unwrap()
        .into_documents();
    let machine = Catalog::new(&documents).hardware("a").unwrap();
    assert_eq!(machine.hostname(), "7");
    let os = machine.spec.os.unwrap();
    assert_eq!((os.image.as_str(), os.sha256.len()), ("12", 64));
}

#[test]
fn an_applied_workflow_does_not_change_and_keeps_its_template() {
    let existing = good();
    let changed = GOOD.replace("hardware: node-1,", "hardware: node-1, expires: 1h,");
    insta::assert_snapshot!(faults(&[("w.yaml", &changed)], &existing, Origin::Operator), @"w.yaml:68:7: spec: a Workflow is not changed once it is applied: give the new one another name");
    // The template of an applied workflow may be changed: it was rendered when the workflow was applied.
    let template = GOOD.replace("{{.device_1}}", "{{.device_7}}");
    validate(&[("w.yaml", &template)], &existing, Origin::Directory, Timestamp::UNIX_EPOCH).unwrap();
}

#[test]
fn new_documents_are_checked_against_stored_ones() {
    let existing = good();
    let node = "apiVersion: bootcode/v1\nkind: Hardware\nmetadata: {name: node-2}\nspec:\n  interfaces:\n    - {id: a, mac: 52:54:00:00:00:01, network: lab, ip: 192.168.99.11}\n";
    insta::assert_snapshot!(faults(&[("n.yaml", node)], &existing, Origin::Operator), @r"
    n.yaml:6:20: spec.interfaces[0].mac: the hardware address 52:54:00:00:00:01 is taken: spec.interfaces[0].mac of Hardware `node-1` has it
    n.yaml:6:57: spec.interfaces[0].ip: the address 192.168.99.11 is taken: spec.interfaces[0].ip of Hardware `node-1` has it
    ");
    // A network that moves away from under a stored machine.
    let network =
        "apiVersion: bootcode/v1\nkind: Network\nmetadata: {name: lab}\nspec: {cidr: 10.0.0.0/24}\n";
    insta::assert_snapshot!(faults(&[("n.yaml", network)], &existing, Origin::Operator), @"stored Hardware node-1: spec.interfaces[0].ip: 192.168.99.11 lies outside 10.0.0.0/24");
    // The same machine, moved.
    let moved = GOOD.replace("192.168.99.11", "192.168.99.12");
    let set = validate(&[("m.yaml", &moved)], &existing, Origin::Directory, Timestamp::UNIX_EPOCH).unwrap();
    let diff = diff(&existing, set.documents());
    assert_eq!(diff.changed.len(), 1);
    assert_eq!(diff.changed[0].fields[0].path, "spec.interfaces");
}

#[test]
fn ten_thousand_machines_are_read_in_some_seconds_even_unoptimised() {
    let mut text = String::new();
    for n in 0..10_000_u32 {
        text.push_str(&format!(
            "---\napiVersion: bootcode/v1\nkind: Hardware\nmetadata: {{name: node-{n}}}\nspec:\n  arch: x86_64\n  interfaces:\n    - {{id: nic0, mac: 52:54:00:00:{:02x}:{:02x}, network: lab, ip: 10.0.{}.{}}}\n",
            n >> 8, n & 255, (n + 2) >> 8, (n + 2) & 255
        ));
    }
    let network =
        "apiVersion: bootcode/v1\nkind: Network\nmetadata: {name: lab}\nspec: {cidr: 10.0.0.0/16}\n";
    let begun = worked();
    let set = validate(
        &[("a.yaml", text.as_str()), ("b.yaml", network)],
        &[],
        Origin::Directory,
        Timestamp::UNIX_EPOCH,
    )
    .unwrap();
    assert_eq!(set.len(), 10_001);
    assert!((worked() - begun).as_secs() < 30, "{:?}", worked() - begun);
    println!("{:?}", worked() - begun);
}

proptest! {
    #[test]
    fn a_good_file_with_a_piece_cut_out_or_put_in_never_panics(at in 0..GOOD.len(), cut in 0..40_usize, put in "[ -~\n]{0,6}") {
        let end = (at + cut).min(GOOD.len());
        if GOOD.is_char_boundary(at) && GOOD.is_char_boundary(end) {
            let text = format!("{}{put}{}", &GOOD[..at], &GOOD[end..]);
            if let Err(faults) = validate(&[("f.yaml", &text)], &[], Origin::Operator, Timestamp::UNIX_EPOCH) {
                prop_assert!(!faults.is_empty());
                for fault in &faults {
                    prop_assert!(fault.line > 0 && fault.column > 0, "{}", fault);
                }
            }
        }
    }
}
