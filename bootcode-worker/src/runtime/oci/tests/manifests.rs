use serde_json::json;

use super::{Document, Found, PullError};

fn descriptor(hex: char, media_type: &str) -> serde_json::Value {
    json!({"digest": format!("sha256:{}", hex.to_string().repeat(64)), "size": 3, "mediaType": media_type})
}

fn read(document: &serde_json::Value) -> Result<Found, PullError> {
    Document::read(document.to_string().as_bytes(), "amd64")
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

#[test]
fn an_images_layers_come_in_their_order() {
    let found = read(
        &json!({"config": descriptor('a', ""), "layers": [descriptor('b', LAYER), descriptor('c', LAYER)]}),
    );
    let Found::Image(manifest) = found.unwrap() else { panic!("an image") };
    let layers: Vec<_> = manifest.layers.iter().map(|layer| layer.digest.to_string()).collect();
    assert_eq!(layers, ["b".repeat(64), "c".repeat(64)]);
}

#[test]
fn an_index_leads_to_this_machines_variant() {
    let mut arm = descriptor('a', "");
    arm["platform"] = json!({"os": "linux", "architecture": "arm64"});
    let mut intel = descriptor('b', "");
    intel["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let found = read(&json!({"manifests": [arm.clone(), intel]})).unwrap();
    assert!(matches!(found, Found::Elsewhere(blob) if blob.digest.to_string() == "b".repeat(64)));
    assert!(matches!(read(&json!({"manifests": [arm]})), Err(PullError::Platform { .. })));
    let only = read(&json!({"manifests": [descriptor('d', "")]})).unwrap();
    assert!(matches!(only, Found::Elsewhere(_)));
}

#[test]
fn what_is_no_image_is_refused_with_its_reason() {
    let layers =
        |layers: Vec<serde_json::Value>| read(&json!({"config": descriptor('a', ""), "layers": layers}));
    assert!(matches!(Document::read(b"<html>", "amd64"), Err(PullError::Manifest { .. })));
    assert!(matches!(read(&json!({})), Err(PullError::Incomplete)));
    assert!(matches!(layers(vec![]), Err(PullError::Layers { found: 0, .. })));
    assert!(matches!(layers(vec![descriptor('b', LAYER); 99]), Err(PullError::Layers { found: 99, .. })));
    assert!(matches!(layers(vec![descriptor('b', "application/json")]), Err(PullError::LayerType { .. })));
    let odd = json!({"digest": "../../etc/passwd", "size": 1, "mediaType": LAYER});
    assert!(matches!(layers(vec![odd]), Err(PullError::DigestForm { .. })));
}
