//! What an apply would change, as a value.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Document, Kind};

/// What an apply changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// New documents.
    pub created: Vec<Id>,
    /// Documents that differ.
    pub changed: Vec<Changed>,
    /// Stored documents that would go.
    #[serde(default)]
    pub deleted: Vec<Id>,
    /// Documents that are as they were.
    pub unchanged: Vec<Id>,
}

/// Names a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// A document that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Which.
    #[serde(flatten)]
    pub id: Id,
    /// In the order of their paths.
    pub fields: Vec<FieldChange>,
}

/// A field that differs; a list that differs is one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// `spec.kernelArgs`.
    pub path: String,
    /// As it was; `None`: it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// As it would be; `None`: it would not be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

impl Diff {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.created.is_empty() && self.changed.is_empty() && self.deleted.is_empty()
    }
}

/// What applying `new` to `existing` changes. Nothing is `deleted`: whoever knows what is to go ([`DocumentSet::obsolete`], a directory
/// that says `prune`) adds it.
///
/// [`DocumentSet::obsolete`]: super::DocumentSet::obsolete
pub fn diff<'a>(
    existing: impl IntoIterator<Item = &'a Document>,
    new: impl IntoIterator<Item = &'a Document>,
) -> Diff {
    let existing: std::collections::HashMap<(Kind, &str), &Document> =
        existing.into_iter().map(|d| ((d.kind, d.metadata.name.as_str()), d)).collect();
    let mut diff = Diff::default();
    for document in new {
        let id = Id { kind: document.kind, name: document.metadata.name.clone() };
        match existing.get(&(document.kind, document.metadata.name.as_str())) {
            None => diff.created.push(id),
            Some(old) => {
                let fields = fields(old, document);
                if fields.is_empty() {
                    diff.unchanged.push(id);
                } else {
                    diff.changed.push(Changed { id, fields });
                }
            }
        }
    }
    diff
}

fn fields(old: &Document, new: &Document) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    let labels = |d: &Document| Value::from_iter(d.metadata.labels.clone());
    compare("metadata.labels", Some(&labels(old)), Some(&labels(new)), &mut fields);
    compare("spec", Some(&old.spec), Some(&new.spec), &mut fields);
    fields
}

/// Fields that may hold what nobody should read in a terminal or a log, and what was kept of an original, which says all once more.
const NOT_SHOWN: [&str; 3] = ["spec.userData", "spec.vendorData", "spec.tinkerbell"];
/// Each of these is such a field: kickstarts have hashes of passwords.
const INSTALL: &str = "spec.instance.install";

/// The value, or of what is not shown its size.
fn shown(path: &str, value: &Value) -> Value {
    let install = path.strip_prefix(INSTALL).is_some_and(|name| name.starts_with('.'));
    let hidden = install || NOT_SHOWN.contains(&path);
    match value {
        Value::Object(entries) if !hidden => {
            entries.iter().map(|(key, value)| (key.clone(), shown(&format!("{path}.{key}"), value))).collect()
        }
        Value::String(text) if hidden => format!("not shown, {} bytes", text.len()).into(),
        _ if hidden => "not shown".into(),
        value => value.clone(),
    }
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, fields: &mut Vec<FieldChange>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) if path != "spec.tinkerbell" => {
            for (key, value) in old {
                compare(&format!("{path}.{key}"), Some(value), new.get(key), fields);
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                compare(&format!("{path}.{key}"), None, Some(value), fields);
            }
        }
        (old, new) if old == new => {}
        (old, new) => {
            let shown = |value: Option<&Value>| value.map(|value| shown(path, value));
            fields.push(FieldChange { path: path.to_owned(), from: shown(old), to: shown(new) });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::Metadata;

    fn hardware(name: &str, spec: Value) -> Document {
        Document {
            api_version: crate::document::API_VERSION.into(),
            kind: Kind::Hardware,
            metadata: Metadata { name: name.into(), ..Metadata::default() },
            spec,
        }
    }

    #[test]
    fn what_may_be_secret_is_told_to_differ_and_not_shown() {
        let old = [hardware("a", json!({"userData": "hunter2", "tinkerbell": {"userData": "hunter2"}}))];
        let new = [hardware("a", json!({"userData": "hunter3!", "tinkerbell": {"userData": "hunter3!"}}))];
        let diff = diff(&old, &new);
        let fields: Vec<&str> = diff.changed[0].fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(fields, ["spec.userData", "spec.tinkerbell"]);
        assert_eq!(diff.changed[0].fields[0].to, Some(json!("not shown, 8 bytes")));
        let text = serde_json::to_string(&diff).unwrap();
        assert!(!text.contains("hunter"), "{text}");
    }

    #[test]
    fn install_files_are_not_shown_however_they_come() {
        let install = |text: &str| json!({"instance": {"install": {"ks.cfg": text}, "tags": ["lab"]}});
        let none = json!({"instance": {"tags": ["lab"]}});
        for (old, new, field, to) in [
            (
                json!({}),
                install("hunter2"),
                "spec.instance",
                json!({"install": {"ks.cfg": "not shown, 7 bytes"}, "tags": ["lab"]}),
            ),
            (none, install("hunter2"), "spec.instance.install", json!({"ks.cfg": "not shown, 7 bytes"})),
            (
                install("hunter2"),
                install("hunter3!"),
                "spec.instance.install.ks.cfg",
                json!("not shown, 8 bytes"),
            ),
        ] {
            let diff = diff(&[hardware("a", old)], &[hardware("a", new)]);
            let changed = &diff.changed[0].fields[0];
            assert_eq!((changed.path.as_str(), changed.to.as_ref()), (field, Some(&to)));
            assert!(!serde_json::to_string(&diff).unwrap().contains("hunter"));
        }
    }

    #[test]
    fn created_changed_and_unchanged_are_told_apart_field_by_field() {
        let old = [hardware("a", json!({"hold": "x", "os": {"image": "i"}})), hardware("b", json!({}))];
        let new = [
            hardware("a", json!({"os": {"image": "j"}, "arch": "x86_64"})),
            hardware("b", json!({})),
            hardware("c", json!({})),
        ];
        let diff = diff(&old, &new);
        assert_eq!(diff.created.iter().map(|id| &*id.name).collect::<Vec<_>>(), ["c"]);
        assert_eq!(diff.unchanged.iter().map(|id| &*id.name).collect::<Vec<_>>(), ["b"]);
        let change =
            |path: &str, from: Option<Value>, to: Option<Value>| FieldChange { path: path.into(), from, to };
        assert_eq!(
            diff.changed[0].fields,
            [
                change("spec.hold", Some(json!("x")), None),
                change("spec.os.image", Some(json!("i")), Some(json!("j"))),
                change("spec.arch", None, Some(json!("x86_64"))),
            ]
        );
    }
}
