//! From files to documents: syntax, envelope, and the shape of each spec.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use super::{
    API_VERSION, Document, DocumentSet, HardwareSpec, Kind, Metadata,
    included::{Texts, named_files},
    name::document_name_fault,
    set::{Entry, Spec},
    tinkerbell::{self, Foreign, Paths, adopt, items, of_version, passed_over, refused},
};
use crate::yaml::{self, Content, Fault, Faults, Node, Reveal, nearest};

/// Reads files: pairs of a name, which faults repeat, and the text.
///
/// # Errors
/// Every fault of syntax and shape in all of them.
pub fn read<N: AsRef<str>, T: AsRef<str>>(files: &[(N, T)]) -> Result<DocumentSet, Faults> {
    let (mut set, mut faults) = read_partly(files);
    faults.extend(adopt(&mut set, &[]));
    set.warnings.sort();
    faults.or_ok(set)
}

/// The documents as far as they can be read, and what is wrong with the rest.
pub(super) fn read_partly<N: AsRef<str>, T: AsRef<str>>(files: &[(N, T)]) -> (DocumentSet, Faults) {
    let (mut set, mut faults) = (DocumentSet::default(), Faults::default());
    let mut places: HashMap<(Kind, String), String> = HashMap::new();
    let mut texts = Texts::new(files.iter().map(|(name, text)| (name.as_ref(), text.as_ref())));
    let mut parsed: Vec<(Arc<str>, Vec<Node>, Faults)> = Vec::with_capacity(files.len());
    for (name, text) in files {
        let (nodes, refused) = yaml::parse_partly(name.as_ref(), text.as_ref(), Reveal::All);
        let nodes: Vec<Node> = nodes.into_iter().flat_map(items).collect();
        if nodes.iter().any(|node| node.get("apiVersion").is_some() && node.get("kind").is_some()) {
            texts.holds_documents(name.as_ref());
        }
        parsed.push((name.as_ref().into(), nodes, refused));
    }
    let named: HashSet<String> =
        parsed.iter().flat_map(|(file, nodes, _)| named_files(file, nodes.iter())).collect();
    for (file, nodes, refused) in parsed {
        // The text of a machine's user data is no document, whatever it is called.
        if texts.is_text(&file, &named) {
            continue;
        }
        faults.extend(refused);
        for mut node in nodes {
            let included = texts.include(&file, &mut node, &mut faults);
            let Some(mut entry) = read_one(&file, &node, &mut faults, &mut set.warnings) else { continue };
            entry.included = included;
            let key = (entry.document.kind, entry.document.metadata.name.clone());
            if let Some(first) = places.get(&key) {
                let (kind, name) = &key;
                let message = format!("{kind} `{name}` is declared twice, first at {first}");
                faults.push(entry.fault("metadata.name", message));
                continue;
            }
            places.insert(key, format!("{file}:{}", node.position.line));
            set.entries.push(entry);
        }
    }
    (set, faults)
}

/// The envelope's shape, its spec still untyped. Only the labels are taken from it: the rest is read again from the nodes, so that a
/// document with a fault in its envelope is still known by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: EnvelopeMetadata,
    #[serde(rename = "spec")]
    _spec: IgnoredAny,
    /// What `get -o yaml` shows beside the document: it may be applied again as it is.
    #[serde(rename = "status", default)]
    _status: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeMetadata {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

fn read_one(file: &Arc<str>, node: &Node, faults: &mut Faults, warnings: &mut Vec<Fault>) -> Option<Entry> {
    let version = node.get("apiVersion").and_then(Node::as_text);
    match version.and_then(|version| of_version(version, node.get("kind").and_then(Node::as_text))) {
        Some(Foreign::Tinkerbell) => return tinkerbell::read(file, node, faults, warnings),
        Some(Foreign::PassedOver(why)) => {
            passed_over(file, node, why, warnings);
            return None;
        }
        Some(Foreign::Refused(why)) => {
            faults.push(refused(file, node, why));
            return None;
        }
        None => {}
    }
    let at = |path: &str, message: String, suggestion: Option<String>| {
        let position = node.nearest(path).position;
        let (file, path) = (file.to_string(), path.to_owned());
        Fault { file, line: position.line, column: position.column, path, message, suggestion }
    };
    let before = faults.len();
    let (envelope, _) = yaml::read::<Envelope>(file, "", node, faults);
    let version = node.get("apiVersion").and_then(Node::as_text)?;
    if version != API_VERSION {
        let message = format!("`{version}` is no known version of documents: write {API_VERSION}");
        faults.push(at("apiVersion", message, None));
        return None;
    }
    let kind_text = node.get("kind").and_then(Node::as_text)?;
    let known = Kind::ALL.map(Kind::name);
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == kind_text) else {
        let meant = nearest(kind_text, known).map(str::to_owned);
        faults.push(at("kind", format!("`{kind_text}` is no kind; known are {}", known.join(", ")), meant));
        return None;
    };
    let (spec, value, spec_node) = read_spec(file, kind, node.get("spec")?, faults);
    let name = node.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::as_text)?;
    if let Some(message) = document_name_fault(name) {
        faults.push(at("metadata.name", message, None));
    }
    let labels = envelope.map(|envelope| envelope.metadata.labels).unwrap_or_default();
    let document = Document {
        api_version: API_VERSION.to_owned(),
        kind,
        metadata: Metadata { name: name.to_owned(), labels },
        spec: value,
    };
    let faulty = faults.len() > before;
    let node = with_spec(node, spec_node);
    let paths = Paths::default();
    Some(Entry {
        document,
        file: file.clone(),
        spec,
        node,
        faulty,
        included: Vec::new(),
        paths,
        theirs: None,
    })
}

/// The document's node with the spec that could be read.
fn with_spec(node: &Node, spec: Node) -> Node {
    let mut node = node.clone();
    if let Content::Mapping(entries) = &mut node.content
        && let Some((_, value)) = entries.iter_mut().find(|(key, _)| &*key.value.text == "spec")
    {
        *value = spec;
    }
    node
}

fn read_spec(file: &str, kind: Kind, node: &Node, faults: &mut Faults) -> (Option<Spec>, Value, Node) {
    /// Wraps a type's reading and its normal form.
    fn typed<T: DeserializeOwned + Serialize>(
        file: &str,
        node: &Node,
        faults: &mut Faults,
        reveal: Reveal<'_>,
        may_lack: &dyn Fn(&str) -> bool,
        spec: impl Fn(T) -> Spec,
    ) -> (Option<Spec>, Value, Node) {
        let (value, read) = yaml::read_revealing::<T>(file, "spec", node, reveal, faults, may_lack);
        match value {
            Some(value) => {
                let normal =
                    serde_json::to_value(&value).map_or_else(|_| read.to_json(), |v| as_written(v, &read));
                (Some(spec(value)), normal, read)
            }
            None => (None, read.to_json(), read),
        }
    }
    let nothing = |_: &str| false;
    match kind {
        Kind::Network => typed(file, node, faults, Reveal::All, &nothing, Spec::Network),
        Kind::Template => typed(file, node, faults, Reveal::All, &nothing, Spec::Template),
        Kind::Workflow => typed(file, node, faults, Reveal::All, &nothing, Spec::Workflow),
        Kind::Secret => typed(file, node, faults, Reveal::Nothing, &nothing, Spec::Secret),
        // What one lacks in a map the other may bring. Lists replace, so what stands in a list is whole.
        Kind::Profile => typed(file, node, faults, Reveal::All, &not_in_list, |spec: HardwareSpec| {
            Spec::Profile(spec.into())
        }),
        Kind::Hardware if node.get("profile").is_some() => {
            typed(file, node, faults, Reveal::All, &not_in_list, |spec: HardwareSpec| {
                Spec::Hardware(spec.into())
            })
        }
        Kind::Hardware => {
            typed(file, node, faults, Reveal::All, &nothing, |spec: HardwareSpec| Spec::Hardware(spec.into()))
        }
    }
}

fn not_in_list(path: &str) -> bool {
    !path.contains('[')
}

/// The normal form of what was written, and of nothing else: defaults must not override what a Profile says.
pub(super) fn as_written(value: Value, node: &Node) -> Value {
    match (value, &node.content) {
        (Value::Object(mut object), Content::Mapping(entries)) => Value::Object(
            entries
                .iter()
                .map(|(key, child)| {
                    let normal = object.remove(&*key.value.text).map(|value| as_written(value, child));
                    (key.value.text.to_string(), normal.unwrap_or_else(|| as_text(child)))
                })
                .collect(),
        ),
        (Value::Array(items), Content::Sequence(nodes)) if items.len() == nodes.len() => {
            Value::Array(items.into_iter().zip(nodes).map(|(item, node)| as_written(item, node)).collect())
        }
        (value, _) => value,
    }
}

/// What the type's normal form leaves out: an empty text or list, nothing, or a mapping that a Profile makes whole. Those hold text only.
fn as_text(node: &Node) -> Value {
    match &node.content {
        Content::Mapping(entries) => {
            let text = |value: &Node| match value.as_text() {
                Some(text) if !value.is_null() => Value::from(text),
                _ => value.to_json(),
            };
            Value::Object(entries.iter().map(|(k, v)| (k.value.text.to_string(), text(v))).collect())
        }
        _ => node.to_json(),
    }
}
