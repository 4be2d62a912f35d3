//! Reads a node into a type and lists every fault, not only the first.

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::{
    Fault, Faults, Reveal,
    de::NodeReader,
    error::ReadError,
    load::parse_documents,
    nearest,
    node::{Content, Node, Position},
};
use crate::limits::{FAULTS, YAML_REREAD_NODES};

/// Reads a file of one document.
///
/// # Errors
/// Every fault of its shape.
pub fn from_str<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Faults> {
    let documents = parse_documents(file, text)?;
    let empty = Node {
        position: Position { line: 1, column: 1 },
        content: Content::Mapping(Vec::new()),
        id: u32::MAX,
    };
    if let [_, second, ..] = documents.as_slice() {
        return Err(Faults(vec![Fault {
            file: file.to_owned(),
            line: second.position.line,
            column: second.position.column,
            path: String::new(),
            message: "a second document begins here; this file holds one".to_owned(),
            suggestion: None,
        }]));
    }
    let mut faults = Faults::default();
    let value = read(file, "", documents.first().unwrap_or(&empty), &mut faults).0;
    match value {
        Some(value) if faults.is_empty() => Ok(value),
        _ => Err(faults.sorted()),
    }
}

/// Reads a node that stands at the path `root` of its document. What is wrong is added to `faults` and passed over, so that the value, where
/// there still is one, is that of the returned node, which holds the rest. It serves to look for more faults, nothing else.
pub fn read<T: DeserializeOwned>(
    file: &str,
    root: &str,
    node: &Node,
    faults: &mut Faults,
) -> (Option<T>, Node) {
    read_revealing(file, root, node, Reveal::All, faults, &|_| false)
}

/// The same, with a say in what faults may repeat, and with mappings that may lack keys: those are in the node and not in the value.
pub(crate) fn read_revealing<T: DeserializeOwned>(
    file: &str,
    root: &str,
    node: &Node,
    reveal: Reveal<'_>,
    faults: &mut Faults,
    may_lack: &dyn Fn(&str) -> bool,
) -> (Option<T>, Node) {
    let (mut skip, mut lacking) = (HashSet::new(), HashSet::new());
    let rest = |skip: &HashSet<u32>, lacking: &HashSet<u32>| {
        let faulty: HashSet<u32> = skip.difference(lacking).copied().collect();
        if faulty.is_empty() { node.clone() } else { node.without(&faulty) }
    };
    let mut rounds = None;
    // Each round finds one fault, or skips one more node.
    loop {
        let error: ReadError = match T::deserialize(NodeReader { node, skip: &skip, reveal }) {
            Ok(value) => return (Some(value), rest(&skip, &lacking)),
            Err(error) => error,
        };
        let left = rounds.get_or_insert_with(|| (YAML_REREAD_NODES / node.count()).min(2 * FAULTS));
        // A type that judges what it has read as a whole fails without a place: that of the whole.
        let error = error.at(node.id, node.position);
        let id = error.node.unwrap_or(node.id);
        let follows = error.missing.is_some_and(|key| lacks_because_skipped(node, id, key, &skip));
        let lacks = error.missing.is_some();
        let fault = error.into_fault(file, root);
        if lacks && may_lack(&fault.path) {
            lacking.insert(id);
        } else if !follows {
            faults.push(fault);
        }
        if id == node.id || !skip.insert(id) || *left == 0 || faults.len() >= FAULTS {
            break;
        }
        *left -= 1;
    }
    (None, rest(&skip, &lacking))
}

/// Whether the mapping `id` has the key after all, misspelt or with a value that was skipped for a fault of its own.
fn lacks_because_skipped(node: &Node, id: u32, key: &str, skip: &HashSet<u32>) -> bool {
    match &node.content {
        Content::Mapping(entries) if node.id == id => entries.iter().any(|(k, v)| {
            let misspelt = skip.contains(&k.value.id) && nearest(&k.value.text, [key]).is_some();
            misspelt || &*k.value.text == key && skip.contains(&v.id)
        }),
        Content::Mapping(entries) => entries.iter().any(|(_, v)| lacks_because_skipped(v, id, key, skip)),
        Content::Sequence(items) => items.iter().any(|n| lacks_because_skipped(n, id, key, skip)),
        Content::Scalar { .. } => false,
    }
}
