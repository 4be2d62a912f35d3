//! The documents of some files, each with the place of everything in it.

use std::{fmt, sync::Arc};

use super::{
    Document, HardwareSpec, Id, Kind, NetworkSpec, SecretSpec, TemplateSpec, WorkflowDocSpec,
    included::InFile,
    tinkerbell::{Paths, Theirs},
};
use crate::yaml::{Fault, Node};

/// Documents that were read together; kind and name occur once.
#[derive(Debug, Clone, Default)]
pub struct DocumentSet {
    pub(super) entries: Vec<Entry>,
    pub(super) warnings: Vec<Fault>,
    pub(super) obsolete: Vec<Id>,
}

/// A document with its file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is stored.
    pub document: Document,
    /// The file's name as it was given; of a stored document its kind and name.
    pub file: Arc<str>,
    pub(super) spec: Option<Spec>,
    pub(super) node: Node,
    /// Whether reading it found a fault: what else is wrong may follow from that.
    pub(super) faulty: bool,
    /// The install files that stand in files of their own.
    pub(super) included: Vec<InFile>,
    /// Of a document of Tinkerbell's: where it says what ours says.
    pub(super) paths: Paths,
    /// Of a document of Tinkerbell's: what is still to be settled.
    pub(super) theirs: Option<Theirs>,
}

/// A spec in its type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spec {
    Network(NetworkSpec),
    Profile(Box<HardwareSpec>),
    Hardware(Box<HardwareSpec>),
    Template(TemplateSpec),
    Workflow(WorkflowDocSpec),
    Secret(SecretSpec),
}

impl DocumentSet {
    /// The documents, in the order of the files.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.entries.iter().map(|entry| &entry.document)
    }

    /// The documents with their files.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What was read and has no effect here, or another than where it came from, in the order of the places; nothing of it keeps the
    /// documents from being applied. At most [`WARNINGS`](crate::limits::WARNINGS).
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Stored documents that were derived from others and are needed no longer once these are applied: an apply deletes them.
    #[must_use]
    pub fn obsolete(&self) -> &[Id] {
        &self.obsolete
    }

    /// The document of this kind and name.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(kind, name))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The documents alone.
    #[must_use]
    pub fn into_documents(self) -> Vec<Document> {
        self.entries.into_iter().map(|entry| entry.document).collect()
    }
}

impl Entry {
    /// A document that is stored already, its file long forgotten.
    pub(super) fn stored(document: &Document) -> Self {
        let spec = match document.kind {
            Kind::Network => serde::Deserialize::deserialize(&document.spec).map(Spec::Network),
            Kind::Profile => serde::Deserialize::deserialize(&document.spec).map(Spec::Profile),
            Kind::Hardware => serde::Deserialize::deserialize(&document.spec).map(Spec::Hardware),
            Kind::Template => serde::Deserialize::deserialize(&document.spec).map(Spec::Template),
            Kind::Workflow => serde::Deserialize::deserialize(&document.spec).map(Spec::Workflow),
            Kind::Secret => serde::Deserialize::deserialize(&document.spec).map(Spec::Secret),
        };
        Self {
            document: document.clone(),
            file: format!("stored {} {}", document.kind, document.metadata.name).into(),
            spec: spec.ok(),
            // Nothing of it has a place, and those of a whole fleet would take a second.
            node: Node::from_json(&serde_json::json!({})),
            faulty: false,
            included: Vec::new(),
            paths: Paths::default(),
            theirs: None,
        }
    }

    /// Whether it has this kind and name.
    #[must_use]
    pub fn is(&self, kind: Kind, name: &str) -> bool {
        self.document.kind == kind && self.document.metadata.name == name
    }

    /// A fault at `path` of the document, or at the nearest node above it. A document of Tinkerbell's says it with a path of its own.
    #[must_use]
    pub fn fault(&self, path: &str, message: impl fmt::Display) -> Fault {
        self.fault_there(&self.paths.theirs(path), message)
    }

    /// The same for a path as the file has it.
    pub(super) fn fault_there(&self, path: &str, message: impl fmt::Display) -> Fault {
        let position = self.node.nearest(path).position;
        Fault {
            file: self.file.to_string(),
            line: position.line,
            column: position.column,
            path: path.to_owned(),
            message: message.to_string(),
            suggestion: None,
        }
    }

    /// Whether the document itself says something at `path`; its Profile may say it otherwise.
    pub(super) fn writes(&self, path: &[&str]) -> bool {
        let mut steps = path.iter().skip_while(|step| **step == "spec");
        steps.try_fold(&self.document.spec, |value, step| value.get(step)).is_some()
    }
}
