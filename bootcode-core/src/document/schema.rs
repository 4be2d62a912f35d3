//! The JSON Schema (draft 2020-12) of our documents, for editors: completion, and faults while writing.
//!
//! Made of the types that read documents, so that it has every key that they have. It knows one document at a time: what
//! several say together is for `validate`.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{
    API_VERSION, HardwareSpec, Kind, Metadata, NetworkSpec, SecretSpec, WorkflowDocSpec, template::Written,
};

/// A text as people write it: itself, a file beside the document, or a secret.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
#[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Text {
    /// The text.
    Plain(String),
    /// A file beside the document.
    File {
        /// Its path, from the document's directory.
        file: String,
    },
    /// A secret that the server reads.
    Secret {
        /// `document/key`.
        secret_ref: String,
    },
}

/// An install file as people write it: the template itself, or a file beside the document.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum InstallText {
    /// The template.
    Plain(String),
    /// A file beside the document.
    File {
        /// Its path, from the document's directory.
        file: String,
    },
}

/// The schema of every `bootcode/v1` document.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let metadata = generator.subschema_for::<Metadata>();
    let kinds: Vec<Value> = Kind::ALL.into_iter().map(|kind| {
        let spec = spec(kind, &mut generator);
        json!({"if": {"properties": {"kind": {"const": kind.name()}}}, "then": {"properties": {"spec": spec}}})
    }).collect();
    let mut types = Value::Object(generator.take_definitions(true));
    // A Profile may say one half and the machine the other.
    if let Some(os) = types.get_mut("Os").and_then(Value::as_object_mut) {
        os.remove("required");
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Documents of Bootcode",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"enum": Kind::ALL.map(Kind::name)},
            "metadata": metadata,
            "spec": {"type": "object"},
            // What `get -o yaml` shows beside the document; nobody reads it.
            "status": {"type": "object"},
        },
        "allOf": kinds,
        "$defs": types,
    })
}

fn spec(kind: Kind, generator: &mut SchemaGenerator) -> schemars::Schema {
    match kind {
        Kind::Network => generator.subschema_for::<NetworkSpec>(),
        Kind::Profile | Kind::Hardware => generator.subschema_for::<HardwareSpec>(),
        Kind::Template => generator.subschema_for::<Written>(),
        Kind::Workflow => generator.subschema_for::<WorkflowDocSpec>(),
        Kind::Secret => generator.subschema_for::<SecretSpec>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::TemplateSpec;

    const EXAMPLES: [&str; 5] = [
        include_str!("../../../examples/lab/machines/hardware.yaml"),
        include_str!("../../../examples/lab/machines/network.yaml"),
        include_str!("../../../examples/lab/machines/profile.yaml"),
        include_str!("../../../examples/lab/machines/template.yaml"),
        include_str!("../../../examples/lab/install-node-1.yaml"),
    ];
    const MORE: &str = "apiVersion: bootcode/v1
kind: Hardware
metadata: {name: n}
spec:
  userData: {secretRef: site/init}
  vendorData: {file: vendor.yaml}
  instance: {install: {ks.cfg: text, preseed.cfg: {file: preseed.cfg}}}
  os: {image: a.tar}
  interfaces:
    - {id: a, mac: 02:00:00:00:00:01, dhcpOptions: [{code: 26, u16: 1400}], circuit: {circuitId: eth0/7}}
  netboot: {nbp: shimx64.efi, httpUri: \"https://h/shim.efi\", scriptText: \"#!ipxe\", always: true}
  dhcpOptions: [{code: 121, routes: [{to: 10.0.0.0/8, via: 10.0.0.1}], always: true}]
---
apiVersion: bootcode/v1
kind: Network
metadata: {name: lab}
spec:
  cidr: 10.0.0.0/24
  mtu: 9000
  routes: [{to: 10.9.0.0/16, via: 10.0.0.2}]
  dhcp: {vlan: 7, options: [{code: 125, hex: \"0000 0009\"}, {code: 150, ips: [10.0.0.3]}]}
  netboot: {nbp: {ia32-efi: ipxe-i386.efi}, httpUri: {x64-efi: \"http://h/x\"}, script: \"http://h/s\"}
---
apiVersion: bootcode/v1
kind: Secret
metadata: {name: site}
spec: {keys: {init: {file: /run/secrets/init}}}
";

    fn values(text: &str) -> Vec<Value> {
        text.split("---\n").map(|text| serde_yaml::from_str(text).unwrap()).collect()
    }

    #[test]
    fn our_examples_fit_the_schema_and_what_is_wrong_does_not() {
        let validator = jsonschema::draft202012::new(&schema()).unwrap();
        for text in EXAMPLES.into_iter().chain([MORE]) {
            for document in values(text) {
                let faults: Vec<String> = validator.iter_errors(&document).map(|f| f.to_string()).collect();
                assert_eq!(faults, Vec::<String>::new(), "{text}");
            }
        }
        let [hardware, network, _, template, workflow] = EXAMPLES;
        for (good, from, to) in [
            (hardware, "bootcode/v1", "bootcode/v2"),
            (hardware, "kind: Hardware", "kind: Machine"),
            (hardware, "metadata: {name: node-1,", "metadata: {nam: node-1,"),
            (hardware, "netboot: true", "netbot: true"),
            (hardware, "netboot: true", "netboot: 3"),
            (hardware, "mac: 52:54:00:00:00:01, ", ""),
            (hardware, "arch: x86_64", "arch: vax"),
            (hardware, "ip: 192.168.99.11", "ip: [1]"),
            (network, "cidr: 192.168.99.0/24", "cdr: 192.168.99.0/24"),
            (network, "authoritative", "loud"),
            (network, "lease: 24h", "lease: 24"),
            (template, "data: |", "date: |"),
            (workflow, "overwrite: blank", "overwrite: all"),
            (workflow, "template: debian, ", ""),
            (MORE, "{code: 26, u16: 1400}", "{code: 26, u61: 1400}"),
            (MORE, "{code: 26, u16: 1400}", "{u16: 1400}"),
            (MORE, "circuitId: eth0/7", "circuit: eth0/7"),
            (MORE, "nbp: shimx64.efi", "nbp: [shimx64.efi]"),
            (MORE, "secretRef: site/init", "secret: site/init"),
            (MORE, "{file: preseed.cfg}", "{secretRef: site/init}"),
            (MORE, "ks.cfg: text", "ks.cfg: [text]"),
        ] {
            assert!(good.contains(from), "{from}");
            let bad = good.replacen(from, to, 1);
            assert!(!validator.is_valid(&values(&bad)[0]), "{from} -> {to}");
        }
    }

    #[test]
    fn every_key_that_is_read_is_in_the_schema() {
        let schema = schema();
        // With `deny_unknown_fields` a type's refusal of a key names all that it has.
        for (kind, name) in [
            (Kind::Hardware, "HardwareSpec"),
            (Kind::Network, "NetworkSpec"),
            (Kind::Workflow, "WorkflowDocSpec"),
            (Kind::Template, "TemplateSpec"),
            (Kind::Secret, "SecretSpec"),
        ] {
            let wrong = json!({"no-such-key": 1});
            let refusal = match kind {
                Kind::Hardware | Kind::Profile => serde_json::from_value::<HardwareSpec>(wrong).unwrap_err(),
                Kind::Network => serde_json::from_value::<NetworkSpec>(wrong).unwrap_err(),
                Kind::Workflow => serde_json::from_value::<WorkflowDocSpec>(wrong).unwrap_err(),
                Kind::Template => serde_json::from_value::<TemplateSpec>(wrong).unwrap_err(),
                Kind::Secret => serde_json::from_value::<SecretSpec>(wrong).unwrap_err(),
            };
            let refusal = refusal.to_string();
            let mut read: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
            read.sort_unstable();
            let known = schema["$defs"][name]["properties"].as_object().unwrap();
            let mut known: Vec<&str> = known.keys().map(String::as_str).collect();
            known.sort_unstable();
            assert_eq!(read, known, "{name}: {refusal}");
        }
    }
}
