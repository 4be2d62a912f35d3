//! What a template sees of other documents than its machine's.

use super::*;
use crate::clock::Timestamp;

const SITE: &str = "apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec: {cidr: 10.0.0.0/24, gateway: 10.0.0.1, dns: {servers: [10.0.0.3]}, lease: 2h}
---
apiVersion: bootcode/v1
kind: Secret
metadata: {name: site}
spec: {keys: {ROOT: {env: ROOT}}}
---
apiVersion: tinkerbell.org/v1alpha1
kind: Hardware
metadata: {name: theirs}
spec:
  interfaces: [{dhcp: {mac: '52:54:00:00:00:02', ip: {address: 10.0.0.12, netmask: 255.255.255.0}}, netboot: {allowPXE: true}}]
  references: {}
---
apiVersion: bootcode/v1
kind: Hardware
metadata: {name: node-1, labels: {rack: a1}}
spec: {interfaces: [{id: nic0, mac: '52:54:00:00:00:01', network: lab, ip: 10.0.0.11}]}
---
apiVersion: bootcode/v1
kind: Template
metadata: {name: t}
spec: {globalTimeout: 1m, actions: [{name: a, image: x, command: ['TEXT']}]}
---
apiVersion: bootcode/v1
kind: Workflow
metadata: {name: w}
spec: {template: t, hardware: MACHINE}
";

/// What the text becomes for this machine.
fn rendered(text: &str, machine: &str, references: &str) -> Result<String, String> {
    let site = SITE.replace("TEXT", text).replace("MACHINE", machine).replace("references: {}", references);
    let now = Timestamp::UNIX_EPOCH;
    let set =
        validate(&[("s.yaml", site)], &[], Origin::Operator, now).map_err(|faults| faults.to_string())?;
    let catalog = Catalog::new(set.documents()).at(now);
    let workflow = WorkflowDocSpec::from_document(catalog.document(Kind::Workflow, "w").unwrap()).unwrap();
    let spec = catalog.compile(&workflow).map_err(|error| error.to_string())?;
    Ok(spec.tasks[0].actions[0].command[0].clone())
}

#[test]
fn references_are_looked_up_and_a_secret_is_none_of_them() {
    let text = "{{ .references.peer.metadata.name }} {{ .references.peer.metadata.labels.rack }}";
    let peer = |name: &str, resource: &str| {
        format!(
            "references: {{peer: {{name: {name}, resource: {resource}, namespace: x, group: y, version: z}}}}"
        )
    };
    assert_eq!(rendered(text, "theirs", &peer("node-1", "hardware")).as_deref(), Ok("node-1 a1"));
    let cidr = "{{ .references.peer.spec.cidr }}";
    assert_eq!(rendered(cidr, "theirs", &peer("lab", "networks")).as_deref(), Ok("10.0.0.0/24"));
    for (name, resource, told) in [
        ("node-9", "hardware", "there is no Hardware `node-9`"),
        ("lab2", "networks", "there is no Network `lab2`"),
        ("site", "secrets", "there is no Hardware `site`"),
    ] {
        let error = rendered(text, "theirs", &peer(name, resource)).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    let none = rendered(text, "node-1", "references: {}").unwrap_err();
    assert!(none.contains("there is no `peer` in the data"), "{none}");
}

#[test]
fn go_s_names_are_filled_from_our_networks() {
    let text = "{{ $d := (index .Hardware.Interfaces 0).DHCP }}{{ $d.IP.Address }}/{{ netmaskToPrefixLength $d.IP.Netmask }} \
                {{ $d.IP.Gateway }} {{ index $d.NameServers 0 }} {{ $d.LeaseTime }} {{ $d.MAC }}";
    assert_eq!(
        rendered(text, "node-1", "references: {}").as_deref(),
        Ok("10.0.0.11/24 10.0.0.1 10.0.0.3 7200 52:54:00:00:00:01")
    );
}

#[test]
fn an_entry_of_a_hardware_map_hides_nothing() {
    for name in ["Hardware", "hardware", "references"] {
        let map = format!("node-1, hardwareMap: {{{name}: node-1}}");
        let fault = rendered("x", &map, "references: {}").unwrap_err();
        let told = format!(
            "s.yaml:31:63: spec.hardwareMap.{name}: templates have their own `.{name}` already: give this entry another name"
        );
        assert_eq!(fault.replacen(fault.split(": ").next().unwrap(), "s.yaml:31:63", 1), told);
        let theirs = format!(
            "{}---\napiVersion: tinkerbell.org/v1alpha1\nkind: Workflow\nmetadata: {{name: v}}\nspec: {{templateRef: t, hardwareRef: node-1, hardwareMap: {{{name}: node-1}}}}\n",
            SITE.replace("TEXT", "{{ .hardware.metadata.name }}").replace("MACHINE", "node-1")
        );
        let set = validate(&[("s.yaml", theirs)], &[], Origin::Operator, Timestamp::UNIX_EPOCH)
            .unwrap_or_else(|faults| panic!("{faults}"));
        let told = set.warnings().iter().any(|warning| warning.path == format!("spec.hardwareMap.{name}"));
        assert!(told, "{:?}", set.warnings());
    }
}

#[test]
fn the_time_is_told_and_without_it_a_template_that_asks_is_refused() {
    let now = "{{ now | date \"2006-01-02\" }}";
    assert_eq!(rendered(now, "node-1", "references: {}").as_deref(), Ok("1970-01-01"));
    let site = SITE.replace("TEXT", now).replace("MACHINE", "node-1");
    let set = validate(&[("s.yaml", site)], &[], Origin::Operator, Timestamp::UNIX_EPOCH).unwrap();
    let workflow = set.find(Kind::Workflow, "w").unwrap();
    let workflow = WorkflowDocSpec::from_document(&workflow.document).unwrap();
    assert!(Catalog::new(set.documents()).compile(&workflow).is_err());
}
