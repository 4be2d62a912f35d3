//! Documents by kind and name, and machines by what people call them.

use std::collections::HashMap;

use serde_json::Value;

use super::{Document, Hardware, Kind, Network, ResolveError, TemplateSpec, WorkflowDocSpec};
use crate::{
    clock::Timestamp,
    mac::MacAddr,
    template::{self, TemplateData, WorkflowSpec},
    yaml::Faults,
};

/// A set of documents to look things up in. Of two with one kind and name the later counts.
#[derive(Debug, Clone, Default)]
pub struct Catalog<'a> {
    documents: HashMap<(Kind, &'a str), &'a Document>,
    machines: HashMap<MacAddr, &'a str>,
    agents: HashMap<&'a str, &'a str>,
    now: Option<Timestamp>,
}

/// A workflow's template does not become what a worker can run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A document that it needs.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The template itself; the faults' file is the Template's name.
    #[error("Template `{template}` does not fit:\n{faults}")]
    Template {
        /// The Template's name.
        template: String,
        /// All that is wrong.
        faults: Faults,
    },
}

impl<'a> Catalog<'a> {
    /// Indexes the documents.
    pub fn new(documents: impl IntoIterator<Item = &'a Document>) -> Self {
        let mut catalog = Self::default();
        for document in documents {
            catalog.documents.insert((document.kind, document.metadata.name.as_str()), document);
        }
        for ((kind, name), document) in &catalog.documents {
            if *kind == Kind::Hardware {
                let interfaces = document.spec.get("interfaces").and_then(Value::as_array);
                let macs =
                    interfaces.into_iter().flatten().filter_map(|i| i.get("mac")?.as_str()?.parse().ok());
                catalog.machines.extend(macs.map(|mac: MacAddr| (mac, *name)));
                catalog.agents.extend(agent_id(document).map(|agent| (agent, *name)));
            }
        }
        catalog
    }

    /// The same at this time: without it, templates that ask for the time are refused.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    /// The document of this kind and name.
    ///
    /// # Errors
    /// Where there is none.
    pub fn document(&self, kind: Kind, name: &str) -> Result<&'a Document, ResolveError> {
        let found = self.documents.get(&(kind, name)).copied();
        found.ok_or_else(|| ResolveError::Missing { kind, name: name.to_owned() })
    }

    /// The machine of this name, its Profile merged in.
    ///
    /// # Errors
    /// Where it or its Profile is missing, or they do not make a whole.
    pub fn hardware(&self, name: &str) -> Result<Hardware, ResolveError> {
        let document = self.document(Kind::Hardware, name)?;
        let profile =
            Hardware::profile_of(document).map(|name| self.document(Kind::Profile, name)).transpose()?;
        Hardware::resolve(document, profile)
    }

    /// The network of this name.
    ///
    /// # Errors
    /// Where it is missing or not valid.
    pub fn network(&self, name: &str) -> Result<Network, ResolveError> {
        Network::from_document(self.document(Kind::Network, name)?)
    }

    /// The name of the machine that is meant: by its name, by the MAC of one of its interfaces, or by the agent's id that a document
    /// of Tinkerbell's gave it.
    #[must_use]
    pub fn machine(&self, text: &str) -> Option<&'a str> {
        if let Some(document) = self.documents.get(&(Kind::Hardware, text)).copied() {
            return Some(&document.metadata.name);
        }
        let by_mac = text.parse().ok().and_then(|mac: MacAddr| self.machines.get(&mac).copied());
        by_mac.or_else(|| self.agents.get(text).copied())
    }

    /// The documents that a machine's `references` name. A Secret is none of them: its values are no template's business.
    fn references(&self, machine: &Hardware) -> Result<serde_json::Map<String, Value>, ResolveError> {
        const KINDS: [(Kind, &str); 4] = [
            (Kind::Hardware, "hardware"),
            (Kind::Template, "templates"),
            (Kind::Workflow, "workflows"),
            (Kind::Network, "networks"),
        ];
        let references = machine.spec.tinkerbell.as_ref().and_then(|spec| spec["references"].as_object());
        let mut found = serde_json::Map::new();
        for (key, reference) in references.into_iter().flatten() {
            let name = reference["name"].as_str().unwrap_or_default();
            let resource = reference["resource"].as_str().unwrap_or_default();
            let kind = KINDS
                .iter()
                .find(|(_, plural)| *plural == resource)
                .map_or(Kind::Hardware, |(kind, _)| *kind);
            let document = self.document(kind, name)?;
            let mut spec = document.spec.clone();
            if let Some(original) = spec.get_mut("tinkerbell").map(Value::take) {
                spec = original;
            }
            let metadata = serde_json::to_value(&document.metadata).unwrap_or_default();
            found.insert(key.clone(), serde_json::json!({"metadata": metadata, "spec": spec}));
        }
        Ok(found)
    }

    /// What a worker would be handed for this workflow: its Template rendered for its machine, and read strictly.
    ///
    /// # Errors
    /// Where a document is missing or the template has faults.
    pub fn compile(&self, workflow: &WorkflowDocSpec) -> Result<WorkflowSpec, CompileError> {
        let machine = self.hardware(&workflow.hardware)?;
        let template = TemplateSpec::from_document(self.document(Kind::Template, &workflow.template)?)?;
        let resolve = |text: &str| self.machine(text).map(str::to_owned);
        let mut data = TemplateData::new(&machine, &workflow.hardware_map, &resolve)
            .in_networks(&machine, &|name| self.network(name).ok())
            .referring(self.references(&machine)?);
        if let Some(now) = self.now {
            data = data.at(now);
        }
        let name = &workflow.template;
        match &template {
            TemplateSpec::Data(source) => template::compile(name, source, &data),
            TemplateSpec::Native(native) => template::compile_native(name, native, &data),
        }
        .map_err(|faults| CompileError::Template { template: workflow.template.clone(), faults })
    }
}

/// The id of the worker, where a document of Tinkerbell's said one.
pub(super) fn agent_id(hardware: &Document) -> Option<&str> {
    hardware.spec.get("tinkerbell")?.get("agentID")?.as_str().filter(|agent| !agent.is_empty())
}
