//! Tinkerbell's documents: whole ones, and what is said of each field that does nothing here.

mod networks;
mod refusals;

use crate::document::{
    Catalog, Document, DocumentSet, Kind, Origin, TemplateSpec, WorkflowDocSpec, validate,
};

const EVERY_FIELD: &str = include_str!("every-field.yaml");
const SITE: &str = include_str!("site.yaml");

fn read(text: &str, existing: &[Document]) -> DocumentSet {
    validate(&[("t.yaml", text)], existing, Origin::Directory, crate::clock::Timestamp::UNIX_EPOCH)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

fn warnings(set: &DocumentSet) -> String {
    set.warnings().iter().map(|warning| format!("{warning}\n")).collect()
}

/// A document as YAML, without what was kept of the original.
fn shown(set: &DocumentSet, kind: Kind, name: &str) -> String {
    let mut document = set.find(kind, name).expect("the document is there").document.clone();
    if let Some(spec) = document.spec.as_object_mut() {
        spec.remove("tinkerbell");
    }
    crate::yaml::to_string(&serde_json::to_value(document).unwrap()).unwrap()
}

#[test]
fn every_field_is_taken_or_warned_of() {
    let set = read(EVERY_FIELD, &[]);
    insta::assert_snapshot!("every_field_hardware", shown(&set, Kind::Hardware, "rack7-u12"));
    insta::assert_snapshot!("every_field_network", shown(&set, Kind::Network, "tinkerbell-10.7.0.0-23"));
    insta::assert_snapshot!("every_field_warnings", warnings(&set));
    let original = &set.find(Kind::Hardware, "rack7-u12").unwrap().document.spec["tinkerbell"];
    assert_eq!(original["interfaces"][0]["dhcp"]["vlan_id"], "70", "text where the field means text");
    assert_eq!(original["metadata"]["instance"]["id"], "0e5b7f7e-1111-4222-8333-444455556666");
    assert_eq!(original["references"]["storage"]["name"], "rack7-u13");
}

#[test]
fn a_whole_site_is_read_and_its_workflow_compiles() {
    let set = read(SITE, &[]);
    insta::assert_snapshot!(warnings(&set), @"t.yaml:53:7: kind: BMCs are not driven, so this document is left out: let the machine's boot order begin with the network, and power it on yourself");
    let catalog = Catalog::new(set.documents());
    let workflow =
        WorkflowDocSpec::from_document(catalog.document(Kind::Workflow, "install-a").unwrap()).unwrap();
    assert_eq!(workflow.hardware, "worker-a", "by the MAC of `device_1`");
    let machine = catalog.hardware("worker-a").unwrap();
    assert_eq!(machine.spec.user_data.as_deref(), Some(&"#cloud-config\n".into()));
    assert_eq!(machine.spec.firmware, None, "`uefi: false` is what is not written");
    let network = catalog.network("tinkerbell-172.16.0.0-24").unwrap().spec;
    assert_eq!(network.gateway, Some([172, 16, 0, 1].into()));
    assert!(
        TemplateSpec::from_document(catalog.document(Kind::Template, "debian").unwrap()).is_ok(),
        "a Template is one of ours"
    );
    let compiled = catalog.compile(&workflow).unwrap();
    assert_eq!(compiled.tasks[0].worker, "worker-a");
}

#[test]
fn what_was_read_is_stored_and_read_again_as_ours() {
    let documents = read(&format!("{EVERY_FIELD}---\n{SITE}"), &[]).into_documents();
    let text: String = documents
        .iter()
        .map(|d| format!("---\n{}", crate::yaml::to_string(&serde_json::to_value(d).unwrap()).unwrap()))
        .collect();
    let again = read(&text, &documents);
    let diff = crate::document::diff(&documents, again.documents());
    assert!(diff.is_empty(), "{diff:?}");
    assert!(again.obsolete().is_empty(), "{:?}", again.obsolete());
}
