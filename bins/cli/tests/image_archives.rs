//! `bootcode image push` of archives, as `docker save`, `podman save` and `skopeo copy` write them.

#![allow(clippy::unwrap_used)] // outside of #[test] functions; a test may fail

mod common;

use std::{fs, path::Path, process::Command};

use bootcode_tftp::registry::Digest;
use common::{bootcode, serve};
use serde_json::{Value, json};

enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}

fn archive(path: &Path, entries: &[Entry<'_>]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match entry {
            Entry::File(name, bytes) => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, name, *bytes).unwrap();
            }
            Entry::Link(name, to) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, to).unwrap();
            }
        }
    }
    builder.finish().unwrap();
}

fn blob(dir: &Path, bytes: &[u8]) -> bool {
    let path = dir.join("images/blobs/sha256").join(Digest::of(bytes).hex());
    fs::read(path).is_ok_and(|kept| kept == bytes)
}

/// The manifest that the server has under a name.
fn manifest(dir: &Path, name: &str) -> Value {
    let read = |path: &str| -> Value { serde_json::from_slice(&fs::read(dir.join(path)).unwrap()).unwrap() };
    let index = read("images/index.json");
    let listed = index["manifests"].as_array().unwrap().iter();
    let mut named = listed.filter(|image| image["annotations"]["org.opencontainers.image.ref.name"] == name);
    let digest = named.next().unwrap()["digest"].as_str().unwrap().replace("sha256:", "");
    read(&format!("images/blobs/sha256/{digest}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_docker_saves_is_pushed_with_its_layers_in_order() {
    let dir = tempfile::tempdir().unwrap();
    serve(dir.path());
    let (config, base, top) = (br#"{"os":"linux"}"#, b"base layer".repeat(900_000), b"\x1f\x8btop layer");
    let list = json!([
        {"Config": "c.json", "RepoTags": ["tool:v1", "registry.example:5000/tools/tool:v2"], "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"]},
        {"Config": "c.json", "RepoTags": null, "Layers": []},
    ]);
    archive(
        &dir.path().join("saved.tar"),
        &[
            Entry::File("a/layer.tar", &base),
            Entry::File("b/layer.tar", top),
            // As Docker before 25 saves a layer that it has already.
            Entry::Link("c/layer.tar", "../a/layer.tar"),
            Entry::File("c.json", config),
            Entry::File("manifest.json", list.to_string().as_bytes()),
        ],
    );
    for (name, code, expected) in [
        ("tool:v1", 0, "pushed tool:v1"),
        ("tools/tool:v2", 0, "pushed tools/tool:v2"),
        ("other:v1", 66, "it has no image `other:v1`, but 2 others: tool:v1 registry.example"),
    ] {
        let (got, text) = bootcode(dir.path(), &format!("image push saved.tar {name}")).await;
        assert!(got == code && text.contains(expected), "{name}: {got}: {text}");
    }
    assert!(blob(dir.path(), &base) && blob(dir.path(), top) && blob(dir.path(), config));
    let manifest = manifest(dir.path(), "tool:v1");
    assert_eq!(manifest["config"]["digest"], Digest::of(config).as_str());
    let layers = manifest["layers"].as_array().unwrap();
    let digests: Vec<_> = layers.iter().map(|layer| layer["digest"].as_str().unwrap()).collect();
    let (base, top) = (Digest::of(&base), Digest::of(top));
    assert_eq!(digests, [base.as_str(), top.as_str(), base.as_str()]);
    let types: Vec<_> = layers.iter().map(|layer| layer["mediaType"].as_str().unwrap()).collect();
    assert!(types[0].ends_with("layer.v1.tar") && types[1].ends_with("layer.v1.tar+gzip"), "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_in_a_tar_is_pushed_by_either_of_its_names() {
    let dir = tempfile::tempdir().unwrap();
    serve(dir.path());
    let reference = |bytes: &[u8], name: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(bytes).as_str(),
            "size": bytes.len(), "annotations": {"org.opencontainers.image.ref.name": "v1", "io.containerd.image.name": name}})
    };
    let manifest = |layer: &[u8]| {
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": reference(b"{}", ""), "layers": [reference(layer, "")]})
        .to_string()
    };
    let (one, two) = (manifest(b"one"), manifest(b"two"));
    let index = json!({"schemaVersion": 2, "manifests": [
        reference(one.as_bytes(), "docker.io/library/one:v1"), reference(two.as_bytes(), "docker.io/library/two:v1")]});
    let name = |bytes: &[u8]| format!("./blobs/sha256/{}", Digest::of(bytes).hex());
    archive(
        &dir.path().join("saved.tar"),
        &[
            Entry::File("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
            Entry::File("index.json", index.to_string().as_bytes()),
            // Docker 25 writes both; this one leads nowhere.
            Entry::File("manifest.json", b"[]"),
            Entry::File(&name(b"{}"), b"{}"),
            Entry::File(&name(b"one"), b"one"),
            Entry::File(&name(b"two"), b"two"),
            Entry::File(&name(one.as_bytes()), one.as_bytes()),
            Entry::File(&name(two.as_bytes()), two.as_bytes()),
        ],
    );
    let (code, text) = bootcode(dir.path(), "image push saved.tar two:v1").await;
    assert_eq!(code, 0, "{text}");
    assert!(blob(dir.path(), b"two") && blob(dir.path(), two.as_bytes()) && !blob(dir.path(), b"one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_hold_no_image_are_told_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    serve(dir.path());
    let at = |name: &str| dir.path().join(name);
    archive(&at("other.tar"), &[Entry::File("hello", b"hello")]);
    let list = br#"[{"Config": "c.json", "RepoTags": [], "Layers": ["layer.tar"]}]"#;
    archive(&at("lacks.tar"), &[Entry::File("manifest.json", list), Entry::File("c.json", b"{}")]);
    let looped = [
        Entry::File("manifest.json", list),
        Entry::File("c.json", b"{}"),
        Entry::Link("layer.tar", "layer.tar"),
    ];
    archive(&at("loop.tar"), &looped);
    archive(&at("list.tar"), &[Entry::File("manifest.json", b"{")]);
    archive(&at("cut.tar"), &[Entry::File("manifest.json", list), Entry::File("c.json", &[b'x'; 10_000])]);
    fs::File::options().write(true).open(at("cut.tar")).unwrap().set_len(4_000).unwrap();
    fs::write(at("a.tar.gz"), b"\x1f\x8b rest").unwrap();
    fs::write(at("text"), b"hello").unwrap();
    for (file, expected) in [
        ("other.tar", "neither an index.json"),
        ("lacks.tar", "layer.tar: the archive has no such file"),
        ("loop.tar", "layer.tar: the archive has no such file"),
        ("list.tar", "list.tar: manifest.json: "),
        ("cut.tar", "cut.tar: "),
        ("a.tar.gz", "compressed by gzip; decompress it first"),
        ("text", "text: the archive: "),
    ] {
        let (code, text) = bootcode(dir.path(), &format!("image push {file} tool:v1")).await;
        assert!(code == 66 && text.contains(expected), "{file}: {code}: {text}");
    }
    assert!(bootcode(dir.path(), "image list").await.1.contains("there is no image"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_skopeo_writes_as_either_archive_is_pushed() {
    if std::env::var_os("BOOTCODE_REAL_PEERS").is_none_or(|value| value != "1") {
        eprintln!("not run: BOOTCODE_REAL_PEERS is not 1");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    serve(dir.path());
    let run = |program: &str, line: &str| {
        let output = Command::new(program).current_dir(dir.path()).args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "{program} {line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    fs::create_dir(dir.path().join("root")).unwrap();
    fs::write(dir.path().join("root/file"), b"content".repeat(100_000)).unwrap();
    run("tar", "-cf layer.tar -C root .");
    let layer = fs::read(dir.path().join("layer.tar")).unwrap();
    let diff = Digest::of(&layer);
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff.as_str()]}});
    let config = config.to_string();
    let list = json!([{"Config": "c.json", "RepoTags": ["tool:v1"], "Layers": ["layer.tar"]}]);
    archive(
        &dir.path().join("ours.tar"),
        &[
            Entry::File("manifest.json", list.to_string().as_bytes()),
            Entry::File("c.json", config.as_bytes()),
            Entry::File("layer.tar", &layer),
        ],
    );
    for kind in ["docker-archive:d.tar:tool:v1", "oci-archive:o.tar:tool:v1"] {
        run("skopeo", &format!("copy --insecure-policy docker-archive:ours.tar {kind}"));
    }
    for (file, name) in [("d.tar", "tool:docker"), ("o.tar", "tool:oci")] {
        let (code, text) = bootcode(dir.path(), &format!("image push {file} {name}")).await;
        assert_eq!(code, 0, "{file}: {text}");
        // What the server has is an image to others, too, with the same content.
        let local = format!("copy --insecure-policy oci:images:{name} docker-archive:{file}.back:{name}");
        run("skopeo", &local);
        run("tar", &format!("-xf {file}.back -C root"));
        assert!(
            fs::read(dir.path().join(format!("root/{}.tar", diff.hex()))).is_ok_and(|back| back == layer),
            "{file}"
        );
    }
}
