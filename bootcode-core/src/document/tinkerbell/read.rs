//! Which documents are Tinkerbell's, and the reading of one.

use std::{collections::BTreeMap, sync::Arc};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, json};

use super::{
    Theirs, advice,
    hardware::hardware,
    paths::Paths,
    reading::{Reading, place},
    types,
    workflow::workflow,
};
use crate::{
    document::{
        API_VERSION, Document, HardwareSpec, Kind, Metadata, TemplateSpec,
        name::document_name_fault,
        read::as_written,
        set::{Entry, Spec},
    },
    limits::WARNINGS,
    yaml::{self, Content, Fault, Faults, Node, nearest},
};

/// Whose document it is, by its `apiVersion`.
pub(in crate::document) enum Foreign {
    /// One that is read.
    Tinkerbell,
    /// One that is passed over, with this warning.
    PassedOver(&'static str),
    /// One that is refused, with this fault.
    Refused(&'static str),
}

/// Whose version this is; `None`: ours, or nobody's.
pub(in crate::document) fn of_version(version: &str, kind: Option<&str>) -> Option<Foreign> {
    match (version, kind) {
        ("tinkerbell.org/v1alpha1", Some("WorkflowRuleSet")) => Some(Foreign::PassedOver(
            "nothing is enrolled by rules here, so this document is left out: `bootcode adopt MAC` takes a machine in, and a Workflow is applied for it",
        )),
        ("tinkerbell.org/v1alpha1", _) => Some(Foreign::Tinkerbell),
        ("tinkerbell.org/v1alpha2", _) => {
            Some(Foreign::Refused("v1alpha2 is not read: write tinkerbell.org/v1alpha1 or bootcode/v1"))
        }
        (bmc, _) if bmc.starts_with("bmc.tinkerbell.org/") => Some(Foreign::PassedOver(
            "BMCs are not driven, so this document is left out: let the machine's boot order begin with the network, and power it on yourself",
        )),
        ("v1", Some("Secret")) => Some(Foreign::Refused(
            "secrets of Kubernetes are not read: write a Secret of bootcode/v1, which names the file or variable that holds the value",
        )),
        _ => None,
    }
}

/// The documents of a list, as `kubectl get -o yaml` writes it; of any other document itself.
pub(in crate::document) fn items(mut node: Node) -> Vec<Node> {
    let text = |key: &str| node.get(key).and_then(Node::as_text).unwrap_or_default();
    let known = matches!(
        (text("apiVersion"), text("kind")),
        ("v1", "List") | ("tinkerbell.org/v1alpha1", "HardwareList" | "TemplateList" | "WorkflowList")
    );
    match node.get_mut("items").map(|items| &mut items.content) {
        Some(Content::Sequence(items)) if known => std::mem::take(items),
        _ => vec![node],
    }
}

/// The envelope of Kubernetes. What its server writes there is nothing that anybody declares.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: EnvelopeMetadata,
    #[serde(rename = "spec", default)]
    _spec: IgnoredAny,
    #[serde(rename = "status", default)]
    _status: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EnvelopeMetadata {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(rename = "namespace", default)]
    _namespace: IgnoredAny,
    #[serde(rename = "annotations", default)]
    _annotations: IgnoredAny,
    #[serde(rename = "uid", default)]
    _uid: IgnoredAny,
    #[serde(rename = "resourceVersion", default)]
    _resource_version: IgnoredAny,
    #[serde(rename = "generation", default)]
    _generation: IgnoredAny,
    #[serde(rename = "creationTimestamp", default)]
    _creation_timestamp: IgnoredAny,
    #[serde(rename = "deletionTimestamp", default)]
    _deletion_timestamp: IgnoredAny,
    #[serde(rename = "deletionGracePeriodSeconds", default)]
    _deletion_grace_period: IgnoredAny,
    #[serde(rename = "ownerReferences", default)]
    _owner_references: IgnoredAny,
    #[serde(rename = "finalizers", default)]
    _finalizers: IgnoredAny,
    #[serde(rename = "managedFields", default)]
    _managed_fields: IgnoredAny,
    #[serde(rename = "selfLink", default)]
    _self_link: IgnoredAny,
    #[serde(rename = "generateName", default)]
    _generate_name: IgnoredAny,
}

const KINDS: [&str; 3] = ["Hardware", "Template", "Workflow"];

/// One document; `None` where it is left out, or so wrong that it is not known what it is.
pub(in crate::document) fn read(
    file: &Arc<str>,
    node: &Node,
    faults: &mut Faults,
    warnings: &mut Vec<Fault>,
) -> Option<Entry> {
    let before = faults.len();
    let (envelope, _) = yaml::read::<Envelope>(file, "", node, faults);
    let kind_text = node.get("kind").and_then(Node::as_text)?;
    let name = node.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::as_text)?;
    if let Some(message) = document_name_fault(name) {
        faults.push(place(file, node, "metadata.name", message));
    }
    let empty = Node::from_json(&json!({}));
    let spec_node = node.get("spec").unwrap_or(&empty);
    let labels = envelope.and_then(|envelope| envelope.metadata.labels).unwrap_or_default();
    let mut reading = Reading { file, node, faults, warnings, paths: Paths::default() };
    let (kind, value, spec, theirs) = match kind_text {
        "Hardware" => {
            let (theirs, original) = typed::<types::Hardware>(spec_node, &mut reading);
            advise(advice::HARDWARE, &original, &mut reading);
            let (value, claims) = hardware(&theirs, &original, &mut reading);
            let spec = serde_json::from_value::<HardwareSpec>(value.clone()).ok();
            (Kind::Hardware, value, spec.map(|spec| Spec::Hardware(spec.into())), Theirs::Hardware(claims))
        }
        "Template" => {
            let (theirs, _) = typed::<types::Template>(spec_node, &mut reading);
            let data = theirs.data.unwrap_or_default();
            if data.is_empty() {
                reading.fault("spec", "a Template needs its `data`");
            }
            let spec = TemplateSpec::Data(data.clone());
            (Kind::Template, json!({"data": data}), Some(Spec::Template(spec)), Theirs::Template)
        }
        "Workflow" => {
            let (theirs, original) = typed::<types::Workflow>(spec_node, &mut reading);
            advise(advice::WORKFLOW, &original, &mut reading);
            let (value, spec, toggles) = workflow(theirs, &mut reading)?;
            (Kind::Workflow, value, Some(Spec::Workflow(spec)), Theirs::Workflow { toggles })
        }
        other => {
            let message = format!("`{other}` of Tinkerbell is not read; known are {}", KINDS.join(", "));
            let mut fault = place(file, node, "kind", message);
            fault.suggestion = nearest(other, KINDS).map(str::to_owned);
            faults.push(fault);
            return None;
        }
    };
    let paths = reading.paths;
    let faulty = faults.len() > before;
    let metadata = Metadata { name: name.to_owned(), labels };
    let document = Document { api_version: API_VERSION.to_owned(), kind, metadata, spec: value };
    Some(Entry {
        document,
        file: file.clone(),
        spec,
        node: node.clone(),
        faulty,
        included: Vec::new(),
        paths,
        theirs: Some(theirs),
    })
}

/// The fault of a document that is refused.
pub(in crate::document) fn refused(file: &str, node: &Node, message: &str) -> Fault {
    place(file, node, "apiVersion", message)
}

/// A warning for a document that is passed over.
pub(in crate::document) fn passed_over(file: &str, node: &Node, message: &str, warnings: &mut Vec<Fault>) {
    if warnings.len() < WARNINGS {
        warnings.push(place(file, node, "kind", message));
    }
}

/// Their spec as far as it could be read, and the same as it is written, for templates.
fn typed<T: DeserializeOwned + Serialize + Default>(node: &Node, reading: &mut Reading<'_>) -> (T, Value) {
    let (value, read) = yaml::read::<T>(reading.file, "spec", node, reading.faults);
    let value = value.unwrap_or_default();
    let original = serde_json::to_value(&value).map_or_else(|_| read.to_json(), |v| as_written(v, &read));
    (value, original)
}

fn advise(table: &[advice::Advice], original: &Value, reading: &mut Reading<'_>) {
    for (path, message) in advice::warnings(table, original) {
        reading.warn(&path, message);
    }
}
