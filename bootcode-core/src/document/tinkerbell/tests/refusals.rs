//! What is refused, left out, or has another meaning.

use super::{read, warnings};
use crate::document::{Catalog, Kind, Origin, validate};

const HARDWARE: &str = "apiVersion: tinkerbell.org/v1alpha1\nkind: Hardware\nmetadata: {name: n}\nspec:";

/// Said of a document: its faults, or else its warnings.
fn said(text: &str) -> String {
    match validate(&[("t.yaml", text)], &[], Origin::Operator, crate::clock::Timestamp::UNIX_EPOCH) {
        Ok(set) => warnings(&set),
        Err(faults) => format!("{faults}\n"),
    }
}

#[test]
fn each_mistake_has_its_place_and_its_remedy() {
    let interface = |rest: &str| format!("{HARDWARE}\n  interfaces:\n    - {rest}\n");
    let ip = "ip: {address: 10.0.0.2, netmask: 255.255.255.0}";
    let cases: [(&str, String); 24] = [
        ("a misspelt key", interface("{dhcp: {mac: 02:00:00:00:00:01, hostnam: x}}")),
        ("a key of nobody's", format!("{HARDWARE} {{colour: red}}\n")),
        ("no MAC", interface("{dhcp: {hostname: x}}")),
        ("a bad MAC", interface("{dhcp: {mac: 02:00}}")),
        ("a bad address", interface("{dhcp: {mac: 02:00:00:00:00:01, ip: {address: 10.0.0.300}}}")),
        (
            "a bad mask",
            interface("{dhcp: {mac: 02:00:00:00:00:01, ip: {address: 10.0.0.2, netmask: 255.0.255.0}}}"),
        ),
        ("no mask", interface("{dhcp: {mac: 02:00:00:00:00:01, ip: {address: 10.0.0.2}}}")),
        (
            "a lonely mask",
            interface("{dhcp: {mac: 02:00:00:00:00:01, ip: {address: 10.0.0.2, netmask: 255.255.255.255}}}"),
        ),
        (
            "a broadcast address",
            interface("{dhcp: {mac: 02:00:00:00:00:01, ip: {address: 10.0.0.255, netmask: 255.255.255.0}}}"),
        ),
        (
            "a router elsewhere",
            interface(
                "{dhcp: {mac: 02:00:00:00:00:01, ip: {address: 10.0.0.2, netmask: 255.255.255.0, gateway: 10.0.1.1}}}",
            ),
        ),
        ("IPv6", interface("{dhcp: {mac: 02:00:00:00:00:01, ip: {address: 'fd00::2', family: 6}}}")),
        ("no network to boot from", interface("{dhcp: {mac: 02:00:00:00:00:01}, netboot: {allowPXE: true}}")),
        (
            "DHCP off",
            interface(&format!(
                "{{disableDhcp: true, dhcp: {{mac: 02:00:00:00:00:01, {ip}}}, netboot: {{allowPXE: true}}}}"
            )),
        ),
        ("a short lease", interface(&format!("{{dhcp: {{mac: 02:00:00:00:00:01, lease_time: 5, {ip}}}}}"))),
        (
            "a name as name server",
            interface(&format!("{{dhcp: {{mac: 02:00:00:00:00:01, name_servers: [ns.example], {ip}}}}}")),
        ),
        (
            "an unknown architecture",
            interface(&format!("{{dhcp: {{mac: 02:00:00:00:00:01, arch: riscv, {ip}}}}}")),
        ),
        ("a bad host name", interface(&format!("{{dhcp: {{mac: 02:00:00:00:00:01, hostname: a_b, {ip}}}}}"))),
        ("a bad key", format!("{HARDWARE} {{metadata: {{instance: {{ssh_keys: [x]}}}}}}\n")),
        ("a bad disk", format!("{HARDWARE} {{disks: [{{device: sda}}]}}\n")),
        (
            "two names",
            format!(
                "{HARDWARE} {{interfaces: [{{dhcp: {{mac: 02:00:00:00:00:01, hostname: a}}}}], metadata: {{instance: {{hostname: b}}}}}}\n"
            ),
        ),
        (
            "another file system",
            format!(
                "{HARDWARE} {{metadata: {{instance: {{storage: {{disks: [{{device: /dev/sda, partitions: [{{label: ROOT, number: 1, size: 0}}]}}], filesystems: [{{mount: {{device: /dev/sda1, format: xfs, point: /}}}}]}}}}}}}}\n"
            ),
        ),
        ("another kind", HARDWARE.replace("kind: Hardware", "kind: Hardwear")),
        ("another version", HARDWARE.replace("v1alpha1", "v1alpha2")),
        (
            "a secret of Kubernetes",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: aHVudGVyMg==}\n".to_owned(),
        ),
    ];
    let all: String = cases.iter().map(|(name, text)| format!("{name}\n{}", said(text))).collect();
    insta::assert_snapshot!("mistakes", all);
    assert!(!all.contains("aHVudGVyMg"), "a secret is not repeated");
}

#[test]
fn rule_sets_and_bmcs_are_left_out_with_a_word() {
    for (version, kind) in [
        ("tinkerbell.org/v1alpha1", "WorkflowRuleSet"),
        ("bmc.tinkerbell.org/v1alpha1", "Machine"),
        ("bmc.tinkerbell.org/v1alpha1", "Job"),
        ("bmc.tinkerbell.org/v1alpha1", "Task"),
    ] {
        let set = read(
            &format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{a: b}}\n"),
            &[],
        );
        assert!(set.is_empty());
        assert!(set.warnings()[0].message.contains("left out"), "{kind}: {}", set.warnings()[0]);
        assert_eq!((set.warnings()[0].line, set.warnings()[0].column), (2, 7));
    }
}

#[test]
fn allow_pxe_and_allow_workflow_mean_what_they_say() {
    let machine = |netboot: &str| {
        let text = format!(
            "{HARDWARE}\n  interfaces:\n    - dhcp: {{mac: 02:00:00:00:00:01, ip: {{address: 10.0.0.2, netmask: 255.255.255.0}}}}\n      netboot: {{{netboot}}}\n"
        );
        let set = read(&text, &[]);
        Catalog::new(set.documents()).hardware("n").unwrap()
    };
    let may = machine("allowPXE: true");
    assert!(may.netboot_interface().is_some() && may.spec.hold.is_empty());
    assert!(machine("allowPXE: false").netboot_interface().is_none());
    assert!(machine("").netboot_interface().is_none(), "as in Tinkerbell, where nothing is said");
    let held = machine("allowPXE: true, allowWorkflow: false");
    assert!(held.netboot_interface().is_some());
    assert_eq!(held.spec.hold, "spec.interfaces[0].netboot.allowWorkflow is false");
}

#[test]
fn workflows_find_their_machine_and_say_what_they_cannot_do() {
    let workflow = |spec: &str| {
        format!(
            "{HARDWARE} {{agentID: agent-1, interfaces: [{{dhcp: {{mac: 02:00:00:00:00:01}}}}]}}\n---\napiVersion: tinkerbell.org/v1alpha1\nkind: Template\nmetadata: {{name: t}}\nspec:\n  data: |\n    version: '0.1'\n    name: t\n    global_timeout: 60\n    tasks: [{{name: t, worker: n, actions: [{{name: a, image: x}}]}}]\n---\napiVersion: tinkerbell.org/v1alpha1\nkind: Workflow\nmetadata: {{name: w}}\nspec: {spec}\n"
        )
    };
    let cases = [
        "{templateRef: t, hardwareRef: n}",
        "{templateRef: t, hardwareMap: {device_1: agent-1}}",
        "{templateRef: t, hardwareMap: {worker: 02-00-00-00-00-01}}",
        "{templateRef: t, hardwareRef: n, hardwareMap: {device_2: 02:00:00:00:00:99}}",
        "{templateRef: t, hardwareMap: {device_1: nobody}}",
        "{templateRef: u, hardwareRef: m}",
        "{hardwareRef: n}",
        "{templateRef: t, hardwareRef: n, disabled: true}",
        "{templateRef: t, hardwareRef: n, bootOptions: {toggleAllowNetboot: true, bootMode: iso, isoURL: http://x/y.iso}}",
        "{templateRef: t, hardwareRef: n, bootOptions: {bootMode: customboot, custombootConfig: {preparingActions: [{powerAction: off}]}}}",
    ];
    let all: String = cases.iter().map(|spec| format!("{spec}\n{}", said(&workflow(spec)))).collect();
    insta::assert_snapshot!("workflows", all);
    let set = read(&workflow(cases[7]), &[]);
    assert!(set.find(Kind::Workflow, "w").is_none(), "a disabled Workflow is not applied");
    let again = read(&workflow(cases[0]), &read(&workflow(cases[0]), &[]).into_documents());
    assert!(again.find(Kind::Workflow, "w").is_some(), "applied again, it is the same");
}
